//! Layers as tch modules. Every argument is explicit: tch's defaults are not PyTorch's.

use crate::arch::layer::{Act, Layer, Op};
use crate::arch::shape::Shape;
use crate::arch::window::{Pad, Padding, Window};
use crate::torch::TorchError;
use crate::torch::fused::{self, WindowGeometry};
use tch::nn::{ModuleT, SequentialT};
use tch::{Kind, Tensor};

/// Appends a layer other than a convolution or a normalisation to a chain; `tensors` are the layer's, in the order of
/// [`Layer::params`]. With `rewrite` it may be carried out by an operation of our own.
pub fn add(chain: SequentialT, layer: &Layer, tensors: Vec<Tensor>, rewrite: bool) -> SequentialT {
    let mut tensors = tensors.into_iter();
    let mut next = || tensors.next();
    match &layer.op {
        // Made as units: see `Builder::add`.
        Op::Conv(_) | Op::BatchNorm { .. } => chain,
        Op::Linear { .. } => match next() {
            Some(weight) => chain.add(Linear { weight, bias: next() }),
            None => chain,
        },
        Op::MaxPool(window) => {
            let slide = Slide::new(window, layer.input, f64::NEG_INFINITY);
            let moves = moves(window, layer.input, layer.output);
            // Our own remembers the tap in a byte.
            let few = rewrite && window.kernel.h * window.kernel.w <= 256;
            let map = <[usize; 2]>::from(sides(layer.input)).map(|side| side as i64);
            // Over a map of one pixel a window finds that pixel.
            if rewrite && moves.out == [1, 1] && sides(layer.input) == (1, 1) {
                return chain;
            }
            chain.add_fn(move |x| {
                if few && fused::supports(x) && x.size().get(2..) == Some(&map[..]) {
                    return or_panic(fused::max_pool(x, slide.kernel, &moves));
                }
                slide.padded(x).max_pool2d(slide.kernel, slide.stride, slide.pad, [1, 1], slide.ceil)
            })
        }
        Op::AvgPool(window) => {
            let slide = Slide::new(window, layer.input, 0.0);
            let same = window.padding == Padding::Same;
            chain.add_fn(move |x| {
                let means = slide.mean(&slide.padded(x));
                if same { means * slide.area_over_pixels(x) } else { means }
            })
        }
        Op::GlobalAvgPool => chain.add_fn(|x| x.mean_dim([2i64, 3].as_slice(), false, None)),
        Op::AdaptiveAvgPool { size } => {
            let size = *size as i64;
            chain.add_fn(move |x| x.adaptive_avg_pool2d([size, size]))
        }
        Op::Flatten => chain.add_fn(|x| x.flatten(1, -1)),
        Op::Act(act) => match act {
            Act::None => chain,
            Act::Relu => chain.add_fn(Tensor::relu),
            Act::Relu6 => chain.add_fn(|x| x.clamp(0.0, 6.0)),
            Act::Silu => chain.add_fn(Tensor::silu),
            Act::Sigmoid => chain.add_fn(Tensor::sigmoid),
        },
        Op::Dropout { rate } => {
            let rate = *rate;
            chain.add_fn_t(move |x, train| x.dropout(rate, train))
        }
        Op::Scale { factor } => {
            let factor = *factor;
            chain.add_fn(move |x| x * factor)
        }
        Op::Lrn { size, alpha, beta, k } => {
            let (size, alpha, beta, k) = (*size as i64, *alpha, *beta, *k);
            chain.add_fn(move |x| {
                if rewrite && fused::supports(x) {
                    return or_panic(fused::lrn(x, size, alpha, beta, k));
                }
                fused::plain_lrn(x, size, alpha, beta, k)
            })
        }
        Op::PadShortcut { stride, average, .. } => {
            let (stride, average) = (*stride as i64, *average);
            let channels = layer.output.channels() as i64;
            let missing = channels - layer.input.channels() as i64;
            chain.add_fn(move |x| {
                if rewrite && !average && fused::supports(x) {
                    return or_panic(fused::subsample(x, channels, stride));
                }
                let small = match (stride, average) {
                    (1, _) => x.shallow_clone(),
                    (_, true) => x.avg_pool2d([stride, stride], [stride, stride], [0, 0], true, false, None::<i64>),
                    (_, false) => x.slice(2, None, None, stride).slice(3, None, None, stride),
                };
                small.constant_pad_nd([0, 0, 0, 0, 0, missing])
            })
        }
    }
}

