//! Exponential decay in steps, `torch.optim.lr_scheduler.StepLR` with a step of `every` epochs.

use super::{LrSchedule, Progress};
use crate::named::{KeyError, check_range};
use serde::{Deserialize, Serialize};

/// Keys of `schedule = "exponential"`: the rate is multiplied by `gamma` after every `every` epochs. The defaults are
/// EfficientNet's (Tan & Le 2019).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exponential {
    pub gamma: f64,
    /// Epochs; a fraction is allowed.
    pub every: f64,
}

impl Default for Exponential {
    fn default() -> Exponential {
        Exponential { gamma: 0.97, every: 2.4 }
    }
}

impl LrSchedule for Exponential {
    fn check(&self) -> Result<(), KeyError> {
        check_range("gamma", self.gamma, 0.0, 1.0)?;
        check_range("every", self.every, 0.001, 100_000.0)
    }

    fn factor(&self, at: Progress) -> f64 {
        self.gamma.powf((at.epoch / self.every).floor())
    }
}
