//! Stochastic gradient descent with momentum, `torch.optim.SGD`.

use super::{Group, Step, UpdateRule};
use crate::named::{KeyError, check_range};
use crate::torch::{StepKind, StepNumbers, TorchError};
use serde::{Deserialize, Serialize};

/// Keys of `optimizer = "sgd"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sgd {
    pub momentum: f64,
    pub nesterov: bool,
}

impl Default for Sgd {
    fn default() -> Sgd {
        Sgd { momentum: 0.9, nesterov: false }
    }
}

impl UpdateRule for Sgd {
    fn default_lr(&self) -> f64 {
        0.1
    }

    fn check(&self) -> Result<(), KeyError> {
        if self.nesterov && self.momentum == 0.0 {
            return Err(KeyError::new("nesterov", "Nesterov's step needs a momentum above 0"));
        }
        check_range("momentum", self.momentum, 0.0, 0.9999)
    }

    fn buffers(&self) -> &'static [&'static str] {
        // Without momentum too: checkpoints have always had it.
        &["momentum"]
    }

    fn step(&self, group: &Group, step: Step) -> Result<(), TorchError> {
        let numbers = StepNumbers {
            momentum: self.momentum,
            nesterov: i32::from(self.nesterov),
            first: i32::from(step.number == 1),
            ..group.numbers(step)
        };
        group.update(StepKind::Sgd, &numbers)
    }
}
