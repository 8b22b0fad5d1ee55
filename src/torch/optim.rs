//! Optimizer steps over whole lists of tensors, one call each: tch's own optimizers hide their state, so that it can be
//! neither saved nor put into another memory format, and step through C++ objects tensor by tensor.
//!
//! The caller owns the state: tensors made with [`tch::Tensor::zeros_like`] of the parameters, in the same order. They
//! must have the parameters' shape, kind (float or double), device and memory format, and no part of their memory. A
//! parameter whose gradient is undefined is left alone together with its state, as in `torch.optim`. Parameters with
//! other hyperparameters, such as those without weight decay, take a call of their own. No step records a graph.

use std::ffi::c_int;

use tch::Tensor;

use super::error::{Result, TorchError};
use super::ffi;

/// Hyperparameters of stochastic gradient descent, `torch.optim.SGD`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// 0 for none: then no buffers are needed.
    pub momentum: f64,
    /// The part of the gradient kept out of the momentum buffer.
    pub dampening: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Nesterov's form; wants momentum and no dampening.
    pub nesterov: bool,
}

/// Hyperparameters of `torch.optim.Adam` (Kingma and Ba, 2014) and `torch.optim.AdamW` (Loshchilov and Hutter, 2017).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Adam: L2 penalty, added to the gradient. AdamW: the parameter shrinks by `lr * weight_decay`.
    pub weight_decay: f64,
}

/// Hyperparameters of `torch.optim.RMSprop`, not centered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of squared gradients.
    pub alpha: f64,
    /// Added to the root of the mean; TensorFlow adds it under the root.
    pub eps: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// 0 for none: then no buffers are needed.
    pub momentum: f64,
}

/// One step of SGD on `params`. With `g = grad + weight_decay * param`:
/// `buffer = momentum * buffer + (1 - dampening) * g`, or `g` if `first_step`;
/// `param -= lr * (nesterov ? g + momentum * buffer : buffer)`.
///
/// `momentum_buffers` is not looked at without momentum, and may be empty then.
///
/// # Errors
/// If the lists do not fit together (see the [module](self)), or `nesterov` goes without momentum or with dampening.
pub fn fused_sgd(
    params: &[Tensor],
    grads: &[Tensor],
    momentum_buffers: &[Tensor],
    options: &Sgd,
    first_step: bool,
) -> Result<()> {
    let Sgd { lr, momentum, dampening, weight_decay, nesterov } = *options;
    if nesterov && (momentum <= 0.0 || dampening != 0.0) {
        return Err(TorchError("Nesterov momentum needs a momentum and no dampening".into()));
    }
    same_length("gradients", params, grads)?;
    if momentum != 0.0 {
        same_length("momentum buffers", params, momentum_buffers)?;
    }
    let (p, g, b) = (ffi::handles(params), ffi::handles(grads), ffi::handles(momentum_buffers));
    // SAFETY: the handles are valid while borrowed, the lists read have `p.len()` entries, the text is taken by
    // `check`.
    unsafe {
        ffi::check(ffi::strata_fused_sgd(
            p.len(),
            p.as_ptr(),
            g.as_ptr(),
            b.as_ptr(),
            lr,
            weight_decay,
            momentum,
            dampening,
            c_int::from(nesterov),
            c_int::from(first_step),
        ))
    }
}

/// One step of Adam. `step` counts from 1 and is shared by all parameters. With `g = grad + weight_decay * param`:
/// `m = beta1 * m + (1 - beta1) * g`, `v = beta2 * v + (1 - beta2) * g²`,
/// `param -= lr * m̂ / (sqrt(v̂) + eps)` where `m̂ = m / (1 - beta1^step)` and `v̂ = v / (1 - beta2^step)`.
///
/// # Errors
/// If the lists do not fit together (see the [module](self)) or `step` is 0.
pub fn fused_adam(
    params: &[Tensor],
    grads: &[Tensor],
    exp_avgs: &[Tensor],
    exp_avg_sqs: &[Tensor],
    step: u64,
    options: &Adam,
) -> Result<()> {
    adam(params, grads, exp_avgs, exp_avg_sqs, step, options, false)
}

