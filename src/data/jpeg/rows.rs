//! From planes of samples to the pixels of a window.

use super::header::Frame;
use super::scan::Plane;
use crate::data::resample::Window;
use crate::torch::pictures::{self, Half};

/// The window's planes: luma, or red, green and blue.
pub(super) fn pixels(frame: &Frame, planes: &[Plane], window: Window) -> Vec<u8> {
    let Window { top, left, height, width } = window;
    let [luma, blue, red] = planes else {
        return (top..top + height).flat_map(|y| planes[0].row(y, left, width)).copied().collect();
    };
    let mut out = vec![0; 3 * height * width];
    let (reds, rest) = out.split_at_mut(height * width);
    let (greens, blues) = rest.split_at_mut(height * width);
    let mut chroma = [blue, red].map(|plane| Chroma::new(frame, plane, left, width));
    let rows = reds.chunks_exact_mut(width).zip(greens.chunks_exact_mut(width)).zip(blues.chunks_exact_mut(width));
    for (y, ((r, g), b)) in (top..).zip(rows) {
        let [cb, cr] = chroma.each_mut().map(|chroma| chroma.row(y));
        pictures::to_rgb([luma.row(y, left, width), cb, cr], [r, g, b]);
    }
    out
}

impl Plane {
    /// Samples of a row of the component.
    fn row(&self, y: usize, left: usize, width: usize) -> &[u8] {
        let start = (y - self.top) * self.width + left - self.left;
        &self.samples[start..start + width]
    }
}

/// A chroma component brought to luma's resolution, row by row.
struct Chroma<'a> {
    plane: &'a Plane,
    /// Blocks of luma for one of chroma, down and across.
    ratio: [usize; 2],
    /// Rows and columns of the component.
    size: [usize; 2],
    /// The first sample and how many of a row of luma are wanted.
    left: usize,
    width: usize,
    /// The two rows with a sample more on both sides.
    near: Vec<u8>,
    far: Vec<u8>,
    wide: Vec<u8>,
    room: Vec<u16>,
}

impl<'a> Chroma<'a> {
    fn new(frame: &Frame, plane: &'a Plane, left: usize, width: usize) -> Chroma<'a> {
        let ratio = frame.components[0].sampling;
        let size = [frame.size[0].div_ceil(ratio[0]), frame.size[1].div_ceil(ratio[1])];
        let samples = (left + width).div_ceil(ratio[1]) - left / ratio[1];
        let empty = || vec![0; samples + 2];
        let wide = vec![0; samples * ratio[1]];
        Chroma { plane, ratio, size, left, width, near: empty(), far: empty(), wide, room: Vec::new() }
    }

    /// The samples for row `y` of luma.
    fn row(&mut self, y: usize) -> &[u8] {
        let [down, across] = self.ratio;
        let (first, centre) = (self.left / across, y / down);
        // As libjpeg does with so few columns, for which its filter has no room.
        let narrow = across == 2 && self.size[1] <= 2;
        if (down, across) == (1, 1) {
            return self.plane.row(y, self.left, self.width);
        }
        padded(self.plane, self.size[1], centre, first, &mut self.near);
        if narrow {
            for (i, out) in self.wide.iter_mut().enumerate() {
                *out = self.near[1 + i / across];
            }
        } else {
            let half = if y.is_multiple_of(2) { Half::Upper } else { Half::Lower };
            let beside = match half {
                Half::Upper => centre.saturating_sub(1),
                Half::Lower => (centre + 1).min(self.size[0] - 1),
            };
            if down == 2 {
                padded(self.plane, self.size[1], beside, first, &mut self.far);
            }
            let far = (down == 2).then_some((self.far.as_slice(), half));
            pictures::upsample(&self.near, far, across, &mut self.wide, &mut self.room);
        }
        let start = self.left - first * across;
        &self.wide[start..start + self.width]
    }
}

/// The samples of a row from the one before `first` on; those of the edge are repeated beyond it.
fn padded(plane: &Plane, width: usize, y: usize, first: usize, out: &mut [u8]) {
    let count = out.len();
    let before = usize::from(first > 0);
    let end = (first + count - 1).min(width);
    let row = plane.row(y, first - before, end - (first - before));
    out[1 - before..][..row.len()].copy_from_slice(row);
    if before == 0 {
        out[0] = row[0];
    }
    let filled = 1 - before + row.len();
    out[filled..].fill(row[row.len() - 1]);
}
