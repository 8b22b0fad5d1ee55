//! The optimizer of a run: the parameters that it updates, in groups, and its state, which can be saved.

use super::groups::{ParamGroup, param_groups};
use crate::arch::params::Param;
use crate::config::Experiment;
use crate::recipe::optimizers::{self, Step};
use crate::torch::{self, TorchError};
use tch::Tensor;

/// An optimizer with its buffers.
pub struct Optimizer {
    groups: Vec<Group>,
    /// Steps done.
    steps: u64,
}

struct Group {
    of: ParamGroup,
    /// For each name of the optimizer's buffers, a tensor for each parameter.
    buffers: Vec<Vec<Tensor>>,
}

impl Optimizer {
    /// An optimizer over learned tensors of the experiment's network; its buffers start at zero.
    pub fn new(experiment: &Experiment, params: Vec<(Param, Tensor)>) -> Optimizer {
        let groups = param_groups(&experiment.train, &experiment.network, params).into_iter().map(|of| {
            let zeros = || of.params.iter().map(|tensor| tensor.detach().zeros_like()).collect();
            let buffers = of.optimizer.buffers().iter().map(|_| zeros()).collect();
            Group { of, buffers }
        });
        Optimizer { groups: groups.collect(), steps: 0 }
    }

    fn all_params(&self) -> Vec<Tensor> {
        self.groups.iter().flat_map(|group| &group.of.params).map(Tensor::shallow_clone).collect()
    }

    /// Scales all gradients so that their common norm is at most `max_norm`.
    pub fn clip(&self, max_norm: f64) -> Result<f64, TorchError> {
        torch::clip_grad_norm(&torch::grads(&self.all_params()), max_norm)
    }

    /// Divides all gradients by the scale of the loss; `false` if one is NaN or infinite.
    pub(super) fn unscale(&self, scale: f64) -> Result<bool, TorchError> {
        let _no_grad = tch::no_grad_guard();
        let grads = torch::grads(&self.all_params());
        for grad in grads.iter().filter(|grad| grad.defined()) {
            let _ = grad.shallow_clone().g_mul_scalar_(scale.recip());
        }
        torch::all_finite(&grads)
    }

    /// One step with the gradients that the parameters have; `factor` multiplies the learning rates.
    pub fn step(&mut self, factor: f64) -> Result<(), TorchError> {
        self.steps += 1;
        for Group { of, buffers } in &self.groups {
            let (params, grads) = (&of.params, torch::grads(&of.params));
            let group = optimizers::Group { params, grads: &grads, buffers, weight_decay: of.weight_decay };
            of.optimizer.step(&group, Step { lr: of.lr * factor, number: self.steps })?;
        }
        Ok(())
    }

    /// Makes the gradients undefined: the next backward pass stores its own.
    pub(super) fn drop_gradients(&self) -> Result<(), TorchError> {
        self.groups.iter().try_for_each(|group| torch::zero_grad(&group.of.params))
    }

    /// The buffers under `<parameter>:<buffer>`.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.entries().map(|(name, tensor)| (name, tensor.shallow_clone())).collect()
    }

    fn entries(&self) -> impl Iterator<Item = (String, &Tensor)> {
        self.groups.iter().flat_map(|Group { of, buffers }| {
            of.optimizer.buffers().iter().zip(buffers).flat_map(|(what, tensors)| {
                of.names.iter().zip(tensors).map(move |(name, tensor)| (format!("{name}:{what}"), tensor))
            })
        })
    }

    /// Counts on after `steps` steps, with buffers that were copied from another rank.
    pub(super) fn count_from(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// Restores a state that was saved after `steps` steps; gives the name of a buffer that is missing or of another shape.
    pub(super) fn restore(&mut self, steps: u64, read: impl Fn(&str) -> Option<Tensor>) -> Result<(), String> {
        let _no_grad = tch::no_grad_guard();
        for (name, tensor) in self.entries() {
            match read(&name) {
                Some(saved) if saved.size() == tensor.size() => {
                    tensor.shallow_clone().copy_(&saved);
                }
                _ => return Err(name),
            }
        }
        self.steps = steps;
        Ok(())
    }
}
