//! `rand_augment`: some operations of one strength.

use super::ops::{Canvas, Interpolation};
use super::strength::{ALL, NARROW};
use super::{Augmentation, View};
use crate::named::{KeyError, check_range};
use crate::random;
use serde::{Deserialize, Serialize};

/// RandAugment (Cubuk et al. 2019): `ops` of 14 operations, drawn with repetition, with the same magnitude.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandAugment {
    pub ops: usize,
    pub magnitude: f64,
    /// Standard deviation of the magnitude; timm's `mstd`.
    pub magnitude_std: f64,
    /// Magnitudes run from 0 to `bins` - 1: 31 in the paper and torchvision, 11 in timm.
    pub bins: usize,
    /// Probability of each operation; 0.5 in timm.
    pub p: f64,
    pub interpolation: Interpolation,
    /// What is shown outside of the image.
    pub fill: u8,
}

impl Default for RandAugment {
    fn default() -> RandAugment {
        let interpolation = Interpolation::Nearest;
        RandAugment { ops: 2, magnitude: 9.0, magnitude_std: 0.0, bins: 31, p: 1.0, interpolation, fill: 0 }
    }
}

impl Augmentation for RandAugment {
    const STREAM: &'static str = "augment.rand_augment";
    const HEAVY: bool = true;

    fn draw(&self, key: u64, view: &mut View) {
        let canvas = Canvas { interpolation: self.interpolation, fill: self.fill };
        let most = (self.bins - 1) as f64;
        for draw in (0..self.ops as u64).map(|op| 8 * op) {
            if random::uniform(key, draw) < self.p {
                let kind = ALL[random::below(key, draw + 1, ALL.len() as u64) as usize];
                let back = random::word(key, draw + 2) >> 63 == 1;
                let magnitude = self.magnitude + self.magnitude_std * random::normal(key, draw + 3);
                view.ops.push(NARROW.op(kind, magnitude.clamp(0.0, most) / most, back, view.size, canvas));
            }
        }
    }

    fn check(&self, _: [usize; 3]) -> Result<(), KeyError> {
        check_range("rand_augment.ops", self.ops as f64, 1.0, 100.0)?;
        check_range("rand_augment.bins", self.bins as f64, 2.0, 1000.0)?;
        check_range("rand_augment.magnitude", self.magnitude, 0.0, (self.bins - 1) as f64)?;
        check_range("rand_augment.magnitude_std", self.magnitude_std, 0.0, 1000.0)?;
        check_range("rand_augment.p", self.p, 0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ops::Kind;
    use super::*;
    use std::collections::HashMap;

    /// Every operation is as frequent as the others, both directions are, and a deviation stays within the range.
    #[test]
    fn operations_are_drawn_evenly() {
        let (mut counts, mut back) = (HashMap::new(), 0);
        let augment = RandAugment { magnitude_std: 100.0, p: 0.5, ..RandAugment::default() };
        for image in 0..7000 {
            let mut view = View::whole([32, 32]);
            augment.draw(random::key(1, "test", &[image]), &mut view);
            for op in view.ops {
                *counts.entry(format!("{:?}", op.kind)).or_insert(0) += 1;
                if op.kind == Kind::Rotate {
                    assert!((-30.0..=30.0).contains(&op.value), "{op:?}");
                    back += u32::from(op.value.is_sign_negative());
                }
            }
        }
        assert!(counts.len() == 14 && counts.values().all(|count| (420..580).contains(count)), "{counts:?}");
        assert!((0.4..0.6).contains(&(f64::from(back) / f64::from(counts["Rotate"]))), "{back}");
    }
}
