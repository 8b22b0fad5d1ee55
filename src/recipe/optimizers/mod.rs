//! Optimizers: what each keeps for a parameter, and its step over all tensors of a group.

mod adam;
mod lamb;
mod lion;
mod muon;
#[cfg(test)]
mod reference_tests;
mod rmsprop;
mod sgd;

pub use adam::{Adam, Adamw};
pub use lamb::Lamb;
pub use lion::Lion;
pub use muon::Muon;
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

    /// The optimizer, with its `lr`, of all parameters but the weights of hidden layers, where this one is not meant for them.
    fn companion(&self) -> Option<(OptimizerSpec, f64)> {
        None
    }

    /// Updates the parameters of a group, and its buffers, in place.
    ///
    /// # Errors
    /// When the tensors do not fit together.
    fn step(&self, group: &Group, step: Step) -> Result<(), TorchError>;
}

/// Parameters that are updated with the same numbers.
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
        "lamb" => Lamb(Lamb),
        "lion" => Lion(Lion),
        "muon" => Muon(Muon),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;
    use tch::{Device, Kind};

    /// Every optimizer, with its defaults, goes down the slope, and keeps what it says that it keeps.
    #[test]
    fn every_optimizer_descends_and_updates_its_buffers() {
        for name in OptimizerName::ALL {
            let optimizer = name.read(toml::Table::new()).unwrap();
            optimizer.check().unwrap();
            let params = [Tensor::ones([1, 3], (Kind::Float, Device::Cpu))];
            let grads = [Tensor::from_slice(&[1.0f32, -2.0, 0.5]).view([1, 3])];
            let buffers: Vec<_> = optimizer.buffers().iter().map(|_| vec![params[0].zeros_like()]).collect();
            for number in 1..=2 {
                let group = Group { params: &params, grads: &grads, buffers: &buffers, weight_decay: 0.0 };
                optimizer.step(&group, Step { lr: optimizer.default_lr(), number }).unwrap();
            }
            let moved = Vec::<f32>::try_from((&params[0] - 1.0).view([3])).unwrap();
            assert!(moved[0] < 0.0 && moved[1] > 0.0 && moved[2] < 0.0, "{}: {moved:?}", name.text());
            assert!(
                buffers.iter().all(|kept| kept[0].abs().sum(Kind::Float).double_value(&[]) > 0.0),
                "{}",
                name.text()
            );
        }
    }
}
