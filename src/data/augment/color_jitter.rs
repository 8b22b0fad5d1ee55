//! `color_jitter`: brightness, contrast, saturation and hue.

use super::ops::{Canvas, Kind, PixelOp};
use super::{Augmentation, View};
use crate::named::{KeyError, check_range};
use crate::random;
use serde::{Deserialize, Serialize};

/// Changes brightness, contrast and saturation by factors from 1 - x to 1 + x and turns the hue by up to x, in a random order
/// (torchvision's `ColorJitter`). The defaults are those of fb.resnet.torch, after Howard (2013).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColorJitter {
    pub brightness: f64,
    pub contrast: f64,
    pub saturation: f64,
    /// In turns of the colour circle, at most 0.5.
    pub hue: f64,
}

impl Default for ColorJitter {
    fn default() -> ColorJitter {
        ColorJitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.0 }
    }
}

impl Augmentation for ColorJitter {
    const STREAM: &'static str = "augment.color_jitter";
    const HEAVY: bool = true;

    fn draw(&self, key: u64, view: &mut View) {
        let strengths = [
            (Kind::Brightness, self.brightness),
            (Kind::Contrast, self.contrast),
            (Kind::Color, self.saturation),
            (Kind::Hue, self.hue),
        ];
        for which in random::permutation(random::key(key, "order", &[]), strengths.len()) {
            let (kind, strength) = strengths[which as usize];
            let offset = strength * (2.0 * random::uniform(key, u64::from(which)) - 1.0);
            let value = if kind == Kind::Hue { offset } else { (1.0 + offset).max(0.0) };
            if strength > 0.0 {
                view.ops.push(PixelOp { kind, value, canvas: Canvas::default() });
            }
        }
    }

    fn check(&self, _: [usize; 3]) -> Result<(), KeyError> {
        check_range("color_jitter.brightness", self.brightness, 0.0, 10.0)?;
        check_range("color_jitter.contrast", self.contrast, 0.0, 10.0)?;
        check_range("color_jitter.saturation", self.saturation, 0.0, 10.0)?;
        check_range("color_jitter.hue", self.hue, 0.0, 0.5)
    }
}