/// One step of AdamW: [`fused_adam`] without the penalty in the gradient; `param *= 1 - lr * weight_decay` instead.
///
/// # Errors
/// If the lists do not fit together (see the [module](self)) or `step` is 0.
pub fn fused_adamw(
    params: &[Tensor],
    grads: &[Tensor],
    exp_avgs: &[Tensor],
    exp_avg_sqs: &[Tensor],
    step: u64,
    options: &Adam,
) -> Result<()> {
    adam(params, grads, exp_avgs, exp_avg_sqs, step, options, true)
}

fn adam(
    params: &[Tensor],
    grads: &[Tensor],
    exp_avgs: &[Tensor],
    exp_avg_sqs: &[Tensor],
    step: u64,
    options: &Adam,
    decoupled: bool,
) -> Result<()> {
    let Adam { lr, beta1, beta2, eps, weight_decay } = *options;
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    if step == 0 {
        return Err(TorchError("Adam counts its steps from 1".into()));
    }
    same_length("gradients", params, grads)?;
    same_length("first moments", params, exp_avgs)?;
    same_length("second moments", params, exp_avg_sqs)?;
    let (p, g) = (ffi::handles(params), ffi::handles(grads));
    let (m, v) = (ffi::handles(exp_avgs), ffi::handles(exp_avg_sqs));
    // SAFETY: the handles are valid while borrowed, the lists have `p.len()` entries, the text is taken by `check`.
    unsafe {
        ffi::check(ffi::strata_fused_adam(
            p.len(),
            p.as_ptr(),
            g.as_ptr(),
            m.as_ptr(),
            v.as_ptr(),
            step,
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
            c_int::from(decoupled),
        ))
    }
}

/// One step of RMSprop as in PyTorch. With `g = grad + weight_decay * param`:
/// `s = alpha * s + (1 - alpha) * g²`, `d = g / (sqrt(s) + eps)`,
/// and `param -= lr * d`, or with momentum `buffer = momentum * buffer + d`, `param -= lr * buffer`.
///
/// `momentum_buffers` is not looked at without momentum, and may be empty then.
///
/// # Errors
/// If the lists do not fit together (see the [module](self)).
pub fn rmsprop(
    params: &[Tensor],
    grads: &[Tensor],
    square_avgs: &[Tensor],
    momentum_buffers: &[Tensor],
    options: &RmsProp,
) -> Result<()> {
    let RmsProp { lr, alpha, eps, weight_decay, momentum } = *options;
    same_length("gradients", params, grads)?;
    same_length("square averages", params, square_avgs)?;
    if momentum != 0.0 {
        same_length("momentum buffers", params, momentum_buffers)?;
    }
    let (p, g) = (ffi::handles(params), ffi::handles(grads));
    let (s, b) = (ffi::handles(square_avgs), ffi::handles(momentum_buffers));
    // SAFETY: the handles are valid while borrowed, the lists read have `p.len()` entries, the text is taken by
    // `check`.
    unsafe {
        ffi::check(ffi::strata_rmsprop(
            p.len(),
            p.as_ptr(),
            g.as_ptr(),
            s.as_ptr(),
            b.as_ptr(),
            lr,
            alpha,
            eps,
            weight_decay,
            momentum,
        ))
    }
}

/// Moves exponential moving averages on: `average += (1 - decay) * (param - average)`. For floating point tensors, in
/// any memory format: parameters, and the running statistics of BN as well.
///
/// # Errors
/// If the lists differ in length, or a pair in shape or kind.
pub fn ema_update(averages: &[Tensor], params: &[Tensor], decay: f64) -> Result<()> {
    same_length("averages", params, averages)?;
    let (a, p) = (ffi::handles(averages), ffi::handles(params));
    // SAFETY: the handles are valid while borrowed, both lists have `p.len()` entries, the text is taken by `check`.
    unsafe { ffi::check(ffi::strata_ema_update(p.len(), a.as_ptr(), p.as_ptr(), decay)) }
}

fn same_length(what: &str, params: &[Tensor], list: &[Tensor]) -> Result<()> {
    if list.len() == params.len() {
        return Ok(());
    }
    Err(TorchError(format!("{} {what} for {} parameters", list.len(), params.len())))
}

#[cfg(test)]
#[path = "optim_tests.rs"]
mod tests;
