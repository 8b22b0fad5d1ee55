//! Operations that libtorch has in parts only: convolutions as matrix products over the batch or over rows of an image, batch
//! normalisation fused with the sum and activation that follow, maximum pooling that stores its taps in bytes, local response
//! normalisation in one pass, weights that evaluation lays out once. Forward and backward for bfloat16, float and double on
//! the CPU, channels last; results do not depend on the number of threads.

use std::ffi::c_int;
use std::marker::PhantomData;

use tch::{Device, Kind, Tensor};

pub use super::abi::WindowGeometry;
use super::error::{Result, TorchError};
use super::ffi;
use super::process_group::ProcessGroup;

/// A non-linearity that another operation applies to its output. The numbers are those of `STRATA_ACTIVATIONS` in
/// `cpp/kernels/kernels.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Activation {
    None = 0,
    Relu = 1,
    Relu6 = 2,
    Silu = 3,
}

#[cfg(test)]
impl Activation {
    /// The operation in libtorch, to compare with.
    pub(super) fn apply(self, x: Tensor) -> Tensor {
        match self {
            Activation::None => x,
            Activation::Relu => x.relu(),
            Activation::Relu6 => x.clamp(0.0, 6.0),
            Activation::Silu => x.silu(),
        }
    }
}

/// Whether `x` is of a device and kind that the operations here are made for, whatever its rank.
pub fn supports_numbers(x: &Tensor) -> bool {
    x.device() == Device::Cpu && matches!(x.kind(), Kind::BFloat16 | Kind::Float | Kind::Double)
}

/// Whether `x` is of a device, rank and kind that the operations here are made for.
pub fn supports(x: &Tensor) -> bool {
    x.dim() == 4 && supports_numbers(x)
}

/// The convolution `[N, C, H, W]` → `[N, K, H', W']` with a weight `[K, C, h, w]`, a bias `[K]` and, if requested, ReLU
/// after it. Under autocast it is computed in bfloat16, with sums in float; K must then be even.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn conv(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, window: &WindowGeometry, relu: bool) -> Result<Tensor> {
    joined(x, weight, bias, None, window, relu)
}

/// factor · conv(x) + shortcut and, if requested, ReLU after it: the end of a residual block. The convolution is that of [`conv`], the
/// shortcut a map `[N, K, H', W']`, which is converted to the convolution's kind.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn conv_sum(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    (factor, shortcut): (f64, &Tensor),
    window: &WindowGeometry,
    relu: bool,
) -> Result<Tensor> {
    joined(x, weight, bias, Some((factor, shortcut)), window, relu)
}

fn joined(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    sum: Option<(f64, &Tensor)>,
    window: &WindowGeometry,
    relu: bool,
) -> Result<Tensor> {
    let factor = sum.map_or(1.0, |(factor, _)| factor);
    let [bias, shortcut] = [bias, sum.map(|(_, shortcut)| shortcut)].map(ffi::or_null);
    // SAFETY: handles and `window` are valid while borrowed; C++ stores an owned tensor.
    unsafe {
        ffi::tensor_from(|out| {
            ffi::strata_conv(x.as_ptr(), weight.as_ptr(), bias, shortcut, factor, c_int::from(relu), window, out)
        })
    }
}

/// Parameters and running statistics of a batch normalisation, each `[C]`.
#[derive(Debug)]
pub struct Norm<'a> {
    pub gamma: Option<&'a Tensor>,
    pub beta: Option<&'a Tensor>,
    pub mean: Option<&'a Tensor>,
    pub var: Option<&'a Tensor>,
    /// The weight of the new batch in the running statistics.
    pub momentum: f64,
    pub eps: f64,
    /// The processes that share each batch: its statistics are those of their images together, and forward and backward pass
    /// run in all of them. `None` where the batch is of this process alone.
    pub group: Option<&'a ProcessGroup>,
}

impl Norm<'_> {
    fn handles(&self) -> ffi::NormHandles {
        let [gamma, beta, mean, var] = [self.gamma, self.beta, self.mean, self.var].map(ffi::or_null);
        let group = self.group.map_or(std::ptr::null_mut(), ProcessGroup::handle);
        ffi::NormHandles { gamma, beta, mean, var, momentum: self.momentum, eps: self.eps, group }
    }
}

