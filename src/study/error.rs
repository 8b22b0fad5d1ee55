//! Errors of studies.

use crate::data::DataError;
use crate::input_error::IsInputError;
use crate::named::KeyError;
use crate::runs::RunError;
use crate::torch::TorchError;
use crate::train::{CheckpointError, TrainError};

/// The reason that a study cannot start or continue.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// Interrupted by a signal. The rows so far are kept, and the same command resumes.
    #[error("stopped; the same command resumes")]
    Stopped,
    /// The study does not apply to these runs.
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
