//! Optimizer steps over whole lists of tensors, one call each: tch's own optimizers hide their state, so that it can be
//! neither saved nor put into another memory format, and step through C++ objects tensor by tensor.
//!
//! The caller owns the state: tensors made with [`tch::Tensor::zeros_like`] of the parameters, in the same order. They
//! must have the parameters' shape, kind (float or double), device and memory format, and no part of their memory. A
//! parameter whose gradient is undefined is not updated, nor is its state, as in `torch.optim`. Parameters with
//! other hyperparameters, such as those without weight decay, take a call of their own. No step records a graph.

use std::ffi::c_int;

use tch::Tensor;

pub use super::abi::StepNumbers;
use super::error::{Result, TorchError};
use super::ffi;

/// A kind of step. With `g = grad + weight_decay * param`, or `g = grad` for AdamW, LAMB and Lion:
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum StepKind {
    /// `torch.optim.SGD` without dampening. `buffer = momentum * buffer + g`, or `g` at the first step;
    /// `param -= lr * (nesterov ? g + momentum * buffer : buffer)`.
    /// States: with momentum one, `buffer`.
    Sgd = 0,
    /// `torch.optim.Adam` (Kingma and Ba 2014). `m = beta1 * m + (1 - beta1) * g`, `v = beta2 * v + (1 - beta2) * g²`,
    /// `param -= lr * m̂ / (sqrt(v̂) + eps)` where `m̂ = m / (1 - beta1^step)` and `v̂ = v / (1 - beta2^step)`.
    /// States: `m`, `v`.
    Adam = 1,
    /// `torch.optim.AdamW` (Loshchilov and Hutter 2017): before Adam's step without penalty, `param *= 1 - lr * weight_decay`.
    Adamw = 2,
    /// `torch.optim.RMSprop`, not centered. `s = alpha * s + (1 - alpha) * g²`, `d = g / (sqrt(s) + eps)` (TensorFlow adds eps
    /// under the root), and `param -= lr * d`, or with momentum `buffer = momentum * buffer + d`, `param -= lr * buffer`.
    /// States: `s`, and with momentum `buffer`.
    Rmsprop = 3,
    /// LAMB (You et al. 2019), as in timm without its clipping. Adam's `m` and `v`; `u = m̂ / (sqrt(v̂) + eps) + weight_decay * param`,
    /// multiplied with `adapt` by the trust ratio `|param| / |u|` of norms, 1 where one of them is 0; `param -= lr * u`.
    /// States: `m`, `v`.
    Lamb = 4,
    /// Lion (Chen et al. 2023). `param *= 1 - lr * weight_decay`, `param -= lr * sign(beta1 * m + (1 - beta1) * g)`, then
    /// `m = beta2 * m + (1 - beta2) * g`.
    /// States: `m`.
    Lion = 5,
}

impl StepKind {
    /// How many tensors a parameter needs for its state.
    fn states(self, numbers: &StepNumbers) -> usize {
        let momentum = usize::from(numbers.momentum != 0.0);
        match self {
            StepKind::Sgd => momentum,
            StepKind::Adam | StepKind::Adamw | StepKind::Lamb => 2,
            StepKind::Lion => 1,
            StepKind::Rmsprop => 1 + momentum,
        }
    }
}

/// One step on `params`. `states` has, in the order that [`StepKind`] says, a list of tensors for each state; lists beyond those
/// that the numbers call for are not read.
///
/// # Errors
/// If the lists do not fit together (see the [module](self)), Adam's `step` is below 1, or `nesterov` goes without momentum.
pub fn optimizer_step(
    kind: StepKind,
    params: &[Tensor],
    grads: &[Tensor],
    states: &[Vec<Tensor>],
    numbers: &StepNumbers,
) -> Result<()> {
    if kind == StepKind::Sgd && numbers.nesterov != 0 && numbers.momentum <= 0.0 {
        return Err(TorchError("Nesterov momentum needs a momentum".into()));
    }
    if matches!(kind, StepKind::Adam | StepKind::Adamw | StepKind::Lamb) && numbers.step < 1 {
        return Err(TorchError(format!("{kind:?} counts its steps from 1")));
    }
    same_length("gradients", params, grads)?;
    let needed = kind.states(numbers);
    let Some(states) = states.get(..needed) else {
        return Err(TorchError(format!("{} lists of states, where {kind:?} needs {needed}", states.len())));
    };
    states.iter().try_for_each(|state| same_length("states", params, state))?;
    let (p, g) = (ffi::handles(params), ffi::handles(grads));
    let lists: Vec<_> = states.iter().map(|state| ffi::handles(state)).collect();
    let s: Vec<ffi::Handles> = lists.iter().map(Vec::as_ptr).collect();
    // SAFETY: the handles are valid while borrowed, every list has `p.len()` entries, and there are as many lists of states
    // as the kind reads; the text is taken by `check`.
    unsafe {
        ffi::check(ffi::strata_optimizer_step(
            kind as c_int,
            p.len(),
            p.as_ptr(),
            g.as_ptr(),
            s.len(),
            s.as_ptr(),
            numbers,
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
