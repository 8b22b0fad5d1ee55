//! An entry of `train.stages`.

use crate::named::is_default;
use serde::{Deserialize, Serialize};

/// Another size of the training images or another batch size from an epoch on, the first being 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// How many epochs come before.
    pub from: usize,
    /// Height of the images; 0: as before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub size: usize,
    /// Images per step; 0: as before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub batch: usize,
}
