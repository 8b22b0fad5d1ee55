//! How one training image is seen: what the augmentations drew for it.

/// The image is first cut out by `resized_crop` and resized, where there is one; then the view, of the size of the image, is
/// laid on it (its corner may be outside) and mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) struct View {
    pub down: isize,
    pub right: isize,
    pub flip: bool,
    /// The key that [`ResizedCrop::window`](super::ResizedCrop::window) draws from.
    pub resized_crop: Option<u64>,
}

impl View {
    pub(crate) const WHOLE: View = View { down: 0, right: 0, flip: false, resized_crop: None };

    /// Writes the view of one plane, rows of `width` bytes, through the table; pixels outside the plane are 0.
    pub(crate) fn copy(self, source: &[u8], out: &mut [f32], width: usize, table: &[f32; 256]) {
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
