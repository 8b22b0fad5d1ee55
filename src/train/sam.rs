//! Sharpness-aware minimisation (Foret et al. 2020): the gradients of a step are those at the weights where, within a radius of
//! ρ, the loss is highest to first order.

use crate::arch::params::Role;
use crate::model::Model;
use crate::torch::{self, TorchError, catch};
use tch::Tensor;

/// A model that was moved to `w + ρ g / ‖g‖`, `g` being the gradients of all parameters together.
pub(super) struct Ascent {
    /// Tensors with the values to go back to: the parameters, and the running statistics, which a second pass over the same
    /// images would count twice.
    kept: Vec<(Tensor, Tensor)>,
}

impl Ascent {
    /// Moves the model's parameters that have gradients. `None`, without moving any, where the gradients are NaN or infinite.
    pub(super) fn new(model: &Model, rho: f64) -> Result<Option<Ascent>, TorchError> {
        let _no_grad = tch::no_grad_guard();
        catch(|| {
            let moved: Vec<(&Tensor, Tensor)> = model
                .params()
                .iter()
                .filter(|(param, _)| param.role.trainable())
                .map(|(_, tensor)| (tensor, tensor.grad()))
                .filter(|(_, grad)| grad.defined())
                .collect();
            // The norm before a clipping that clips nothing.
            let grads: Vec<Tensor> = moved.iter().map(|(_, grad)| grad.shallow_clone()).collect();
            let norm = torch::clip_grad_norm(&grads, f64::INFINITY)?;
            if !norm.is_finite() {
                return Ok(None);
            }
            let statistics = model.params().iter().filter(|(param, _)| statistic(param.role)).map(|(_, tensor)| tensor);
            let kept = moved.iter().map(|(tensor, _)| *tensor).chain(statistics);
            let kept = kept.map(|tensor| (tensor.detach(), tensor.detach().copy())).collect();
            for (tensor, grad) in moved {
                let _ = tensor.detach().g_add_(&(grad * (rho / (norm + 1e-12))));
            }
            Ok(Some(Ascent { kept }))
        })?
    }

    /// Moves back, to the bit.
    pub(super) fn undo(self) {
        let _no_grad = tch::no_grad_guard();
        for (mut tensor, kept) in self.kept {
            tensor.copy_(&kept);
        }
    }
}

fn statistic(role: Role) -> bool {
    matches!(role, Role::RunningMean | Role::RunningVar)
}
