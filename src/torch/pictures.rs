//! Inner loops on pixels, compiled for each instruction set: what a JPEG decoder and a resampler spend their time in. The
//! results are the same bits on every processor.

use super::ffi;
use std::ffi::c_int;

/// Coefficients of a block, rows of eight.
pub const BLOCK: usize = 64;

/// The inverse DCT of a row of blocks, written to the first eight rows of `out`, `ld` bytes apart. `last` has for each block the
/// place, in zigzag order, of its last coefficient that is not zero.
///
/// # Panics
/// When there are not [`BLOCK`] coefficients for each block, or `out` has no room for them.
pub fn inverse_dct(coefficients: &[i16], last: &[u8], quantizer: &[i16; BLOCK], out: &mut [u8], ld: usize) {
    assert!(
        coefficients.len() == BLOCK * last.len() && 8 * last.len() <= ld && 8 * ld <= out.len(),
        "blocks do not fit"
    );
    let (count, out) = (last.len() as i64, out.as_mut_ptr());
    // SAFETY: the lengths are checked above.
    unsafe { ffi::strata_blocks(coefficients.as_ptr(), last.as_ptr(), quantizer.as_ptr(), count, out, ld as i64) }
}

/// The row of chroma that lies in the upper or lower half of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    Upper = 1,
    Lower = 2,
}

/// Brings a row of chroma to luma's resolution by libjpeg's triangle filter. `near` has one sample more than needed on both
/// sides, as has `far`, the row beside it on the side of `half`, where chroma has fewer rows than luma. `across` is 1 or 2.
///
/// # Panics
/// When the lengths do not fit each other, or nothing is to be done.
pub fn upsample(near: &[u8], far: Option<(&[u8], Half)>, across: usize, out: &mut [u8], workspace: &mut Vec<u16>) {
    let count = near.len().checked_sub(2).filter(|&count| count > 0).expect("a sample on both sides");
    assert!(matches!(across, 1 | 2) && out.len() == across * count, "rows do not fit");
    assert!(far.map_or(across == 2, |(far, _)| far.len() == near.len()), "rows do not fit");
    workspace.resize(near.len(), 0);
    let down = far.map_or(0, |(_, half)| half as c_int);
    let far = far.map_or(near, |(far, _)| far).as_ptr();
    let (out, workspace) = (out.as_mut_ptr(), workspace.as_mut_ptr());
    // SAFETY: the lengths are checked above; `workspace` holds as many numbers as `near`.
    unsafe { ffi::strata_chroma(near.as_ptr(), far, count as i64, across as c_int, down, out, workspace) }
}

/// YCbCr to RGB, as libjpeg converts it.
///
/// # Panics
/// When the rows are not all as long as `ycc[0]`.
pub fn to_rgb(ycc: [&[u8]; 3], [r, g, b]: [&mut [u8]; 3]) {
    let count = ycc[0].len();
    let all = [ycc[1].len(), ycc[2].len(), r.len(), g.len(), b.len()];
    assert!(all.iter().all(|&length| length == count), "rows do not fit");
    let ([y, cb, cr], count) = (ycc.map(<[u8]>::as_ptr), count as i64);
    // SAFETY: the lengths are checked above; the outputs are borrowed mutably, so that they do not overlap.
    unsafe { ffi::strata_colours(y, cb, cr, count, r.as_mut_ptr(), g.as_mut_ptr(), b.as_mut_ptr()) }
}

/// Weighted means along one axis: output i is the mean of `reach` inputs from `first[i]` on.
#[derive(Clone, Copy, Debug)]
pub struct Taps<'a> {
    pub first: &'a [i64],
    pub weights: &'a [f32],
    pub reach: usize,
}

impl Taps<'_> {
    fn check(&self, inputs: usize) {
        let within = |&first: &i64| first >= 0 && first as usize + self.reach <= inputs;
        assert!(self.weights.len() == self.first.len() * self.reach, "weights do not fit");
        assert!(self.reach > 0 && self.first.iter().all(within), "taps reach over the edge");
    }

    fn raw(&self) -> ffi::Taps {
        let (first, weights) = (self.first.as_ptr(), self.weights.as_ptr());
        ffi::Taps { first, weights, count: self.first.len() as i64, reach: self.reach as i64 }
    }
}

/// Resamples a plane of rows `ld` bytes apart, of which `width` bytes are used, to rows without gaps.
///
/// # Panics
/// When taps reach over the edge of `plane`, or `out` has not the size that they give.
pub fn resample(
    plane: &[u8],
    width: usize,
    ld: usize,
    down: Taps,
    across: Taps,
    out: &mut [u8],
    workspace: &mut Vec<f32>,
) {
    assert!(width <= ld && ld > 0, "rows overlap");
    let rows = plane.len().saturating_sub(width) / ld + usize::from(plane.len() >= width);
    down.check(rows);
    across.check(width);
    assert!(out.len() == down.first.len() * across.first.len(), "the output has another size");
    workspace.resize(workspace.len().max(8 * width + rows.next_multiple_of(8) * across.first.len()), 0.0);
    let (plane, rows, out, workspace) = (plane.as_ptr(), rows as i64, out.as_mut_ptr(), workspace.as_mut_ptr());
    // SAFETY: the lengths are checked above.
    unsafe { ffi::strata_resample(plane, rows, width as i64, ld as i64, &down.raw(), &across.raw(), out, workspace) }
}