/// Height and width of a map; a vector counts as one pixel.
pub fn sides(shape: Shape) -> (usize, usize) {
    match shape {
        Shape::Map { h, w, .. } => (h, w),
        Shape::Vector { .. } => (1, 1),
    }
}

/// How a window moves over a map of known size.
pub fn moves(window: &Window, input: Shape, output: Shape) -> WindowGeometry {
    let ((h, w), (out_h, out_w)) = (sides(input), sides(output));
    let pad = window.pad(h, w);
    let pair = |h: usize, w: usize| [h as i64, w as i64];
    WindowGeometry {
        stride: pair(window.stride.h, window.stride.w),
        before: pair(pad.top, pad.left),
        out: pair(out_h, out_w),
    }
}

/// Modules cannot return errors: like tch's own operations, ours panic, and [`crate::torch::catch`] makes an error of it.
pub fn or_panic<T>(result: Result<T, TorchError>) -> T {
    match result {
        Ok(done) => done,
        Err(error) => crate::torch::throw(error),
    }
}

/// Padding that libtorch's kernels do not take because its sides differ: left, right, top, bottom.
pub fn by_hand(pad: Pad) -> Option<[i64; 4]> {
    (!pad.symmetric()).then_some([pad.left, pad.right, pad.top, pad.bottom].map(|n| n as i64))
}

/// A pooling window's numbers as tch takes them; padding that differs between sides is added by hand.
#[derive(Debug)]
struct Slide {
    kernel: [i64; 2],
    stride: [i64; 2],
    pad: [i64; 2],
    by_hand: Option<[i64; 4]>,
    fill: f64,
    ceil: bool,
}

impl Slide {
    fn new(window: &Window, input: Shape, fill: f64) -> Slide {
        let (h, w) = sides(input);
        let pad = window.pad(h, w);
        let pair = |h: usize, w: usize| [h as i64, w as i64];
        let by_hand = by_hand(pad);
        Slide {
            kernel: pair(window.kernel.h, window.kernel.w),
            stride: pair(window.stride.h, window.stride.w),
            pad: if by_hand.is_some() { [0, 0] } else { pair(pad.top, pad.left) },
            by_hand,
            fill,
            ceil: window.ceil,
        }
    }

    fn padded(&self, x: &Tensor) -> Tensor {
        match self.by_hand {
            None => x.shallow_clone(),
            Some(pad) => x.pad(pad, "constant", self.fill),
        }
    }

    /// Means over the windows of a map that is padded by hand where its sides differ; padding counts as zeros.
    fn mean(&self, padded: &Tensor) -> Tensor {
        padded.avg_pool2d(self.kernel, self.stride, self.pad, self.ceil, true, None::<i64>)
    }

    /// For each window its area over the number of pixels of `x` in it, `[1, 1, H, W]`: turns means that count padding as
    /// zeros into means over pixels. The quotients of small kernels are exact in bfloat16 too.
    fn area_over_pixels(&self, x: &Tensor) -> Tensor {
        let size = x.size();
        let ones = Tensor::ones([1, 1, size[2], size[3]], (Kind::Double, x.device()));
        self.mean(&self.padded(&ones)).reciprocal().to_kind(x.kind())
    }
}

#[derive(Debug)]
struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl ModuleT for Linear {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        x.linear(&self.weight, self.bias.as_ref())
    }
}
