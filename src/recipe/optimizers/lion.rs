//! Lion: the sign of an interpolated momentum.

use super::{Group, Step, UpdateRule};
use crate::named::{KeyError, check_range};
use crate::torch::{StepKind, StepNumbers, TorchError};
use serde::{Deserialize, Serialize};

/// Keys of `optimizer = "lion"` (Chen et al. 2023, algorithm 2): weight decay shrinks the weights themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lion {
    /// Weight of the momentum in the direction of the step.
    pub beta1: f64,
    /// Decay of the momentum.
    pub beta2: f64,
}

impl Default for Lion {
    fn default() -> Lion {
        Lion { beta1: 0.9, beta2: 0.99 }
    }
}

impl UpdateRule for Lion {
    fn default_lr(&self) -> f64 {
        1e-4
    }

    fn check(&self) -> Result<(), KeyError> {
        check_range("beta1", self.beta1, 0.0, 0.9999)?;
        check_range("beta2", self.beta2, 0.0, 0.999_999)
    }

    fn buffers(&self) -> &'static [&'static str] {
        &["exp_avg"]
    }

    fn step(&self, group: &Group, step: Step) -> Result<(), TorchError> {
        let Lion { beta1, beta2 } = *self;
        group.update(StepKind::Lion, &StepNumbers { beta1, beta2, ..group.numbers(step) })
    }
}
