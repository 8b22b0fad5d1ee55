//! Layers as tch modules. Every argument is explicit: tch's defaults are not PyTorch's.

use crate::arch::layer::{Act, Conv, Layer, Op};
use crate::arch::rewrite::ConvPlan;
use crate::arch::shape::Shape;
use crate::arch::window::{Pad, Pair, Window};
use tch::Tensor;
use tch::nn::{ModuleT, SequentialT};

/// Appends a layer to a chain; `tensors` are the layer's, in the order of [`Layer::params`]. With `rewrite`, convolutions
/// are carried out as [`ConvPlan::rewritten`] says.
pub fn add(chain: SequentialT, layer: &Layer, tensors: Vec<Tensor>, rewrite: bool) -> SequentialT {
    let mut tensors = tensors.into_iter();
    let mut next = || tensors.next();
    match &layer.op {
        Op::Conv(conv) => match next() {
            Some(weight) => {
                let plan = if rewrite {
                    ConvPlan::rewritten(conv, layer.input, layer.output)
                } else {
                    ConvPlan::plain(conv, layer.input)
                };
                chain.add(Convolution::new(conv, plan, weight, next()))
            }
            None => chain,
        },
        Op::Linear { .. } => match next() {
            Some(weight) => chain.add(Linear { weight, bias: next() }),
            None => chain,
        },
        Op::BatchNorm { eps, momentum, .. } => {
            let (gamma, beta, mean, var) = (next(), next(), next(), next());
            chain.add(BatchNorm { gamma, beta, mean, var, eps: *eps, momentum: *momentum })
        }
        Op::MaxPool(window) => {
            let slide = Slide::new(window, layer.input, f64::NEG_INFINITY);
            chain.add_fn(move |x| slide.padded(x).max_pool2d(slide.kernel, slide.stride, slide.pad, [1, 1], slide.ceil))
        }
        Op::AvgPool(window) => {
            let slide = Slide::new(window, layer.input, 0.0);
            chain.add_fn(move |x| {
                slide.padded(x).avg_pool2d(slide.kernel, slide.stride, slide.pad, slide.ceil, true, None::<i64>)
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
            chain.add_fn(move |x| local_response_norm(x, size, alpha, beta, k))
        }
        Op::PadShortcut { stride, average, .. } => {
            let (stride, average) = (*stride as i64, *average);
            let missing = layer.output.channels() as i64 - layer.input.channels() as i64;
            chain.add_fn(move |x| {
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

/// x / (k + α · mean over `size` neighbouring channels of x²)^β, zeros beyond the first and last channel: the form of
/// Caffe and PyTorch, whose α is `size` times that of the AlexNet paper.
fn local_response_norm(x: &Tensor, size: i64, alpha: f64, beta: f64, k: f64) -> Tensor {
    let squares = (x * x).unsqueeze(1).constant_pad_nd([0, 0, 0, 0, size / 2, (size - 1) / 2]);
    let mean = squares.avg_pool3d([size, 1, 1], [1, 1, 1], [0, 0, 0], false, true, None::<i64>).squeeze_dim(1);
    x / (mean * alpha + k).pow_tensor_scalar(beta)
}

/// Padding that libtorch's kernels do not take because its sides differ: left, right, top, bottom.
fn by_hand(pad: Pad) -> Option<[i64; 4]> {
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
        let (h, w) = match input {
            Shape::Map { h, w, .. } => (h, w),
            Shape::Vector { .. } => (1, 1),
        };
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
}

#[derive(Debug)]
struct Convolution {
    weight: Tensor,
    bias: Option<Tensor>,
    /// Rows and columns of the kernel that are used, where that is not all of them: first row, rows, first column, columns.
    crop: Option<[i64; 4]>,
    by_hand: Option<[i64; 4]>,
    pad: [i64; 2],
    stride: [i64; 2],
    groups: i64,
    dense: bool,
    thin: bool,
}

impl Convolution {
    fn new(conv: &Conv, plan: ConvPlan, weight: Tensor, bias: Option<Tensor>) -> Convolution {
        let inputs = weight.size().get(1).copied().unwrap_or(0) * conv.groups as i64;
        let ConvPlan { first, taps, pad, dense } = plan;
        let crop = (taps != conv.window.kernel).then_some([first.h, taps.h, first.w, taps.w].map(|n| n as i64));
        let by_hand = by_hand(pad);
        Convolution {
            weight,
            bias,
            crop,
            by_hand,
            pad: if by_hand.is_some() { [0, 0] } else { [pad.top as i64, pad.left as i64] },
            stride: [conv.window.stride.h as i64, conv.window.stride.w as i64],
            groups: conv.groups as i64,
            dense,
            thin: taps == Pair::square(1) && conv.window.stride != Pair::square(1) && by_hand.is_none() && inputs < 8,
        }
    }
}

impl ModuleT for Convolution {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let cropped = self.crop.map(|[top, h, left, w]| self.weight.narrow(2, top, h).narrow(3, left, w));
        let weight = cropped.as_ref().unwrap_or(&self.weight);
        if self.dense {
            // Channels last, a pixel is a row of a matrix: no copy before or after.
            let rows = x.permute([0, 2, 3, 1]);
            return rows.linear(&weight.flatten(1, -1), self.bias.as_ref()).permute([0, 3, 1, 2]);
        }
        if self.thin && self.pad == [0, 0] {
            // libtorch 2.13's AVX2 kernel for the weight gradient of a strided 1x1 convolution writes past its memory where
            // there are fewer than 8 input channels, channels last. So the pixels are picked first.
            let picked = x.slice(2, None, None, self.stride[0]).slice(3, None, None, self.stride[1]).contiguous();
            return picked.conv2d(weight, self.bias.as_ref(), [1, 1], [0, 0], [1, 1], self.groups);
        }
        let padded = self.by_hand.map(|pad| x.pad(pad, "constant", 0.0));
        padded.as_ref().unwrap_or(x).conv2d(weight, self.bias.as_ref(), self.stride, self.pad, [1, 1], self.groups)
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

#[derive(Debug)]
struct BatchNorm {
    gamma: Option<Tensor>,
    beta: Option<Tensor>,
    mean: Option<Tensor>,
    var: Option<Tensor>,
    eps: f64,
    momentum: f64,
}

impl ModuleT for BatchNorm {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        let Self { gamma, beta, mean, var, .. } = self;
        // One value a channel has no variance: libtorch would make the running one NaN. It is normalised by what is known.
        let values = x.numel() as i64 / x.size().get(1).copied().unwrap_or(1).max(1);
        let train = train && values > 1;
        x.batch_norm(gamma.as_ref(), beta.as_ref(), mean.as_ref(), var.as_ref(), train, self.momentum, self.eps, true)
    }
}
