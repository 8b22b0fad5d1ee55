//! `trivial_augment`: one operation of any strength.

use super::ops::{Canvas, Interpolation};
use super::strength::{ALL, NARROW, WIDE};
use super::{Augmentation, View};
use crate::named::{KeyError, check_range};
use crate::random;
use serde::{Deserialize, Serialize};

/// TrivialAugment (Müller and Hutter 2021): one of 14 operations with a strength that is drawn, too.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrivialAugment {
    /// The wide search space (TrivialAugmentWide), or RandAugment's.
    pub wide: bool,
    /// Strengths from none to the largest.
    pub bins: usize,
    pub interpolation: Interpolation,
    /// What is shown outside of the image.
    pub fill: u8,
}

impl Default for TrivialAugment {
    fn default() -> TrivialAugment {
        TrivialAugment { wide: true, bins: 31, interpolation: Interpolation::Nearest, fill: 0 }
    }
}

impl Augmentation for TrivialAugment {
    const STREAM: &'static str = "augment.trivial_augment";
    const HEAVY: bool = true;

    fn draw(&self, key: u64, view: &mut View) {
        let canvas = Canvas { interpolation: self.interpolation, fill: self.fill };
        let kind = ALL[random::below(key, 0, ALL.len() as u64) as usize];
        let part = random::below(key, 1, self.bins as u64) as f64 / (self.bins - 1) as f64;
        let range = if self.wide { WIDE } else { NARROW };
        view.ops.push(range.op(kind, part, random::word(key, 2) >> 63 == 1, view.size, canvas));
    }

    fn check(&self, _: [usize; 3]) -> Result<(), KeyError> {
        check_range("trivial_augment.bins", self.bins as f64, 2.0, 1000.0)
    }
}
