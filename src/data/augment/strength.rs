//! From a policy's magnitude to the value of an operation.

use super::ops::{Canvas, Kind, PixelOp};

/// The operations of RandAugment and TrivialAugment.
pub(super) const ALL: [Kind; 14] = [
    Kind::Identity,
    Kind::ShearX,
    Kind::ShearY,
    Kind::TranslateX,
    Kind::TranslateY,
    Kind::Rotate,
    Kind::Brightness,
    Kind::Color,
    Kind::Contrast,
    Kind::Sharpness,
    Kind::Posterize,
    Kind::Solarize,
    Kind::AutoContrast,
    Kind::Equalize,
];

/// The largest values of a policy.
pub(super) struct Range {
    shear: f64,
    /// In pixels of the side, or as a fraction of it.
    translate: fn(f64) -> f64,
    degrees: f64,
    /// Largest distance of a factor from 1.
    factor: f64,
    /// Bits that are dropped.
    bits: f64,
}

/// The strength of AutoAugment and RandAugment. Translations were up to 150 pixels of images of 331.
pub(super) const NARROW: Range =
    Range { shear: 0.3, translate: |side| side * 150.0 / 331.0, degrees: 30.0, factor: 0.9, bits: 4.0 };
/// The strength of TrivialAugment's wide search space.
pub(super) const WIDE: Range = Range { shear: 0.99, translate: |_| 32.0, degrees: 135.0, factor: 0.99, bits: 6.0 };

impl Range {
    /// An operation at `part`, 0 to 1, of its range, in the other direction where it has two and `back` is set; `size` is
    /// [height, width].
    pub(super) fn op(&self, kind: Kind, part: f64, back: bool, size: [usize; 2], canvas: Canvas) -> PixelOp {
        let signed = |value: f64| if back { -value } else { value };
        let [height, width] = size.map(|side| side as f64);
        let value = match kind {
            Kind::ShearX | Kind::ShearY => signed(self.shear * part),
            Kind::TranslateX => signed((self.translate)(width) * part),
            Kind::TranslateY => signed((self.translate)(height) * part),
            Kind::Rotate => signed(self.degrees * part),
            Kind::Brightness | Kind::Color | Kind::Contrast | Kind::Sharpness => 1.0 + signed(self.factor * part),
            Kind::Posterize => 8.0 - (self.bits * part).round_ties_even(),
            Kind::Solarize => 255.0 * (1.0 - part),
            Kind::Identity | Kind::AutoContrast | Kind::Equalize | Kind::Invert | Kind::Hue => 0.0,
        };
        PixelOp { kind, value, canvas }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `_augmentation_space` of torchvision 0.28's RandAugment (magnitude 9 of 31 bins), AutoAugment (7 of 10) and
    /// TrivialAugmentWide (7 of 31), for a 32x40 image.
    #[test]
    fn strengths_are_torchvisions() {
        let kinds = [
            Kind::ShearX,
            Kind::TranslateX,
            Kind::TranslateY,
            Kind::Rotate,
            Kind::Color,
            Kind::Posterize,
            Kind::Solarize,
        ];
        let values = |range: &Range, bin: f64, bins: f64| {
            kinds.map(|kind| range.op(kind, bin / (bins - 1.0), true, [32, 40], Canvas::default()).value)
        };
        for (found, expected) in [
            (values(&NARROW, 9.0, 31.0), [-0.09, -5.4381, -4.3505, -9.0, 1.0 - 0.27, 7.0, 178.5]),
            (values(&NARROW, 7.0, 10.0), [-0.2333, -14.0987, -11.279, -23.3333, 1.0 - 0.7, 5.0, 56.6667]),
            (values(&WIDE, 7.0, 31.0), [-0.231, -7.4667, -7.4667, -31.5, 1.0 - 0.231, 7.0, 195.5]),
        ] {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4), "{found:?} {expected:?}");
        }
    }
}
