//! RMSprop with momentum, not centred, `torch.optim.RMSprop`.

use super::{Group, Step, UpdateRule};
use crate::named::{KeyError, check_range};
use crate::torch::{StepKind, StepNumbers, TorchError};
use serde::{Deserialize, Serialize};

/// Keys of `optimizer = "rmsprop"`. The defaults are those of the Inception and MobileNet papers, not PyTorch's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rmsprop {
    pub momentum: f64,
    /// Decay of the mean of squared gradients.
    pub alpha: f64,
    /// Added to the root of the mean.
    pub eps: f64,
}

impl Default for Rmsprop {
    fn default() -> Rmsprop {
        Rmsprop { momentum: 0.9, alpha: 0.9, eps: 1e-3 }
    }
}

impl UpdateRule for Rmsprop {
    fn default_lr(&self) -> f64 {
        0.01
    }

    fn check(&self) -> Result<(), KeyError> {
        check_range("alpha", self.alpha, 0.0, 0.9999)?;
        check_range("momentum", self.momentum, 0.0, 0.9999)?;
        check_range("eps", self.eps, 1e-30, 10.0)
    }

    fn buffers(&self) -> &'static [&'static str] {
        &["square_avg", "momentum"]
    }

    fn step(&self, group: &Group, step: Step) -> Result<(), TorchError> {
        let Rmsprop { momentum, alpha, eps } = *self;
        group.update(StepKind::Rmsprop, &StepNumbers { momentum, alpha, eps, ..group.numbers(step) })
    }
}