/// act(norm(x) + add): batch normalisation of `[N, C, H, W]`, with the statistics of the batch where `train`, which then
/// move the running ones. `add` goes with no non-linearity or relu only.
///
/// # Errors
/// Tensors that do not fit together, those of libtorch, and a lost process of the group.
pub fn norm_act(x: &Tensor, add: Option<&Tensor>, norm: &Norm, act: Activation, train: bool) -> Result<Tensor> {
    let (handles, act) = (norm.handles(), act as c_int);
    // SAFETY: the handles are valid while borrowed; C++ stores an owned tensor.
    unsafe {
        ffi::tensor_from(|out| {
            ffi::strata_norm_act(x.as_ptr(), ffi::or_null(add), &handles, act, c_int::from(train), out)
        })
    }
}

/// The maximum over windows of `kernel` rows and columns, 256 taps at most; pixels outside the map do not count, and
/// no window may be entirely outside it.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn max_pool(x: &Tensor, kernel: [i64; 2], window: &WindowGeometry) -> Result<Tensor> {
    let [h, w] = kernel;
    // SAFETY: the handle and `window` are valid while borrowed; C++ stores an owned tensor.
    unsafe { ffi::tensor_from(|out| ffi::strata_max_pool(x.as_ptr(), h, w, window, out)) }
}

/// x / (k + alpha · mean over `size` neighbouring channels of x²)^beta, zeros beyond the first and the last channel: the form
/// of Caffe and PyTorch, whose alpha is `size` times that of the AlexNet paper.
///
/// # Errors
/// A window of no channels or of more than 2²⁰, tensors that are no maps, and those of libtorch.
pub fn lrn(x: &Tensor, size: i64, alpha: f64, beta: f64, k: f64) -> Result<Tensor> {
    // SAFETY: the handle is valid while borrowed; C++ stores an owned tensor.
    unsafe { ffi::tensor_from(|out| ffi::strata_lrn(x.as_ptr(), size, alpha, beta, k, out)) }
}

/// [`lrn`] as operations of libtorch.
pub fn plain_lrn(x: &Tensor, size: i64, alpha: f64, beta: f64, k: f64) -> Tensor {
    let squares = (x * x).unsqueeze(1).constant_pad_nd([0, 0, 0, 0, size / 2, (size - 1) / 2]);
    let mean = squares.avg_pool3d([size, 1, 1], [1, 1, 1], [0, 0, 0], false, true, None::<i64>).squeeze_dim(1);
    x / (mean * alpha + k).pow_tensor_scalar(beta)
}

/// The depthwise convolution, with a weight `[C, 1, h, w]` of the `kernel`'s height and width, 256 taps at
/// most, and a bias `[C]`.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn depthwise(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    kernel: [i64; 2],
    window: &WindowGeometry,
) -> Result<Tensor> {
    let [h, w] = kernel;
    // SAFETY: handles and `window` are valid while borrowed; C++ stores an owned tensor.
    unsafe {
        ffi::tensor_from(|out| {
            ffi::strata_depthwise(x.as_ptr(), weight.as_ptr(), ffi::or_null(bias), h, w, window, out)
        })
    }
}

/// Whether operations record a graph on this thread.
pub fn records() -> bool {
    // SAFETY: takes nothing and reads a flag of the thread.
    unsafe { ffi::strata_grad_enabled() != 0 }
}

/// A mode of this thread that ends when the guard is dropped. Guards nest.
#[derive(Debug)]
#[must_use = "the mode ends when the guard is dropped"]
pub struct ModeGuard {
    end: unsafe extern "C" fn(),
    /// The mode is the thread's own, so the guard must not move to another.
    _this_thread: PhantomData<*const ()>,
}

impl ModeGuard {
    fn new(begin: unsafe extern "C" fn(), end: unsafe extern "C" fn()) -> ModeGuard {
        // SAFETY: the two functions count a number of this thread up and down; nothing borrows what they guard.
        unsafe { begin() }
        ModeGuard { end, _this_thread: PhantomData }
    }
}

impl Drop for ModeGuard {
    fn drop(&mut self) {
        // SAFETY: as in `new`, on the same thread.
        unsafe { (self.end)() }
    }
}

/// For evaluation: a trainable channels-last parameter is packed for matrix products once, not in every batch. A parameter that
/// changes, by libtorch or by an optimizer's step, is packed again.
pub fn keep_packed_weights() -> ModeGuard {
    ModeGuard::new(ffi::strata_keep_weights, ffi::strata_forget_weights)
}

/// Convolutions do not use Winograd's algorithm, forward or backward, so that their rounding errors are those of direct sums.
pub fn use_direct_convolutions() -> ModeGuard {
    ModeGuard::new(ffi::strata_begin_direct, ffi::strata_end_direct)
}

