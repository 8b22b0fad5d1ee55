//! Operations on the bytes of an image, to the bit as Pillow 13 computes them.

mod affine;
mod enhance;
mod hue;
mod tone;

use serde::{Deserialize, Serialize};

/// What an operation does; how strongly is the value beside it in [`PixelOp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Deserialize))]
pub(in crate::data) enum Kind {
    Identity,
    /// Columns move down, or rows to the right, by this part of their distance from the corner.
    ShearX,
    ShearY,
    /// Pixels to the right, or down.
    TranslateX,
    TranslateY,
    /// Degrees, counter-clockwise.
    Rotate,
    /// A factor: 1 changes nothing.
    Brightness,
    Color,
    Contrast,
    Sharpness,
    /// Bits that are kept.
    Posterize,
    /// Values from this one on are inverted.
    Solarize,
    AutoContrast,
    Equalize,
    Invert,
    /// Turns of the colour circle.
    Hue,
}

/// How pixels between pixels are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    #[default]
    Nearest,
    Bilinear,
}

/// How geometric operations read pixels, and what is shown outside of the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::data) struct Canvas {
    pub interpolation: Interpolation,
    pub fill: u8,
}

/// An operation with its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::data) struct PixelOp {
    pub kind: Kind,
    pub value: f64,
    pub canvas: Canvas,
}

impl PixelOp {
    /// Changes an image of `shape` = [C, H, W]. Colours need three channels: others have no hue and no saturation.
    pub(in crate::data) fn apply(self, image: &mut [u8], shape: [usize; 3]) {
        let PixelOp { kind, value, canvas } = self;
        let size = [shape[1], shape[2]];
        let mut map = |matrix: [f64; 6]| affine::transform(image, size, matrix, canvas);
        match kind {
            Kind::Identity => {}
            Kind::ShearX => map([1.0, value, 0.0, 0.0, 1.0, 0.0]),
            Kind::ShearY => map([1.0, 0.0, 0.0, value, 1.0, 0.0]),
            Kind::TranslateX => map([1.0, 0.0, -value.trunc(), 0.0, 1.0, 0.0]),
            Kind::TranslateY => map([1.0, 0.0, 0.0, 0.0, 1.0, -value.trunc()]),
            Kind::Rotate => map(affine::rotation(value, size)),
            Kind::Brightness => enhance::brightness(image, value),
            Kind::Color => enhance::color(image, shape, value),
            Kind::Contrast => enhance::contrast(image, shape, value),
            Kind::Sharpness => enhance::sharpness(image, size, value),
            Kind::Posterize => tone::posterize(image, value as u32),
            Kind::Solarize => tone::solarize(image, value),
            Kind::AutoContrast => tone::per_plane(image, size, tone::auto_contrast),
            Kind::Equalize => tone::per_plane(image, size, tone::equalize),
            Kind::Invert => image.iter_mut().for_each(|p| *p = 255 - *p),
            Kind::Hue => hue::shift(image, shape, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IntoDeserializer;
    use std::collections::BTreeMap;

    const SIZE: [usize; 2] = [29, 37];

    /// The image of the fixture: ramps and a chequerboard.
    fn image(channels: usize) -> Vec<u8> {
        let [height, width] = SIZE;
        let pixel = |k: usize, y: usize, x: usize| {
            let ramp = 20 + x * 5 + y * 3 * (k + 1) + (x * y * (k + 2)) / 7 * if k < 2 { 1 } else { 2 };
            (ramp + if (x / 5 + y / 4) % 2 == 1 { 40 } else { 0 }) % 230
        };
        let planes = (0..channels).flat_map(|k| (0..height).map(move |y| (k, y)));
        planes.flat_map(|(k, y)| (0..width).map(move |x| pixel(k, y, x) as u8)).collect()
    }

    fn kind(name: &str) -> Kind {
        Kind::deserialize(name.into_deserializer()).unwrap_or_else(|error: serde::de::value::Error| panic!("{error}"))
    }

    /// `tests/augment/pillow.txt` has what torchvision 0.28's `_apply_op` gives on Pillow 13, an operation a line: its value,
    /// interpolation, fill, channels, the FNV-1a hash of the planes, and 16 bytes of them.
    #[test]
    fn operations_are_pillows() {
        let list = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/augment/pillow.txt")).unwrap();
        let mut wrong: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for line in list.lines() {
            let [name, value, interpolation, fill, channels, hash, bytes] = line.split(' ').collect::<Vec<_>>()[..]
            else {
                panic!("{line}")
            };
            let interpolation =
                if interpolation == "nearest" { Interpolation::Nearest } else { Interpolation::Bilinear };
            let value: f64 = value.parse().unwrap();
            let factor = matches!(name, "Brightness" | "Color" | "Contrast" | "Sharpness");
            let op = PixelOp {
                kind: kind(name),
                value: if factor { 1.0 + value } else { value },
                canvas: Canvas { interpolation, fill: fill.parse().unwrap() },
            };
            let channels: usize = channels.parse().unwrap();
            let mut image = image(channels);
            op.apply(&mut image, [channels, SIZE[0], SIZE[1]]);
            let found =
                image.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
            if format!("{found:016x}") != hash {
                let found: String = image[400..416].iter().map(|byte| format!("{byte:02x}")).collect();
                wrong.entry(name).or_default().push(format!("{line} is {found}, expected {bytes}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
