//! Rectangles of an image that are painted over once it is normalised.

use crate::data::resample::Window;
use crate::random;
use serde::{Deserialize, Serialize};

/// What is painted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// Random bytes, as if they were in the image (the paper's).
    #[default]
    Random,
    /// 0 after normalisation: the mean colour (torchvision's default).
    Zero,
    /// Numbers of the standard normal distribution after normalisation (timm's `pixel`).
    Normal,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::data) struct Patch {
    pub window: Window,
    pub fill: Fill,
    /// The sequence that random fills are drawn from.
    pub key: u64,
}

impl Patch {
    /// Paints over a part of plane `channel`, rows of `width` values; `table` has the value of each byte.
    pub(in crate::data) fn paint(&self, plane: &mut [f32], channel: usize, width: usize, table: &[f32; 256]) {
        let Window { top, left, height, width: wide } = self.window;
        for y in 0..height {
            for x in 0..wide {
                let draw = ((channel * height + y) * wide + x) as u64;
                plane[(top + y) * width + left + x] = match self.fill {
                    Fill::Zero => 0.0,
                    Fill::Random => table[random::below(self.key, draw, 256) as usize],
                    Fill::Normal => random::normal(self.key, 2 * draw) as f32,
                };
            }
        }
    }
}
