//! Operations that libtorch has in parts only: a convolution on a small map as matrix products over the batch, batch
//! normalisation with the sum and the non-linearity behind it, maximum pooling that remembers its taps in bytes, local
//! response normalisation in one pass, weights that evaluation lays out once. Forward and backward for bfloat16, float and
//! double on the CPU, channels last; the same numbers whatever the number of threads.

use std::ffi::c_int;
use std::marker::PhantomData;

use tch::{Device, Kind, Tensor};

use super::error::Result;
use super::ffi;

/// A non-linearity that rides along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    None,
    Relu,
    Relu6,
    Silu,
}

impl Activation {
    fn number(self) -> i64 {
        match self {
            Activation::None => 0,
            Activation::Relu => 1,
            Activation::Relu6 => 2,
            Activation::Silu => 3,
        }
    }

    /// The same as an operation of its own.
    pub fn apply(self, x: Tensor) -> Tensor {
        match self {
            Activation::None => x,
            Activation::Relu => x.relu(),
            Activation::Relu6 => x.clamp(0.0, 6.0),
            Activation::Silu => x.silu(),
        }
    }
}

/// Whether the operations here take such a tensor.
pub fn takes(x: &Tensor) -> bool {
    x.device() == Device::Cpu && x.dim() == 4 && matches!(x.kind(), Kind::BFloat16 | Kind::Float | Kind::Double)
}

/// Whether [`conv`] has its matrix products for this processor and the kind of number that `x` would be carried out in.
pub fn has_products(x: &Tensor) -> bool {
    let mut has: c_int = 0;
    // SAFETY: the handle is valid while borrowed, `has` is a valid place; the text is taken over by `check`.
    unsafe { ffi::check(ffi::strata_has_products(x.as_ptr(), &mut has)) }.is_ok() && has != 0
}

/// How a window moves: height, then width. Every window must reach the map or the pixel beside it: `before` is at most
/// the kernel, and the last window begins at most one pixel behind the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moves {
    pub stride: [i64; 2],
    /// Padding above and to the left; below and to the right it follows from the output.
    pub before: [i64; 2],
    /// Size of the output map.
    pub out: [i64; 2],
}

/// The convolution `[N, C, H, W]` → `[N, K, H', W']` with a weight `[K, C, h, w]`, a bias `[K]` and then no non-linearity or
/// relu. Under autocast it is carried out in bfloat16, with sums in float; K must then be even.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn conv(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, moves: &Moves, relu: bool) -> Result<Tensor> {
    let Moves { stride: [sh, sw], before: [top, left], out: [oh, ow] } = *moves;
    let sides = [sh, sw, top, left, oh, ow, i64::from(relu)];
    // SAFETY: the handles are valid while borrowed, `sides` has the seven numbers that are read; the shim stores an owned
    // tensor.
    unsafe {
        ffi::tensor_from(|out| ffi::strata_conv(x.as_ptr(), weight.as_ptr(), ffi::or_null(bias), sides.as_ptr(), out))
    }
}

/// What batch normalisation needs beside its input; tensors are `[C]`.
#[derive(Debug)]
pub struct Norm<'a> {
    pub gamma: Option<&'a Tensor>,
    pub beta: Option<&'a Tensor>,
    pub mean: Option<&'a Tensor>,
    pub var: Option<&'a Tensor>,
    /// The weight of the new batch in the running statistics.
    pub momentum: f64,
    pub eps: f64,
}

/// act(norm(x) + add): batch normalisation of `[N, C, H, W]`, with the statistics of the batch where `train`, which then
/// move the running ones. `add` goes with no non-linearity or relu only.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn norm_act(x: &Tensor, add: Option<&Tensor>, norm: &Norm, act: Activation, train: bool) -> Result<Tensor> {
    // SAFETY: the handles are valid while borrowed; the shim stores an owned tensor.
    unsafe {
        ffi::tensor_from(|out| {
            ffi::strata_norm_act(
                x.as_ptr(),
                ffi::or_null(add),
                ffi::or_null(norm.gamma),
                ffi::or_null(norm.beta),
                ffi::or_null(norm.mean),
                ffi::or_null(norm.var),
                norm.momentum,
                norm.eps,
                act.number() as c_int,
                c_int::from(train),
                out,
            )
        })
    }
}

