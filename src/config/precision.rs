//! The precision of training.

use serde::{Deserialize, Serialize};

/// `train.precision` as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PrecisionName {
    /// bf16 where the processor computes it natively, otherwise fp32.
    Auto,
    Fp32,
    Bf16,
    Fp16,
}

/// The precision of training and evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    Fp32,
    /// Convolutions and matrix products in bf16, the rest and all weights in fp32 (autocast).
    Bf16,
    /// Convolutions and matrix products in fp16 on a GPU, with a scale on the loss.
    Fp16,
}

impl Precision {
    /// The name in experiment files and results.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Fp32 => "fp32",
            Precision::Bf16 => "bf16",
            Precision::Fp16 => "fp16",
        }
    }
}
