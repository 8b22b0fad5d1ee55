//! `cutout`: squares are painted over.

use super::patch::{Fill, Patch};
use super::{Augmentation, View};
use crate::data::resample::Window;
use crate::named::{KeyError, check_range};
use crate::random;
use serde::{Deserialize, Serialize};

/// Cutout (DeVries and Taylor 2017): squares around uniform points, cut off at the edge, of 0 after normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cutout {
    /// Side in pixels: 16 for CIFAR-10, 8 for CIFAR-100.
    pub length: usize,
    pub holes: usize,
}

impl Default for Cutout {
    fn default() -> Cutout {
        Cutout { length: 16, holes: 1 }
    }
}

impl Augmentation for Cutout {
    const STREAM: &'static str = "augment.cutout";

    fn draw(&self, key: u64, view: &mut View) {
        let span = |draw, side: usize| {
            let (centre, half) = (random::below(key, draw, side as u64) as usize, self.length / 2);
            let start = centre.saturating_sub(half);
            (start, (centre + half).min(side) - start)
        };
        for hole in 0..self.holes as u64 {
            let ((top, height), (left, width)) = (span(2 * hole, view.size[0]), span(2 * hole + 1, view.size[1]));
            view.patches.push(Patch { window: Window { top, left, height, width }, fill: Fill::Zero, key: 0 });
        }
    }

    fn check(&self, _: [usize; 3]) -> Result<(), KeyError> {
        check_range("cutout.length", self.length as f64, 2.0, 8192.0)?;
        check_range("cutout.holes", self.holes as f64, 1.0, 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Over every centre in a 32x32 image, as in the authors' code, a square of 16 covers 12² pixels on average.
    #[test]
    fn squares_are_cut_off_at_the_edge() {
        let mut area = 0;
        for i in 0..20_000 {
            let mut view = View::whole([32, 32]);
            Cutout::default().draw(random::key(1, "test", &[i]), &mut view);
            let window = view.patches[0].window;
            assert!(window.top + window.height <= 32 && window.left + window.width <= 32);
            assert!((8..=16).contains(&window.height) && (8..=16).contains(&window.width), "{window:?}");
            area += window.height * window.width;
        }
        // Per side: 16 in 17 of 32 places, 8 to 15 in the others once or twice.
        let side = (0..32).map(|c: i32| (c + 8).min(32) - (c - 8).max(0)).sum::<i32>() as f64 / 32.0;
        assert!((f64::from(area as u32) / 20_000.0 - side * side).abs() < 1.5, "{area} {side}");
    }
}