/// The maximum over windows of `kernel` rows and columns, 256 taps at most; what lies outside the map does not count, and
/// no window may lie outside it altogether.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn max_pool(x: &Tensor, kernel: [i64; 2], moves: &Moves) -> Result<Tensor> {
    let sides = window(kernel, moves);
    // SAFETY: the handle is valid while borrowed, `sides` has the eight numbers that are read; the shim stores an owned
    // tensor.
    unsafe { ffi::tensor_from(|out| ffi::strata_max_pool(x.as_ptr(), sides.as_ptr(), out)) }
}

/// x / (k + alpha · mean over `size` neighbouring channels of x²)^beta, zeros beyond the first and the last channel: the form
/// of Caffe and PyTorch, whose alpha is `size` times that of the AlexNet paper.
///
/// # Errors
/// A window of no channels or of more than 2²⁰, tensors that are no maps, and those of libtorch.
pub fn lrn(x: &Tensor, size: i64, alpha: f64, beta: f64, k: f64) -> Result<Tensor> {
    // SAFETY: the handle is valid while borrowed; the shim stores an owned tensor.
    unsafe { ffi::tensor_from(|out| ffi::strata_lrn(x.as_ptr(), size, alpha, beta, k, out)) }
}

/// The same as operations of libtorch.
pub fn plain_lrn(x: &Tensor, size: i64, alpha: f64, beta: f64, k: f64) -> Tensor {
    let squares = (x * x).unsqueeze(1).constant_pad_nd([0, 0, 0, 0, size / 2, (size - 1) / 2]);
    let mean = squares.avg_pool3d([size, 1, 1], [1, 1, 1], [0, 0, 0], false, true, None::<i64>).squeeze_dim(1);
    x / (mean * alpha + k).pow_tensor_scalar(beta)
}

/// The convolution of every channel by itself, with a weight `[C, 1, h, w]` of the `kernel`'s height and width, 256 taps at
/// most, and a bias `[C]`.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn depthwise(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    kernel: [i64; 2],
    moves: &Moves,
) -> Result<Tensor> {
    let sides = window(kernel, moves);
    // SAFETY: the handles are valid while borrowed, `sides` has the eight numbers that are read; the shim stores an owned
    // tensor.
    unsafe {
        ffi::tensor_from(|out| {
            ffi::strata_depthwise(x.as_ptr(), weight.as_ptr(), ffi::or_null(bias), sides.as_ptr(), out)
        })
    }
}

/// Whether operations record a graph on this thread.
pub fn records() -> bool {
    // SAFETY: takes nothing and reads a flag of the thread.
    unsafe { ffi::strata_grad_enabled() != 0 }
}

/// While it lives, a trainable parameter that lies channels last is laid out for matrix products once, not in every batch.
/// For evaluation on this thread; a parameter that changes, by libtorch or by an optimizer's step, is laid out again.
#[derive(Debug)]
#[must_use = "weights are kept while it lives"]
pub struct KeptWeights(PhantomData<*const ()>);

impl KeptWeights {
    pub fn keep() -> KeptWeights {
        // SAFETY: counts up a number of this thread, which the value cannot leave.
        unsafe { ffi::strata_keep_weights() }
        KeptWeights(PhantomData)
    }
}

impl Drop for KeptWeights {
    fn drop(&mut self) {
        // SAFETY: counts the number down again; nothing borrows what is kept.
        unsafe { ffi::strata_forget_weights() }
    }
}

/// A convolution as [`norm_act`] follows it in evaluation.
#[derive(Debug)]
pub struct Kernel<'a> {
    pub weight: &'a Tensor,
    pub bias: Option<&'a Tensor>,
    /// Every channel by itself, with a kernel of this height and width.
    pub depthwise: Option<[i64; 2]>,
    pub moves: &'a Moves,
}

