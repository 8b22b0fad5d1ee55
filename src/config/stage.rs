//! An entry of `train.stages`.

use crate::named::is_default;
use serde::{Deserialize, Serialize};

/// A change of the size of training images or of the batch size from an epoch on; the first epoch is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The first epoch of the stage.
    pub from: usize,
    /// Height of the images; 0: as before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub size: usize,
    /// Images per step; 0: as before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub batch: usize,
}
