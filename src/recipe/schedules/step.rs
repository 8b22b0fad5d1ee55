//! Step decay, `torch.optim.lr_scheduler.MultiStepLR`.

use super::{LrSchedule, Progress};
use crate::named::{KeyError, check_range};
use serde::{Deserialize, Serialize};

/// Keys of `schedule = "step"`: the rate is multiplied by `gamma` at each of the milestones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepDecay {
    /// Epochs, counted from the start of the run.
    pub milestones: Vec<f64>,
    #[serde(default = "a_tenth")]
    pub gamma: f64,
}

fn a_tenth() -> f64 {
    0.1
}

impl LrSchedule for StepDecay {
    fn check(&self) -> Result<(), KeyError> {
        let milestones = &self.milestones;
        if !milestones.windows(2).all(|pair| pair[0] < pair[1]) || !milestones.iter().all(|&at| at > 0.0) {
            return Err(KeyError::new("milestones", "milestones are epochs above 0, each after the one before"));
        }
        check_range("gamma", self.gamma, 0.0, 1.0)
    }

    fn factor(&self, at: Progress) -> f64 {
        self.gamma.powi(self.milestones.iter().filter(|&&milestone| at.epoch >= milestone).count() as i32)
    }
}
