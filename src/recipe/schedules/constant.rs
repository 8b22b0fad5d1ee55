//! The learning rate as it is.

use super::{LrSchedule, Progress};
use crate::named::KeyError;
use serde::{Deserialize, Serialize};

/// `schedule = "constant"`, which has no keys of its own.
// With braces, because serde flattens structs into a table and not units.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {}

impl LrSchedule for Constant {
    fn check(&self) -> Result<(), KeyError> {
        Ok(())
    }

    fn factor(&self, _at: Progress) -> f64 {
        1.0
    }
}
