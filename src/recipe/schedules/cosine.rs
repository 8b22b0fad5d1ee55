//! Cosine annealing without restarts (Loshchilov & Hutter 2016), `torch.optim.lr_scheduler.CosineAnnealingLR`.

use super::{LrSchedule, Progress, half_cosine};
use crate::named::{KeyError, check_range};
use serde::{Deserialize, Serialize};

/// Keys of `schedule = "cosine"`: half a cosine from 1 to `final_lr`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cosine {
    /// The rate at the end, as a fraction of `train.lr`.
    pub final_lr: f64,
}

impl LrSchedule for Cosine {
    fn check(&self) -> Result<(), KeyError> {
        check_range("final_lr", self.final_lr, 0.0, 1.0)
    }

    fn factor(&self, at: Progress) -> f64 {
        half_cosine(1.0, self.final_lr, at.part)
    }

    fn depends_on_length(&self) -> bool {
        true
    }
}