/// act(norm(conv(x)) + add) with running statistics, which must be there, in one pass: for evaluation, no graph is recorded.
/// A depthwise kernel takes no `add`.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn conv_norm(
    x: &Tensor,
    kernel: &Kernel,
    norm: &Norm,
    running: (&Tensor, &Tensor),
    add: Option<&Tensor>,
    act: Activation,
) -> Result<Tensor> {
    let Kernel { weight, bias, depthwise, moves } = *kernel;
    let Moves { stride: [sh, sw], before: [top, left], out: [oh, ow] } = *moves;
    let sides = match depthwise {
        None => vec![sh, sw, top, left, oh, ow, act.number()],
        Some(kernel) => window(kernel, moves).into_iter().chain([act.number()]).collect(),
    };
    let (mean, var) = running;
    // SAFETY: the handles are valid while borrowed, `sides` has the numbers that are read in either case; the shim stores an
    // owned tensor.
    unsafe {
        ffi::tensor_from(|out| {
            ffi::strata_conv_norm(
                x.as_ptr(),
                weight.as_ptr(),
                ffi::or_null(bias),
                ffi::or_null(norm.gamma),
                ffi::or_null(norm.beta),
                mean.as_ptr(),
                var.as_ptr(),
                norm.eps,
                ffi::or_null(add),
                c_int::from(depthwise.is_some()),
                sides.as_ptr(),
                out,
            )
        })
    }
}

/// Maps of one height, width and kind side by side along the channels.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn concat(parts: &[Tensor]) -> Result<Tensor> {
    let handles = ffi::handles(parts);
    // SAFETY: the handles are valid while borrowed; the shim stores an owned tensor.
    unsafe { ffi::tensor_from(|out| ffi::strata_concat(handles.len(), handles.as_ptr(), out)) }
}

/// Every `stride`-th pixel of a map, with zeros for the channels that are missing to `channels`: shortcut A (He et al. 2015).
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn subsample(x: &Tensor, channels: i64, stride: i64) -> Result<Tensor> {
    // SAFETY: the handle is valid while borrowed; the shim stores an owned tensor.
    unsafe { ffi::tensor_from(|out| ffi::strata_subsample(x.as_ptr(), channels, stride, out)) }
}

/// x · factor, with a factor `[N, C, 1, 1]` for maps `[N, C, H, W]`.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn gate(x: &Tensor, factor: &Tensor) -> Result<Tensor> {
    // SAFETY: the handles are valid while borrowed; the shim stores an owned tensor.
    unsafe { ffi::tensor_from(|out| ffi::strata_gate(x.as_ptr(), factor.as_ptr(), out)) }
}

/// A map and its mean over pixels `[N, C, 1, 1]`; what follows must use the map that is given back, so that both gradients
/// are added in one pass.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn squeeze(x: &Tensor) -> Result<(Tensor, Tensor)> {
    // SAFETY: the handle is valid while borrowed; the shim stores two owned tensors.
    unsafe { ffi::two_tensors_from(|same, mean| ffi::strata_squeeze(x.as_ptr(), same, mean)) }
}

/// The same map for two paths, whose gradients are added by a pass of our own.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn fork(x: &Tensor) -> Result<(Tensor, Tensor)> {
    // SAFETY: the handle is valid while borrowed; the shim stores two owned tensors.
    unsafe { ffi::two_tensors_from(|one, other| ffi::strata_fork(x.as_ptr(), one, other)) }
}

fn window(kernel: [i64; 2], moves: &Moves) -> [i64; 8] {
    let Moves { stride: [sh, sw], before: [top, left], out: [oh, ow] } = *moves;
    [kernel[0], kernel[1], sh, sw, top, left, oh, ow]
}

#[cfg(test)]
#[path = "fused_tests.rs"]
mod tests;