/// The convolution of [`conv_norm`].
#[derive(Debug)]
pub struct Kernel<'a> {
    pub weight: &'a Tensor,
    pub bias: Option<&'a Tensor>,
    /// Depthwise, with a kernel of this height and width.
    pub depthwise: Option<[i64; 2]>,
    pub window: &'a WindowGeometry,
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
    let Kernel { weight, bias, depthwise, window } = *kernel;
    let (mean, var) = running;
    let norm = Norm { mean: Some(mean), var: Some(var), ..*norm }.handles();
    let (x, weight, bias, act) = (x.as_ptr(), weight.as_ptr(), ffi::or_null(bias), act as c_int);
    if depthwise.is_some() && add.is_some() {
        return Err(TorchError("a depthwise convolution takes no shortcut".into()));
    }
    // SAFETY: handles and `window` are valid while borrowed; C++ stores an owned tensor.
    unsafe {
        ffi::tensor_from(|out| match depthwise {
            Some([h, w]) => ffi::strata_depthwise_norm(x, weight, bias, &norm, act, h, w, window, out),
            None => ffi::strata_conv_norm(x, weight, bias, &norm, ffi::or_null(add), act, window, out),
        })
    }
}

/// Maps of one height, width and kind side by side along the channels.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn concat(parts: &[Tensor]) -> Result<Tensor> {
    let handles = ffi::handles(parts);
    // SAFETY: the handles are valid while borrowed; C++ stores an owned tensor.
    unsafe { ffi::tensor_from(|out| ffi::strata_concat(handles.len(), handles.as_ptr(), out)) }
}

/// Every `stride`-th pixel of a map, with zeros for the channels that are missing to `channels`: shortcut A (He et al. 2015).
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn subsample(x: &Tensor, channels: i64, stride: i64) -> Result<Tensor> {
    // SAFETY: the handle is valid while borrowed; C++ stores an owned tensor.
    unsafe { ffi::tensor_from(|out| ffi::strata_subsample(x.as_ptr(), channels, stride, out)) }
}

/// x · factor, with a factor `[N, C, 1, 1]` for maps `[N, C, H, W]`.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn gate(x: &Tensor, factor: &Tensor) -> Result<Tensor> {
    // SAFETY: the handles are valid while borrowed; C++ stores an owned tensor.
    unsafe { ffi::tensor_from(|out| ffi::strata_gate(x.as_ptr(), factor.as_ptr(), out)) }
}

/// σ(gate) · body + (1 − σ(gate)) · shortcut, the sum of Highway networks; with `shortcut_only`, body + (1 − σ(gate)) · shortcut.
/// Three maps `[N, C, H, W]` of one kind.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn gated_sum(gate: &Tensor, body: &Tensor, shortcut: &Tensor, shortcut_only: bool) -> Result<Tensor> {
    let (gate, body, shortcut) = (gate.as_ptr(), body.as_ptr(), shortcut.as_ptr());
    // SAFETY: the handles are valid while borrowed; C++ stores an owned tensor.
    unsafe { ffi::tensor_from(|out| ffi::strata_gated_sum(gate, body, shortcut, c_int::from(shortcut_only), out)) }
}

/// Dropout: each number is 0 with probability `rate`, else divided by `1 - rate`. Which ones depends on the key and the place in memory
/// alone (Philox4x32-10), not on the number of threads.
///
/// # Errors
/// A rate outside [0, 1), and those of libtorch.
pub fn dropout(x: &Tensor, rate: f64, key: u64) -> Result<Tensor> {
    // SAFETY: the handle is valid while borrowed; C++ stores an owned tensor.
    unsafe { ffi::tensor_from(|out| ffi::strata_dropout(x.as_ptr(), rate, key, out)) }
}

/// The map and its mean over pixels `[N, C, 1, 1]`. What follows must use the map that is returned: both gradients are then
/// added in one pass.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn squeeze(x: &Tensor) -> Result<(Tensor, Tensor)> {
    // SAFETY: the handle is valid while borrowed; C++ stores two owned tensors.
    unsafe { ffi::two_tensors_from(|same, mean| ffi::strata_squeeze(x.as_ptr(), same, mean)) }
}

/// The map for two paths, whose gradients are added in one pass.
///
/// # Errors
/// Tensors that do not fit together, and those of libtorch.
pub fn fork(x: &Tensor) -> Result<(Tensor, Tensor)> {
    // SAFETY: the handle is valid while borrowed; C++ stores two owned tensors.
    unsafe { ffi::two_tensors_from(|one, other| ffi::strata_fork(x.as_ptr(), one, other)) }
}

#[cfg(test)]
#[path = "fused_tests.rs"]
mod tests;
