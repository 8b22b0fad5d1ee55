//! What is done at random to training images, each draw a function of (seed, epoch, index of the image).

use serde::{Deserialize, Serialize};

use crate::random;

/// What is done at random to training images.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Zero pixels added on each side before a random crop of the original size; 0 is off. The padding is a zero
    /// pixel *before* normalisation, as torchvision's `RandomCrop(padding)` on an image has it: black, not mean grey.
    pub crop: usize,
    /// Mirrors left and right with probability one half.
    pub flip: bool,
    /// A window of 8 to 100 % of the area, 3:4 to 4:3 in shape, resized to the input (GoogLeNet, section 6). Of an image
    /// file the window is taken before anything is scaled down; of an image in memory, from its form in the network's
    /// size.
    #[serde(skip_serializing_if = "is_off")]
    pub resized_crop: bool,
}

fn is_off(flag: &bool) -> bool {
    !*flag
}

/// The pixels top..top + height, left..left + width of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub top: usize,
    pub left: usize,
    pub height: usize,
    pub width: usize,
}

/// How one image is seen. It is first cut out by `zoom` and resized, where there is one; then the view, of the size of
/// the image, is placed on it (its corner may be outside) and mirrored.
#[derive(Clone, Copy)]
pub(super) struct View {
    pub down: isize,
    pub right: isize,
    pub flip: bool,
    /// The key that [`resized_crop`] draws from.
    pub zoom: Option<u64>,
}

impl View {
    pub const WHOLE: View = View { down: 0, right: 0, flip: false, zoom: None };

    pub fn random(augment: &Augment, seed: u64, epoch: u64, index: u32) -> View {
        let key = random::key(seed, "augment", &[epoch, u64::from(index)]);
        let pad = augment.crop.min(1 << 16) as u64; // wider than any image: no sum can overflow
        // 2 pad + 1 offsets: the last one, where the window ends with the padding, is one of them.
        let offset = |draw| random::below(key, draw, 2 * pad + 1) as isize - pad as isize;
        let flip = augment.flip && random::word(key, 2) >> 63 == 1;
        View { down: offset(0), right: offset(1), flip, zoom: augment.resized_crop.then_some(key) }
    }

    /// Writes the view of one plane, rows of `width` bytes, through the table; outside of the plane lies the pixel 0.
    pub fn copy(self, source: &[u8], out: &mut [f32], width: usize, table: &[f32; 256]) {
        let height = source.len() / width;
        // Output columns left..right show source columns from..from + right - left.
        let left = (-self.right).clamp(0, width as isize) as usize;
        let right = (width as isize - self.right).clamp(left as isize, width as isize) as usize;
        let from = (left as isize + self.right).max(0) as usize;
        for (y, row) in out.chunks_exact_mut(width).enumerate() {
            let inside = y.checked_add_signed(self.down).filter(|&y| y < height && left < right);
            let Some(source_y) = inside else {
                row.fill(table[0]);
                continue;
            };
            let start = source_y * width + from;
            let pixels = source[start..start + right - left].iter();
            row[..left].fill(table[0]);
            row[left..right].iter_mut().zip(pixels).for_each(|(o, &p)| *o = table[usize::from(p)]);
            row[right..].fill(table[0]);
            if self.flip {
                row.reverse();
            }
        }
    }
}

/// The narrowest window is 3:4, the widest 4:3.
const ASPECT: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];
/// Share of the image's area.
const AREA: [f64; 2] = [0.08, 1.0];

/// The window of torchvision's `RandomResizedCrop` in an image of `size` = [height, width]: area uniform, aspect
/// log-uniform; after ten windows that do not fit, the largest central one of allowed aspect.
pub(super) fn resized_crop(key: u64, size: [usize; 2]) -> Window {
    let [height, width] = size.map(|side| side as f64);
    let between = |[low, high]: [f64; 2], u: f64| low + (high - low) * u;
    // Draws 0 to 2 are the view's.
    for draw in (0..10).map(|attempt| 3 + 4 * attempt) {
        let area = height * width * between(AREA, random::uniform(key, draw));
        let aspect = between(ASPECT.map(f64::ln), random::uniform(key, draw + 1)).exp();
        let wide = (area * aspect).sqrt().round_ties_even() as usize;
        let tall = (area / aspect).sqrt().round_ties_even() as usize;
        if (1..=size[1]).contains(&wide) && (1..=size[0]).contains(&tall) {
            let place = |draw, room: usize| random::below(key, draw, room as u64 + 1) as usize;
            let (top, left) = (place(draw + 2, size[0] - tall), place(draw + 3, size[1] - wide));
            return Window { top, left, height: tall, width: wide };
        }
    }
    let wide = width.min((height * ASPECT[1]).round_ties_even()) as usize;
    let tall = height.min((width / ASPECT[0]).round_ties_even()) as usize;
    Window { top: (size[0] - tall) / 2, left: (size[1] - wide) / 2, height: tall, width: wide }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn augment_is_read_strictly() {
        let read = serde_json::from_str::<Augment>;
        assert_eq!(read(r#"{"crop": 4}"#).unwrap(), Augment { crop: 4, ..Augment::default() });
        assert!(read(r#"{"corp": 4}"#).is_err());
    }

    /// 2000 windows of a 300x400 image: within it, of the allowed areas and aspects, and reaching all of their range.
    #[test]
    fn windows_are_within_the_image_and_cover_the_range() {
        let size = [300, 400];
        let windows: Vec<Window> = (0..2000).map(|i| resized_crop(random::key(1, "test", &[i]), size)).collect();
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
        assert_eq!(resized_crop(key, [30, 3000]), Window { top: 0, left: 1480, height: 30, width: 40 });
        assert_eq!(resized_crop(key, [3000, 30]), Window { top: 1480, left: 0, height: 40, width: 30 });
        assert_eq!(resized_crop(key, [1, 1]), Window { top: 0, left: 0, height: 1, width: 1 });
    }
}
