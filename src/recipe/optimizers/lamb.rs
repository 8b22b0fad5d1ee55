//! LAMB: Adam with a step size for each tensor, for large batches.

use super::{Adam, Group, Step, UpdateRule};
use crate::named::KeyError;
use crate::torch::{StepKind, StepNumbers, TorchError};
use serde::{Deserialize, Serialize};

/// Keys of `optimizer = "lamb"` (You et al. 2019), as timm's `Lamb`, whose clipping of gradients is `clip_norm = 1` here.
/// Weight decay is added to the update before its norm is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lamb {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Multiply the updates of tensors without weight decay by the trust ratio too.
    pub always_adapt: bool,
}

impl Default for Lamb {
    fn default() -> Lamb {
        Lamb { beta1: 0.9, beta2: 0.999, eps: 1e-6, always_adapt: false }
    }
}

impl Lamb {
    /// The optimizer whose averages these are.
    fn adam(&self) -> Adam {
        Adam { beta1: self.beta1, beta2: self.beta2, eps: self.eps }
    }
}

impl UpdateRule for Lamb {
    fn default_lr(&self) -> f64 {
        1e-3
    }

    fn check(&self) -> Result<(), KeyError> {
        self.adam().check()
    }

    fn buffers(&self) -> &'static [&'static str] {
        self.adam().buffers()
    }

    fn step(&self, group: &Group, step: Step) -> Result<(), TorchError> {
        let Lamb { beta1, beta2, eps, always_adapt } = *self;
        let adapt = i32::from(always_adapt || group.weight_decay != 0.0);
        group.update(StepKind::Lamb, &StepNumbers { beta1, beta2, eps, adapt, ..group.numbers(step) })
    }
}
