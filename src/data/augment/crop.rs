//! `crop`: a window of the padded image.

use super::{Augmentation, View};
use crate::named::KeyError;
use crate::random;
use serde::{Deserialize, Serialize};

/// Zero pixels added on each side before a random crop of the original size; 0 is off. The padding is a zero pixel *before*
/// normalisation, as torchvision's `RandomCrop(padding)` on an image has it: black, not mean grey.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Crop(pub usize);

impl Augmentation for Crop {
    const STREAM: &'static str = "augment";

    /// Draws words 0 and 1.
    fn draw(&self, key: u64, view: &mut View) {
        let pad = self.0.min(1 << 16) as u64; // wider than any image: no sum can overflow
        // 2 pad + 1 offsets: the last one, where the window ends with the padding, is one of them.
        let offset = |draw| random::below(key, draw, 2 * pad + 1) as isize - pad as isize;
        (view.down, view.right) = (offset(0), offset(1));
    }

    /// Every crop shows something of the image. A batch of nothing but padding has no variance, and a deep network's gradients
    /// then overflow in its normalisations.
    fn check(&self, [_, height, width]: [usize; 3]) -> Result<(), KeyError> {
        let (crop, most) = (self.0, height.min(width).saturating_sub(1));
        if crop <= most {
            return Ok(());
        }
        let message = format!(
            "a random crop after padding by {crop} can miss a {height}x{width} image entirely: `crop` is at most {most}"
        );
        Err(KeyError::new("crop", message))
    }
}
