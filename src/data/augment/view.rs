//! How one training image is seen: what the augmentations drew for it.

use super::ops::PixelOp;
use super::patch::Patch;

/// In this order: the image is cut out by `resized_crop` and resized, where there is one; the view, of the size of the image, is
/// laid on it (its corner may be outside) and mirrored; then come the operations on bytes, the light, and after normalisation
/// the patches.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::data) struct View {
    /// Height and width of the image.
    pub size: [usize; 2],
    pub down: isize,
    pub right: isize,
    pub flip: bool,
    /// The key that [`ResizedCrop::window`](super::ResizedCrop::window) draws from.
    pub resized_crop: Option<u64>,
    pub ops: Vec<PixelOp>,
    /// Added to red, green and blue from 0 to 1.
    pub light: [f32; 3],
    pub patches: Vec<Patch>,
}

impl View {
    /// An image of this height and width as it is.
    pub(in crate::data) const fn whole(size: [usize; 2]) -> View {
        View {
            size,
            down: 0,
            right: 0,
            flip: false,
            resized_crop: None,
            ops: Vec::new(),
            light: [0.0; 3],
            patches: Vec::new(),
        }
    }

    /// Writes the planes of an image: `source` as bytes, `out` as the values of the tables, one a channel, for pixels that
    /// have the standard deviations `std`.
    pub(in crate::data) fn draw(&self, source: &[u8], out: &mut [f32], tables: &[[f32; 256]], std: &[f32]) {
        let [height, width] = self.size;
        let plane = (height * width).max(1);
        let mut edited = Vec::new();
        if !self.ops.is_empty() {
            edited.resize(source.len(), 0);
            let bytes: [u8; 256] = std::array::from_fn(|byte| byte as u8);
            let planes = source.chunks_exact(plane).zip(edited.chunks_exact_mut(plane));
            planes.for_each(|(source, out)| self.copy(source, out, width, &bytes));
            self.ops.iter().for_each(|op| op.apply(&mut edited, [tables.len(), height, width]));
        }
        for (c, (out, table)) in out.chunks_exact_mut(plane).zip(tables).enumerate() {
            let mut lit = *table;
            let light = self.light[c % 3] / std[c];
            if light != 0.0 {
                lit.iter_mut().for_each(|value| *value += light);
            }
            let part = c * plane..(c + 1) * plane;
            match edited.get(part.clone()) {
                None => self.copy(&source[part], out, width, &lit),
                Some(edited) => out.iter_mut().zip(edited).for_each(|(o, &p)| *o = lit[usize::from(p)]),
            }
            self.patches.iter().for_each(|patch| patch.paint(out, c, width, table));
        }
    }

    /// Writes the view of one plane, rows of `width` bytes, through the table; pixels outside the plane are 0.
    fn copy<T: Copy>(&self, source: &[u8], out: &mut [T], width: usize, table: &[T; 256]) {
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
