//! Convolutions as they run: cropped kernels, matrix products, fused kernels.

use super::activations;
use super::batch_norm::BatchNorm;
use super::tensors::{Tensors, or_panic};
use super::window::{MAX_TAPS, uneven_padding, window_geometry};
use crate::arch::activations::Act;
use crate::arch::layer::Layer;
use crate::arch::ops::Conv;
use crate::arch::rewrite::ConvPlan;
use crate::arch::window::Pair;
use crate::torch::TorchError;
use crate::torch::fused::{self, Activation, Kernel, WindowGeometry};
use tch::Tensor;

/// A convolution and the ways to compute it that the network's shapes allow.
#[derive(Debug)]
pub(super) struct Convolution {
    weight: Tensor,
    bias: Option<Tensor>,
    /// The part of the kernel that can touch the map, if not all of it: first row, rows, first column, columns.
    crop: Option<[i64; 4]>,
    /// Left, right, top, bottom, where padding differs between sides.
    uneven_pad: Option<[i64; 4]>,
    pad: [i64; 2],
    stride: [i64; 2],
    groups: i64,
    /// One tap at every pixel: a matrix product over pixels.
    dense: bool,
    strided_1x1: bool,
    fused: Option<FusedKernel>,
    /// Height and width of the input that the network was built for.
    map: [i64; 2],
}

/// A kernel of [`fused`] that computes the convolution.
#[derive(Clone, Copy, Debug)]
enum FusedKernel {
    Products(WindowGeometry),
    /// Height and width of the convolution's kernel.
    Depthwise([i64; 2], WindowGeometry),
}

impl FusedKernel {
    /// The kernel that supports such a layer, if there is one.
    fn supporting(layer: &Layer, conv: &Conv) -> Option<FusedKernel> {
        let (inputs, kernel) = (layer.input.channels(), conv.window.kernel);
        let geometry = window_geometry(&conv.window, layer.input, layer.output);
        if kernel.h * kernel.w > MAX_TAPS {
            return None;
        }
        if conv.groups == inputs && conv.width == inputs && inputs > 1 {
            return Some(FusedKernel::Depthwise([kernel.h as i64, kernel.w as i64], geometry));
        }
        // The matrix products compute output channels in pairs; an odd number of input channels is padded. Groups of fewer than
        // four channels would be multiplied by zeros for the most part.
        let wide = conv.groups == 1 || inputs / conv.groups >= 4;
        (wide && conv.width.is_multiple_of(2)).then_some(FusedKernel::Products(geometry))
    }
}

impl Convolution {
    /// With `rewrite` it may be computed by [`ConvPlan::rewritten`] and by a fused kernel.
    ///
    /// # Errors
    /// When there is no weight among the tensors.
    pub(super) fn new(
        layer: &Layer,
        conv: &Conv,
        rewrite: bool,
        mut tensors: Tensors,
    ) -> Result<Convolution, TorchError> {
        let plan = match rewrite {
            true => ConvPlan::rewritten(conv, layer.input, layer.output),
            false => ConvPlan::plain(conv, layer.input),
        };
        let ConvPlan { first, taps, pad, dense } = plan;
        let crop = (taps != conv.window.kernel).then_some([first.h, taps.h, first.w, taps.w].map(|n| n as i64));
        let uneven_pad = uneven_padding(pad);
        Ok(Convolution {
            weight: tensors.take("weight")?,
            bias: tensors.take_optional("bias"),
            crop,
            uneven_pad,
            pad: if uneven_pad.is_some() { [0, 0] } else { [pad.top as i64, pad.left as i64] },
            stride: [conv.window.stride.h as i64, conv.window.stride.w as i64],
            groups: conv.groups as i64,
            dense,
            strided_1x1: taps == Pair::square(1) && conv.window.stride != Pair::square(1) && uneven_pad.is_none(),
            fused: FusedKernel::supporting(layer, conv).filter(|_| rewrite),
            map: <[usize; 2]>::from(layer.input.sides()).map(|side| side as i64),
        })
    }

