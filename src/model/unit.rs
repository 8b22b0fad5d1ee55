//! A convolution, the normalisation and the non-linearity behind it, and the sum with a shortcut: one module, so that they
//! can be carried out together.

use super::layers::{by_hand, moves, or_panic, sides};
use crate::arch::layer::{Act, Conv, Layer};
use crate::arch::rewrite::ConvPlan;
use crate::arch::window::Pair;
use crate::torch::fused::{self, Activation, Kernel, Norm, WindowGeometry};
use tch::Tensor;
use tch::nn::ModuleT;

/// act(norm(conv(x)) + shortcut), each part but one of conv and norm optional.
#[derive(Debug)]
pub struct Unit {
    pub conv: Option<Convolution>,
    pub norm: Option<BatchNorm>,
    pub act: Activation,
}

impl Unit {
    /// The unit with the shortcut `add` in the sum.
    pub fn forward_with(&self, x: &Tensor, add: Option<&Tensor>, train: bool) -> Tensor {
        if let (Some(conv), Some(norm), false) = (&self.conv, &self.norm, train)
            && let Some(y) = conv.evaluated(x, norm, add, self.act)
        {
            return y;
        }
        let relu_inside = self.norm.is_none() && add.is_none() && self.act == Activation::Relu;
        let convolved = self.conv.as_ref().map(|conv| conv.forward(x, relu_inside));
        let (y, act) = match convolved {
            Some((y, done)) => (y, if done { Activation::None } else { self.act }),
            None => (x.shallow_clone(), self.act),
        };
        if let Some(norm) = &self.norm {
            return norm.forward(&y, add, act, train);
        }
        act.apply(match add {
            Some(add) => y + add,
            None => y,
        })
    }
}

impl ModuleT for Unit {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        self.forward_with(x, None, train)
    }
}

/// The non-linearity of a layer as one that can ride along.
pub fn activation(act: Act) -> Option<Activation> {
    match act {
        Act::None => Some(Activation::None),
        Act::Relu => Some(Activation::Relu),
        Act::Relu6 => Some(Activation::Relu6),
        Act::Silu => Some(Activation::Silu),
        Act::Sigmoid => None,
    }
}

#[derive(Debug)]
pub struct Convolution {
    weight: Tensor,
    bias: Option<Tensor>,
    /// Rows and columns of the kernel that are used, where that is not all of them: first row, rows, first column, columns.
    crop: Option<[i64; 4]>,
    by_hand: Option<[i64; 4]>,
    pad: [i64; 2],
    stride: [i64; 2],
    groups: i64,
    dense: bool,
    /// A strided 1x1 convolution.
    picks: bool,
    own: Option<Own>,
    /// Height and width of the input that the network was built for.
    map: [i64; 2],
}

/// An operation of our own that carries the convolution out.
#[derive(Clone, Copy, Debug)]
enum Own {
    Products(WindowGeometry),
    /// With the kernel's height and width.
    Depthwise([i64; 2], WindowGeometry),
}

impl Own {
    fn of(layer: &Layer, conv: &Conv) -> Option<Own> {
        let (inputs, kernel) = (layer.input.channels(), conv.window.kernel);
        let moves = moves(&conv.window, layer.input, layer.output);
        // More taps than a byte tells apart are left to libtorch.
        if kernel.h * kernel.w > 256 {
            return None;
        }
        if conv.groups == inputs && conv.width == inputs && inputs > 1 {
            return Some(Own::Depthwise([kernel.h as i64, kernel.w as i64], moves));
        }
        // Products take the outputs in pairs; an odd number of inputs is filled up.
        (conv.groups == 1 && conv.width.is_multiple_of(2)).then_some(Own::Products(moves))
    }
}

