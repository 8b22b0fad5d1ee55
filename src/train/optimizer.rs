//! The optimizer of a run: the parameters that it updates, in groups, and its state, which can be saved.

use crate::arch::params::Param;
use crate::config::Train;
use crate::recipe::OptimizerSpec;
use crate::recipe::optimizers::{self, Step};
use crate::torch::{self, TorchError};
use tch::Tensor;

/// An optimizer with its buffers. Weight decay may be left off biases and normalisations, so there are two groups.
pub struct Optimizer {
    groups: Vec<Group>,
    spec: OptimizerSpec,
    /// Steps done.
    steps: u64,
}

struct Group {
    names: Vec<String>,
    params: Vec<Tensor>,
    weight_decay: f64,
    /// For each name of the optimizer's buffers, a tensor for each parameter.
    buffers: Vec<Vec<Tensor>>,
}

impl Optimizer {
    /// An optimizer over the learned tensors of a model; its buffers start at zero.
    pub fn new(train: &Train, params: Vec<(Param, Tensor)>) -> Optimizer {
        let (decayed, free): (Vec<_>, Vec<_>) =
            params.into_iter().partition(|(param, _)| train.decay_all || param.role.is_weight());
        let groups = [(decayed, train.weight_decay), (free, 0.0)]
            .into_iter()
            .filter(|(params, _)| !params.is_empty())
            .map(|(params, weight_decay)| {
                let (names, params): (Vec<_>, Vec<_>) =
                    params.into_iter().map(|(param, tensor)| (param.name, tensor)).unzip();
                let zeros = || params.iter().map(|tensor| tensor.detach().zeros_like()).collect();
                let buffers = train.optimizer.buffers().iter().map(|_| zeros()).collect();
                Group { names, params, weight_decay, buffers }
            })
            .collect();
        Optimizer { groups, spec: train.optimizer.clone(), steps: 0 }
    }

    fn all_params(&self) -> Vec<Tensor> {
        self.groups.iter().flat_map(|group| &group.params).map(Tensor::shallow_clone).collect()
    }

    /// Scales all gradients so that their common norm is at most `max_norm`.
    pub fn clip(&self, max_norm: f64) -> Result<f64, TorchError> {
        torch::clip_grad_norm(&torch::grads(&self.all_params()), max_norm)
    }

    /// One step with the gradients that the parameters have.
    pub fn step(&mut self, lr: f64) -> Result<(), TorchError> {
        self.steps += 1;
        let step = Step { lr, number: self.steps };
        for Group { params, weight_decay, buffers, .. } in &self.groups {
            let grads = torch::grads(params);
            let group = optimizers::Group { params, grads: &grads, buffers, weight_decay: *weight_decay };
            self.spec.step(&group, step)?;
        }
        Ok(())
    }

    /// Makes the gradients undefined: the next backward pass stores its own.
    pub fn drop_gradients(&self) -> Result<(), TorchError> {
        self.groups.iter().try_for_each(|group| torch::zero_grad(&group.params))
    }

    /// The buffers under `<parameter>:<buffer>`.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.entries().map(|(name, tensor)| (name, tensor.shallow_clone())).collect()
    }

    fn entries(&self) -> impl Iterator<Item = (String, &Tensor)> {
        self.groups.iter().flat_map(|group| {
            self.spec.buffers().iter().zip(&group.buffers).flat_map(|(what, tensors)| {
                group.names.iter().zip(tensors).map(move |(name, tensor)| (format!("{name}:{what}"), tensor))
            })
        })
    }

    /// Restores a state that was saved after `steps` steps; gives the name of a buffer that is missing or of another shape.
    pub fn restore(&mut self, steps: u64, read: impl Fn(&str) -> Option<Tensor>) -> Result<(), String> {
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
