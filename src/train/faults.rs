//! Faults that a test can inject into a training step; see [`crate::fault`].

use crate::fault::{self, FaultKind};
use crate::model::Model;
use crate::torch::{TorchError, catch};
use tch::{Device, Kind, Tensor};

/// Visits the point `step` before the step that follows `done` ones.
///
/// # Errors
/// libtorch's out-of-memory error, if that is the fault.
pub(super) fn step(done: u64) -> Result<Option<FaultKind>, TorchError> {
    let what = fault::hit("step", "a training step");
    match what {
        Some(FaultKind::Kill) => std::process::abort(),
        // Two pebibytes: a real request, so that libtorch's own message takes its real path.
        Some(FaultKind::OutOfMemory) => {
            tracing::debug!("asking for too much memory after {done} steps");
            catch(|| Tensor::ones([1 << 49], (Kind::Float, Device::Cpu))).map(|_| what)
        }
        Some(FaultKind::Leak) => {
            std::mem::forget(Tensor::from_slice(&[done as f32]));
            Ok(what)
        }
        _ => Ok(what),
    }
}

/// Fills the gradient of one parameter, in the middle of the network, with NaN if that is the fault.
pub(super) fn poison(what: Option<FaultKind>, model: &Model) {
    if what == Some(FaultKind::NotANumber) {
        let params = model.trainable();
        if let Some((_, tensor)) = params.get(params.len() / 2) {
            let _ = tensor.grad().fill_(f64::NAN);
        }
    }
}
