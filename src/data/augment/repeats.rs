//! `repeats`: several views of an image in one batch.

use super::{Augmentation, View};
use crate::named::{KeyError, check_range};
use serde::{Deserialize, Serialize};

/// Repeated augmentation (Hoffer et al. 2019, Berman et al. 2019): each image of an epoch comes so many times in a row, augmented
/// differently; the epoch is as long as without, so that it shows fewer images. 0 and 1 are off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Repeats(pub usize);

impl Augmentation for Repeats {
    const STREAM: &'static str = "augment.repeats";

    /// Draws nothing: the order of the images is what it changes.
    fn draw(&self, _key: u64, _view: &mut View) {}

    fn is_off(&self) -> bool {
        self.0 <= 1
    }

    fn check(&self, _: [usize; 3]) -> Result<(), KeyError> {
        check_range("repeats", self.0 as f64, 0.0, 100.0)
    }
}

impl Repeats {
    /// The order of an epoch's images from a permutation of all. Copy c of image i of n is `c * n + i`: another index, so
    /// that its augmentation is another, too.
    pub fn spread(self, order: Vec<u32>) -> Vec<u32> {
        let (count, copies) = (order.len(), self.0.max(1) as u32);
        if copies == 1 {
            return order;
        }
        order.iter().flat_map(|&image| (0..copies).map(move |copy| copy * count as u32 + image)).take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_follow_each_other_and_the_epoch_stays_as_long() {
        assert_eq!(Repeats(3).spread(vec![2, 0, 3, 1]), [2, 6, 10, 0]);
        assert_eq!(Repeats(0).spread(vec![2, 0, 1]), [2, 0, 1]);
        assert_eq!(serde_json::to_string(&crate::data::Augment::default()).unwrap(), r#"{"crop":0,"flip":false}"#);
    }
}
