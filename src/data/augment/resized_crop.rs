//! `resized_crop`: a window of any size, resized.

use super::{Augmentation, View};
use crate::data::resample::Window;
use crate::random;
use serde::{Deserialize, Serialize};

/// A window of 8 to 100 % of the area, 3:4 to 4:3 in shape, resized to the input (GoogLeNet, section 6). The window is taken
/// from an image file before anything is scaled down, and from an image in memory after it has the network's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResizedCrop(pub bool);

impl Augmentation for ResizedCrop {
    const STREAM: &'static str = "augment";
    const HEAVY: bool = true;

    fn draw(&self, key: u64, view: &mut View) {
        view.resized_crop = self.0.then_some(key);
    }
}

/// The narrowest window is 3:4, the widest 4:3.
const ASPECT: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];
/// Share of the image's area.
const AREA: [f64; 2] = [0.08, 1.0];

impl ResizedCrop {
    /// The window of torchvision's `RandomResizedCrop` in an image of `size` = [height, width]: area uniform, aspect log-uniform;
    /// after ten windows that do not fit, the largest central one of allowed aspect.
    pub(in crate::data) fn window(key: u64, size: [usize; 2]) -> Window {
        let [height, width] = size.map(|side| side as f64);
        let between = |[low, high]: [f64; 2], u: f64| low + (high - low) * u;
        // Words 0 to 2 are those of `crop` and `flip`.
        for draw in (0..10).map(|attempt| 3 + 4 * attempt) {
            let area = height * width * between(AREA, random::uniform(key, draw));
            let aspect = between(ASPECT.map(f64::ln), random::uniform(key, draw + 1)).exp();
            let wide = (area * aspect).sqrt().round_ties_even() as usize;
            let tall = (area / aspect).sqrt().round_ties_even() as usize;
            if (1..=size[1]).contains(&wide) && (1..=size[0]).contains(&tall) {
                let corner = |draw, room: usize| random::below(key, draw, room as u64 + 1) as usize;
                let (top, left) = (corner(draw + 2, size[0] - tall), corner(draw + 3, size[1] - wide));
                return Window { top, left, height: tall, width: wide };
            }
        }
        let wide = width.min((height * ASPECT[1]).round_ties_even()) as usize;
        let tall = height.min((width / ASPECT[0]).round_ties_even()) as usize;
        Window { top: (size[0] - tall) / 2, left: (size[1] - wide) / 2, height: tall, width: wide }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2000 windows of a 300x400 image: within it, of the allowed areas and aspects, and reaching all of their range.
    #[test]
    fn windows_are_within_the_image_and_cover_the_range() {
        let size = [300, 400];
        let windows: Vec<Window> = (0..2000).map(|i| ResizedCrop::window(random::key(1, "test", &[i]), size)).collect();
        let area = |w: &Window| (w.height * w.width) as f64 / (300.0 * 400.0);
        let aspect = |w: &Window| w.width as f64 / w.height as f64;
        for w in &windows {
            assert!(w.top + w.height <= 300 && w.left + w.width <= 400, "{w:?}");
            assert!((0.078..=1.0).contains(&area(w)) && (0.74..=1.35).contains(&aspect(w)), "{w:?}");
        }
        let range = |f: &dyn Fn(&Window) -> f64| {
            windows.iter().map(f).fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)))
        };
        let ((small, large), (narrow, wide)) = (range(&area), range(&aspect));
        assert!(small < 0.09 && large > 0.95 && narrow < 0.76 && wide > 1.32, "{small} {large} {narrow} {wide}");
        assert!(windows.iter().any(|w| w.top == 0) && windows.iter().any(|w| w.top + w.height == 300));
        assert!(windows.iter().any(|w| w.left == 0) && windows.iter().any(|w| w.left + w.width == 400));
        let mean = windows.iter().map(area).sum::<f64>() / 2000.0;
        assert!(
            (0.41..0.46).contains(&mean),
            "0.433, by simulation in double precision: large windows often do not fit: {mean}"
        );
    }

    #[test]
    fn an_image_too_long_for_any_window_gives_its_centre() {
        let key = random::key(1, "test", &[0]);
        assert_eq!(ResizedCrop::window(key, [30, 3000]), Window { top: 0, left: 1480, height: 30, width: 40 });
        assert_eq!(ResizedCrop::window(key, [3000, 30]), Window { top: 1480, left: 0, height: 40, width: 30 });
        assert_eq!(ResizedCrop::window(key, [1, 1]), Window { top: 0, left: 0, height: 1, width: 1 });
    }
}
