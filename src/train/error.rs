//! Errors of training.

use super::checkpoint::CheckpointError;
use crate::data::DataError;
use crate::input_error::IsInputError;
use crate::model::WeightsError;
use crate::ranks::RanksError;
use crate::runs::RunError;
use crate::torch::TorchError;
use std::path::PathBuf;

/// The reason that a run did not start or failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Data(#[from] DataError),
    /// Nothing ran yet.
    #[error(transparent)]
    Folder(RunError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The file of `init.from` was read, but does not fit.
    #[error("init.from: {0}{hint}", hint = replace_hint(.0))]
    Start(WeightsError),
    #[error("{0}")]
    NoWeights(String),
    #[error("{error}{hint}", error = .0, hint = memory_hint(.0))]
    Torch(TorchError),
    #[error(
        "{run} was trained on other data than {name} has now: restore the earlier data, or start over with `strata train \
         --force`"
    )]
    DataChanged { name: String, run: PathBuf },
    #[error(
        "{run} was begun with version {before} of the image decoder, and this is version {now}, which gives slightly other pixels: \
         finish it with the strata that began it, or start over with `strata train --force`"
    )]
    DecoderChanged { run: PathBuf, before: u32, now: u32 },
    #[error(
        "train.precision = \"fp16\" needs a GPU; a CPU trains in \"bf16\" or \"fp32\": `--set train.precision=bf16`"
    )]
    Fp16OnCpu,
    #[error("{run} has the result of another experiment (key {found}): move it away, or start over with --force")]
    OtherRun { run: PathBuf, found: String },
    #[error(transparent)]
    Ranks(#[from] RanksError),
    #[error("{run} cannot be trained for more epochs: {reason}")]
    NotContinued { run: PathBuf, reason: String },
}

impl IsInputError for TrainError {
    /// Data and folders that a run cannot start with are the user's input; a failure after the start is not.
    fn is_input_error(&self) -> bool {
        match self {
            TrainError::Ranks(error) => error.is_input_error(),
            TrainError::Data(_)
            | TrainError::Start(_)
            | TrainError::NoWeights(_)
            | TrainError::Folder(_)
            | TrainError::DataChanged { .. }
            | TrainError::DecoderChanged { .. }
            | TrainError::OtherRun { .. }
            | TrainError::NotContinued { .. }
            | TrainError::Fp16OnCpu
            | TrainError::Checkpoint(CheckpointError::OfAnother { .. }) => true,
            TrainError::Run(_) | TrainError::Checkpoint(_) | TrainError::Weights(_) | TrainError::Torch(_) => false,
        }
    }
}

// Not `#[from]`: the message is part of ours, and as a source it would be printed twice.
impl From<TorchError> for TrainError {
    fn from(error: TorchError) -> TrainError {
        TrainError::Torch(error)
    }
}

/// The remedy for weights of another network; empty for files that cannot be read.
fn replace_hint(error: &WeightsError) -> &'static str {
    match error {
        WeightsError::Missing { .. } | WeightsError::Shape { .. } => "; use init.replace to re-initialise a row",
        _ => "",
    }
}

/// The remedy for exhausted memory.
pub(super) const MEMORY_HINT: &str = "; a smaller train.batch, model.input or width needs less memory";

/// The remedy for an allocation that failed; empty for other errors.
fn memory_hint(error: &TorchError) -> &'static str {
    let message = error.0.to_lowercase();
    let memory = ["memory", "alloc", "could not create a primitive"].iter().any(|word| message.contains(word));
    if memory { MEMORY_HINT } else { "" }
}
