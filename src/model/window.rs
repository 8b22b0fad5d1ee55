//! Windows as numbers for libtorch.

use crate::arch::shape::Shape;
use crate::arch::window::{Pad, Window};
use crate::torch::fused::WindowGeometry;

/// The largest kernel area of the fused kernels that store the position of a tap in a byte.
pub(super) const MAX_TAPS: usize = 256;

/// How a window moves over a map of known size.
pub(super) fn window_geometry(window: &Window, input: Shape, output: Shape) -> WindowGeometry {
    let ((h, w), (out_h, out_w)) = (input.sides(), output.sides());
    let pad = window.pad(h, w);
    let pair = |h: usize, w: usize| [h as i64, w as i64];
    WindowGeometry {
        stride: pair(window.stride.h, window.stride.w),
        before: pair(pad.top, pad.left),
        out: pair(out_h, out_w),
    }
}

/// Padding that libtorch's kernels do not take because its sides differ: left, right, top, bottom.
pub(super) fn uneven_padding(pad: Pad) -> Option<[i64; 4]> {
    (!pad.symmetric()).then_some([pad.left, pad.right, pad.top, pad.bottom].map(|n| n as i64))
}
