//! Pooling over a sliding window.

use super::tensors::or_panic;
use super::window::{MAX_TAPS, uneven_padding, window_geometry};
use crate::arch::layer::Layer;
use crate::arch::shape::Shape;
use crate::arch::window::{Padding, Window};
use crate::torch::fused;
use tch::nn::SequentialT;
use tch::{Kind, Tensor};

pub(super) fn max_pool(chain: SequentialT, layer: &Layer, window: &Window, fused: bool) -> SequentialT {
    let slide = Slide::new(window, layer.input, f64::NEG_INFINITY);
    let geometry = window_geometry(window, layer.input, layer.output);
    let fused_kernel = fused && window.kernel.h * window.kernel.w <= MAX_TAPS;
    let map = <[usize; 2]>::from(layer.input.sides()).map(|side| side as i64);
    // Over a map of one pixel the maximum is that pixel.
    if fused && layer.input.sides() == (1, 1) && layer.output.sides() == (1, 1) {
        return chain;
    }
    chain.add_fn(move |x| {
        if fused_kernel && fused::supports(x) && x.size().get(2..) == Some(&map[..]) {
            return or_panic(fused::max_pool(x, slide.kernel, &geometry));
        }
        slide.padded(x).max_pool2d(slide.kernel, slide.stride, slide.pad, [1, 1], slide.ceil)
    })
}

pub(super) fn avg_pool(chain: SequentialT, layer: &Layer, window: &Window) -> SequentialT {
    let slide = Slide::new(window, layer.input, 0.0);
    let same = window.padding == Padding::Same;
    chain.add_fn(move |x| {
        let means = slide.mean(&slide.padded(x));
        if same { means * slide.area_over_pixels(x) } else { means }
    })
}

/// A pooling window as tch's arguments. Padding that differs between sides is added in front of the operation.
#[derive(Debug)]
struct Slide {
    kernel: [i64; 2],
    stride: [i64; 2],
    pad: [i64; 2],
    /// Left, right, top, bottom, where padding differs between sides.
    uneven: Option<[i64; 4]>,
    fill: f64,
    ceil: bool,
}

impl Slide {
    fn new(window: &Window, input: Shape, fill: f64) -> Slide {
        let (h, w) = input.sides();
        let pad = window.pad(h, w);
        let pair = |h: usize, w: usize| [h as i64, w as i64];
        let uneven = uneven_padding(pad);
        Slide {
            kernel: pair(window.kernel.h, window.kernel.w),
            stride: pair(window.stride.h, window.stride.w),
            pad: if uneven.is_some() { [0, 0] } else { pair(pad.top, pad.left) },
            uneven,
            fill,
            ceil: window.ceil,
        }
    }

    fn padded(&self, x: &Tensor) -> Tensor {
        match self.uneven {
            None => x.shallow_clone(),
            Some(pad) => x.pad(pad, "constant", self.fill),
        }
    }

    /// Means over the windows of a map that [`Slide::padded`] returned; padding counts as zeros.
    fn mean(&self, padded: &Tensor) -> Tensor {
        padded.avg_pool2d(self.kernel, self.stride, self.pad, self.ceil, true, None::<i64>)
    }

    /// The area of each window divided by the number of pixels of `x` in it, `[1, 1, H, W]`: the factor that turns means that
    /// count padding into means over pixels. For small kernels it is exact even in bfloat16.
    fn area_over_pixels(&self, x: &Tensor) -> Tensor {
        let size = x.size();
        let ones = Tensor::ones([1, 1, size[2], size[3]], (Kind::Double, x.device()));
        self.mean(&self.padded(&ones)).reciprocal().to_kind(x.kind())
    }
}
