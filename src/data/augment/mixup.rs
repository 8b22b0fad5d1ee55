//! `mixup`: two images and their labels in one.

use crate::named::{KeyError, check_range};
use serde::{Deserialize, Serialize};

/// Blends the images of a batch in pairs, and their labels alike (Zhang et al. 2017).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mixup {
    /// A batch's share is drawn from Beta(alpha, alpha).
    pub alpha: f64,
    /// Probability for a batch.
    pub p: f64,
}

impl Default for Mixup {
    fn default() -> Mixup {
        Mixup { alpha: 0.2, p: 1.0 }
    }
}

impl Mixup {
    pub(super) fn check(&self) -> Result<(), KeyError> {
        check_range("mixup.alpha", self.alpha, 1e-3, 100.0)?;
        check_range("mixup.p", self.p, 0.0, 1.0)
    }
}
