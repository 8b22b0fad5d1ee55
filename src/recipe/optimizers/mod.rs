//! Optimizers: what each keeps for a parameter, and its step over all tensors of a group.

mod adam;
mod rmsprop;
mod sgd;

pub use adam::{Adam, Adamw};
pub use rmsprop::Rmsprop;
pub use sgd::Sgd;

use crate::named::{KeyError, named};
use crate::torch::{StepKind, StepNumbers, TorchError, optimizer_step};
use tch::Tensor;

/// An optimizer's keys and the update that they describe. Its state belongs to the caller.
pub trait UpdateRule {
    /// `train.lr` where the file does not set it.
    fn default_lr(&self) -> f64;

    /// # Errors
    /// For a key that is out of range or contradicts another.
    fn check(&self) -> Result<(), KeyError>;

    /// Names of the tensors that are kept for each parameter, as in checkpoints: `conv1.weight:momentum`. They start at zero.
    fn buffers(&self) -> &'static [&'static str];

    /// Updates the parameters of a group, and its buffers, in place.
    ///
    /// # Errors
    /// When the tensors do not fit together.
    fn step(&self, group: &Group, step: Step) -> Result<(), TorchError>;
}

/// Parameters that share a weight decay.
pub struct Group<'a> {
    pub params: &'a [Tensor],
    /// A gradient for each parameter; undefined where it got none.
    pub grads: &'a [Tensor],
    /// For each name of [`UpdateRule::buffers`], a tensor for each parameter.
    pub buffers: &'a [Vec<Tensor>],
    pub weight_decay: f64,
}

impl Group<'_> {
    /// What every kind of step reads.
    fn numbers(&self, step: Step) -> StepNumbers {
        let number = i64::try_from(step.number).unwrap_or(i64::MAX);
        StepNumbers { lr: step.lr, weight_decay: self.weight_decay, step: number, ..StepNumbers::default() }
    }

    fn update(&self, kind: StepKind, numbers: &StepNumbers) -> Result<(), TorchError> {
        optimizer_step(kind, self.params, self.grads, self.buffers, numbers)
    }
}

/// The numbers of one step.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub lr: f64,
    /// Counted from 1 over the run.
    pub number: u64,
}

named! {
    /// An optimizer with its own keys.
    #[serde(untagged)]
    OptimizerSpec: UpdateRule,
    /// The name of an optimizer, as in `train.optimizer`.
    OptimizerName {
        "sgd" => Sgd(Sgd),
        "adam" => Adam(Adam),
        "adamw" => Adamw(Adamw),
        "rmsprop" => Rmsprop(Rmsprop),
    }
}
