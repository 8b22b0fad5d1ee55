//! The `[expect]` table: a published result to compare ours with.

use super::problem::Problem;
use serde::{Deserialize, Serialize};

/// A published result and its source. Not part of a run's key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Accuracies as fractions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_top1: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_top5: Option<f64>,
    /// How far a mean may be below and still count as met. Default: 0.005, half a point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// Paper and table, or repository.
    pub source: String,
}

impl Expect {
    pub(super) fn check(&self) -> Result<(), Problem> {
        for (key, value) in
            [("test_top1", self.test_top1), ("test_top5", self.test_top5), ("tolerance", self.tolerance)]
        {
            if let Some(value) = value
                && !(0.0..=1.0).contains(&value)
            {
                let message = format!("`{key}` is a fraction between 0 and 1, not {value}");
                return Err(Problem::at(format!("expect.{key}"), message));
            }
        }
        Ok(())
    }
}
