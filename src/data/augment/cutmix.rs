//! `cutmix`: a rectangle of another image.

use crate::named::{KeyError, check_range};
use serde::{Deserialize, Serialize};

/// Pastes a rectangle of one image into another; the labels count by area (Yun et al. 2019).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CutMix {
    /// A batch's share is drawn from Beta(alpha, alpha).
    pub alpha: f64,
    /// Probability for a batch.
    pub p: f64,
    /// With `mixup`, too: the part of the batches that CutMix gets, and mixup the rest.
    pub switch: f64,
}

impl Default for CutMix {
    fn default() -> CutMix {
        CutMix { alpha: 1.0, p: 1.0, switch: 0.5 }
    }
}

impl CutMix {
    pub(super) fn check(&self) -> Result<(), KeyError> {
        check_range("cutmix.alpha", self.alpha, 1e-3, 100.0)?;
        check_range("cutmix.p", self.p, 0.0, 1.0)?;
        check_range("cutmix.switch", self.switch, 0.0, 1.0)
    }
}