impl Convolution {
    /// `rewrite` allows forms other than the layer as it is written.
    pub fn new(layer: &Layer, conv: &Conv, rewrite: bool, weight: Tensor, bias: Option<Tensor>) -> Convolution {
        let plan = match rewrite {
            true => ConvPlan::rewritten(conv, layer.input, layer.output),
            false => ConvPlan::plain(conv, layer.input),
        };
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
            picks: taps == Pair::square(1) && conv.window.stride != Pair::square(1) && by_hand.is_none(),
            own: Own::of(layer, conv).filter(|_| rewrite),
            map: <[usize; 2]>::from(sides(layer.input)).map(|side| side as i64),
        }
    }

    /// The operation of our own for such an input, where there is one on this processor.
    fn own_for(&self, x: &Tensor) -> Option<Own> {
        let fits = x.size().get(2..) == Some(&self.map[..]);
        let runs = |own: &Own| matches!(own, Own::Depthwise(..)) || fused::has_products(x);
        self.own.filter(|own| fits && fused::supports(x) && runs(own))
    }

    /// The convolution, and whether a relu that was asked for is done.
    fn forward(&self, x: &Tensor, relu: bool) -> (Tensor, bool) {
        match self.own_for(x) {
            Some(Own::Products(moves)) => {
                (or_panic(fused::conv(x, &self.weight, self.bias.as_ref(), &moves, relu)), relu)
            }
            Some(Own::Depthwise(kernel, moves)) => {
                (or_panic(fused::depthwise(x, &self.weight, self.bias.as_ref(), kernel, &moves)), false)
            }
            None => (self.plain(x), false),
        }
    }

    /// act(norm(conv(x)) + add) in one pass, where that can be had: in evaluation, recording no graph.
    fn evaluated(&self, x: &Tensor, norm: &BatchNorm, add: Option<&Tensor>, act: Activation) -> Option<Tensor> {
        let own = self.own_for(x).filter(|_| !fused::records())?;
        let (depthwise, moves) = match &own {
            Own::Products(moves) => (None, moves),
            Own::Depthwise(kernel, moves) if add.is_none() => (Some(*kernel), moves),
            Own::Depthwise(..) => return None,
        };
        let running = norm.mean.as_ref().zip(norm.var.as_ref())?;
        let kernel = Kernel { weight: &self.weight, bias: self.bias.as_ref(), depthwise, window: moves };
        Some(or_panic(fused::conv_norm(x, &kernel, &norm.numbers(), running, add, act)))
    }

    fn plain(&self, x: &Tensor) -> Tensor {
        let cropped = self.crop.map(|[top, h, left, w]| self.weight.narrow(2, top, h).narrow(3, left, w));
        let weight = cropped.as_ref().unwrap_or(&self.weight);
        if self.dense {
            // Channels last, a pixel is a row of a matrix: no copy before or after.
            let rows = x.permute([0, 2, 3, 1]);
            return rows.linear(&weight.flatten(1, -1), self.bias.as_ref()).permute([0, 3, 1, 2]);
        }
        if self.picks && self.pad == [0, 0] {
            // libtorch 2.13's kernels for the weight gradient of a strided 1x1 convolution write past their memory: that for
            // AVX2 where there are fewer than 8 input channels, channels last, that for bf16 where the threads do not divide
            // the batch. So the pixels are picked first.
            let picked = x.slice(2, None, None, self.stride[0]).slice(3, None, None, self.stride[1]).contiguous();
            return picked.conv2d(weight, self.bias.as_ref(), [1, 1], [0, 0], [1, 1], self.groups);
        }
        let padded = self.by_hand.map(|pad| x.pad(pad, "constant", 0.0));
        let (x, stride, pad) = self.without_idle_strides(padded.as_ref().unwrap_or(x), weight);
        x.conv2d(weight, self.bias.as_ref(), stride, pad, [1, 1], self.groups)
    }

    /// The input, strides and padding, where an output one pixel high or wide is had by a stride of 1: libtorch 2.13's bf16
    /// convolutions read memory that nobody wrote where such an output has another stride (PyTorch gives NaN too).
    fn without_idle_strides(&self, x: &Tensor, weight: &Tensor) -> (Tensor, [i64; 2], [i64; 2]) {
        let (mut x, mut stride, mut pad) = (x.shallow_clone(), self.stride, self.pad);
        for axis in 0..2 {
            let (dim, kernel) = (axis + 2, weight.size()[axis + 2]);
            if stride[axis] == 1 || x.size()[dim] + 2 * pad[axis] - kernel >= stride[axis] {
                continue;
            }
            let mut around = [0; 4]; // left, right, top, bottom
            around[2 - 2 * axis..4 - 2 * axis].fill(pad[axis]);
            x = x.constant_pad_nd(around).narrow(dim as i64, 0, kernel);
            (stride[axis], pad[axis]) = (1, 0);
        }
        (x, stride, pad)
    }
}

#[derive(Debug)]
pub struct BatchNorm {
    /// Missing where the network has `bn_scale = false`: γ is then 1.
    pub gamma: Option<Tensor>,
    pub beta: Option<Tensor>,
    pub mean: Option<Tensor>,
    pub var: Option<Tensor>,
    pub eps: f64,
    pub momentum: f64,
    /// Carry out what follows together with it.
    pub fused: bool,
}

impl BatchNorm {
    fn numbers(&self) -> Norm<'_> {
        let Self { gamma, beta, mean, var, eps, momentum, .. } = self;
        let [gamma, beta, mean, var] = [gamma, beta, mean, var].map(Option::as_ref);
        Norm { gamma, beta, mean, var, momentum: *momentum, eps: *eps }
    }

    fn forward(&self, x: &Tensor, add: Option<&Tensor>, act: Activation, train: bool) -> Tensor {
        // One value a channel has no variance: libtorch would make the running one NaN. It is normalised by what is known.
        let values = x.numel() as i64 / x.size().get(1).copied().unwrap_or(1).max(1);
        let train = train && values > 1;
        // Our operation and libtorch's take β together with γ.
        let ones = self.beta.as_ref().filter(|_| self.gamma.is_none()).map(|beta| beta.detach().ones_like());
        let norm = Norm { gamma: self.gamma.as_ref().or(ones.as_ref()), ..self.numbers() };
        // With a shortcut the derivative of the others cannot be told from the output.
        let together = add.is_none() || matches!(act, Activation::None | Activation::Relu);
        if self.fused && together && fused::supports(x) {
            return or_panic(fused::norm_act(x, add, &norm, act, train));
        }
        let Norm { gamma, beta, mean, var, momentum, eps } = norm;
        let y = x.batch_norm(gamma, beta, mean, var, train, momentum, eps, true);
        act.apply(match add {
            Some(add) => y + add,
            None => y,
        })
    }
}
