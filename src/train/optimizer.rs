//! Optimizers: one fused step over all tensors of a group, with state that can be saved.

use crate::arch::params::Param;
use crate::config::{Optimizer, Train};
use crate::torch::{self, StepKind, StepNumbers, TorchError};
use tch::Tensor;

/// An optimizer with its buffers. Weight decay may be left off biases and normalisations, so there are two groups.
pub struct Stepper {
    groups: Vec<Group>,
    optimizer: Optimizer,
    /// Steps done.
    steps: u64,
}

struct Group {
    names: Vec<String>,
    params: Vec<Tensor>,
    weight_decay: f64,
    /// Lists of buffers, in the order of [`kept`].
    buffers: Vec<Vec<Tensor>>,
}

/// The names of the buffers that an optimizer keeps for each parameter.
fn kept(optimizer: &Optimizer) -> &'static [&'static str] {
    match optimizer {
        Optimizer::Sgd { .. } => &["momentum"],
        Optimizer::Adam { .. } | Optimizer::Adamw { .. } => &["exp_avg", "exp_avg_sq"],
        Optimizer::Rmsprop { .. } => &["square_avg", "momentum"],
    }
}

impl Stepper {
    /// An optimizer over the learned tensors of a model; its buffers start at zero.
    pub fn new(train: &Train, params: Vec<(Param, Tensor)>) -> Stepper {
        let (decayed, free): (Vec<_>, Vec<_>) =
            params.into_iter().partition(|(param, _)| train.decay_all || param.role.is_weight());
        let groups = [(decayed, train.weight_decay), (free, 0.0)]
            .into_iter()
            .filter(|(params, _)| !params.is_empty())
            .map(|(params, weight_decay)| {
                let (names, params): (Vec<_>, Vec<_>) =
                    params.into_iter().map(|(param, tensor)| (param.name, tensor)).unzip();
                let zeros = || params.iter().map(|tensor| tensor.detach().zeros_like()).collect();
                let buffers = kept(&train.optimizer).iter().map(|_| zeros()).collect();
                Group { names, params, weight_decay, buffers }
            })
            .collect();
        Stepper { groups, optimizer: train.optimizer, steps: 0 }
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
        let numbers = StepNumbers {
            lr,
            step: i64::try_from(self.steps).unwrap_or(i64::MAX),
            first: i32::from(self.steps == 1),
            ..StepNumbers::default()
        };
        let (kind, numbers) = match self.optimizer {
            Optimizer::Sgd { momentum, nesterov } => {
                (StepKind::Sgd, StepNumbers { momentum, nesterov: i32::from(nesterov), ..numbers })
            }
            Optimizer::Adam { beta1, beta2, eps } => (StepKind::Adam, StepNumbers { beta1, beta2, eps, ..numbers }),
            Optimizer::Adamw { beta1, beta2, eps } => (StepKind::Adamw, StepNumbers { beta1, beta2, eps, ..numbers }),
            Optimizer::Rmsprop { alpha, momentum, eps } => {
                (StepKind::Rmsprop, StepNumbers { alpha, momentum, eps, ..numbers })
            }
        };
        for Group { params, weight_decay, buffers, .. } in &self.groups {
            let numbers = StepNumbers { weight_decay: *weight_decay, ..numbers };
            torch::optimizer_step(kind, params, &torch::grads(params), buffers, &numbers)?;
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
            kept(&self.optimizer).iter().zip(&group.buffers).flat_map(|(what, tensors)| {
                group.names.iter().zip(tensors).map(move |(name, tensor)| (format!("{name}:{what}"), tensor))
            })
        })
    }

    /// Takes up a saved state after `steps` steps; gives the name of a buffer that is missing or of another shape.
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
