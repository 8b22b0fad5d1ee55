//! One cycle (Smith & Topin 2017), near `torch.optim.lr_scheduler.OneCycleLR`.

use super::{LrSchedule, Progress, half_cosine};
use crate::named::{KeyError, check_range};
use serde::{Deserialize, Serialize};

/// Keys of `schedule = "one_cycle"`: up to 1 at `peak_at` of the run, down to `final_lr` at its end, both along a cosine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OneCycle {
    /// The rate at the end, as a fraction of `train.lr`.
    pub final_lr: f64,
    /// The part of the run that rises.
    pub peak_at: f64,
}

impl Default for OneCycle {
    fn default() -> OneCycle {
        OneCycle { final_lr: 0.0, peak_at: 0.3 }
    }
}

impl LrSchedule for OneCycle {
    fn check(&self) -> Result<(), KeyError> {
        check_range("final_lr", self.final_lr, 0.0, 1.0)?;
        check_range("peak_at", self.peak_at, 0.001, 0.999)
    }

    fn factor(&self, at: Progress) -> f64 {
        let OneCycle { final_lr, peak_at } = *self;
        // A run that began at a rate of 0 would waste its first steps: PyTorch begins at 1/25 of the peak, too.
        match at.part < peak_at {
            true => half_cosine(final_lr.max(0.04), 1.0, at.part / peak_at),
            false => half_cosine(1.0, final_lr, (at.part - peak_at) / (1.0 - peak_at)),
        }
    }

    fn depends_on_length(&self) -> bool {
        true
    }
}