    /// The fused kernel for such an input, if there is one.
    fn fused_for(&self, x: &Tensor) -> Option<FusedKernel> {
        let fits = x.size().get(2..) == Some(&self.map[..]);
        self.fused.filter(|_| fits && fused::supports(x))
    }

    /// The convolution, and whether the ReLU that `relu` asks for was applied.
    pub(super) fn forward(&self, x: &Tensor, relu: bool) -> (Tensor, bool) {
        match self.fused_for(x) {
            Some(FusedKernel::Products(geometry)) => {
                (or_panic(fused::conv(x, &self.weight, self.bias.as_ref(), &geometry, relu)), relu)
            }
            Some(FusedKernel::Depthwise(kernel, geometry)) => {
                (or_panic(fused::depthwise(x, &self.weight, self.bias.as_ref(), kernel, &geometry)), false)
            }
            None => (self.by_libtorch(x), false),
        }
    }

    /// act(factor · conv(x) + shortcut).
    pub(super) fn forward_sum(&self, x: &Tensor, factor: f64, shortcut: &Tensor, act: Act) -> Tensor {
        if let (Some(FusedKernel::Products(geometry)), Act::None | Act::Relu) = (self.fused_for(x), act) {
            let (bias, relu) = (self.bias.as_ref(), act == Act::Relu);
            return or_panic(fused::conv_sum(x, &self.weight, bias, (factor, shortcut), &geometry, relu));
        }
        let (y, _) = self.forward(x, false);
        activations::apply_to_sum(act, if factor == 1.0 { y } else { y * factor }, Some(shortcut))
    }

    /// act(norm(conv(x)) + add) with running statistics in one pass; `None` where no kernel does that, and while a graph for
    /// the backward pass is recorded.
    pub(super) fn evaluated(
        &self,
        x: &Tensor,
        norm: &BatchNorm,
        add: Option<&Tensor>,
        act: Activation,
    ) -> Option<Tensor> {
        let fused = self.fused_for(x).filter(|_| !fused::records())?;
        let (depthwise, window) = match &fused {
            FusedKernel::Products(window) => (None, window),
            FusedKernel::Depthwise(kernel, window) if add.is_none() => (Some(*kernel), window),
            FusedKernel::Depthwise(..) => return None,
        };
        let kernel = Kernel { weight: &self.weight, bias: self.bias.as_ref(), depthwise, window };
        Some(or_panic(fused::conv_norm(x, &kernel, &norm.numbers(), (&norm.mean, &norm.var), add, act)))
    }

    fn by_libtorch(&self, x: &Tensor) -> Tensor {
        let cropped = self.crop.map(|[top, h, left, w]| self.weight.narrow(2, top, h).narrow(3, left, w));
        let weight = cropped.as_ref().unwrap_or(&self.weight);
        if self.dense {
            // With channels last a pixel is a row of a matrix, so nothing is copied before or after.
            let rows = x.permute([0, 2, 3, 1]);
            return rows.linear(&weight.flatten(1, -1), self.bias.as_ref()).permute([0, 3, 1, 2]);
        }
        if self.strided_1x1 && self.pad == [0, 0] {
            // libtorch 2.13's kernels for the weight gradient of a strided 1x1 convolution write past their memory: that for
            // AVX2 where there are fewer than 8 input channels, channels last, that for bf16 where the threads do not divide
            // the batch. So the pixels are picked first.
            let picked = x.slice(2, None, None, self.stride[0]).slice(3, None, None, self.stride[1]).contiguous();
            return picked.conv2d(weight, self.bias.as_ref(), [1, 1], [0, 0], [1, 1], self.groups);
        }
        let padded = self.uneven_pad.map(|pad| x.pad(pad, "constant", 0.0));
        let (x, stride, pad) = self.without_idle_strides(padded.as_ref().unwrap_or(x), weight);
        x.conv2d(weight, self.bias.as_ref(), stride, pad, [1, 1], self.groups)
    }

    /// Input, strides and padding, with a stride of 1 along each side where the output has one pixel. libtorch 2.13's bf16
    /// convolutions read uninitialised memory where such an output has another stride (PyTorch gives NaN too).
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
