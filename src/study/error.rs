//! Why a study ends early.

use crate::data::DataError;
use crate::input_error::IsInputError;
use crate::named::KeyError;
use crate::runs::RunError;
use crate::torch::TorchError;
use crate::train::{CheckpointError, TrainError};

/// A study that cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// A signal: the rows so far stay, and the same command goes on from there.
    #[error("stopped; the same command goes on")]
    Stopped,
    /// The study cannot be made of these runs.
    #[error("{0}")]
    Unfit(String),
    #[error("{0}")]
    Options(#[from] KeyError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Torch(#[from] TorchError),
    #[error(transparent)]
    Files(#[from] RunError),
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Weights(#[from] crate::model::WeightsError),
}

impl IsInputError for StudyError {
    fn is_input_error(&self) -> bool {
        match self {
            StudyError::Unfit(_) | StudyError::Options(_) => true,
            StudyError::Data(error) => error.is_input_error(),
            StudyError::Train(error) => error.is_input_error(),
            StudyError::Checkpoint(error) => error.is_input_error(),
            StudyError::Weights(error) => error.is_input_error(),
            StudyError::Stopped | StudyError::Torch(_) | StudyError::Files(_) => false,
        }
    }
}
