//! Runs for other programs: networks as ONNX, and tables for TensorBoard, MLflow and Weights & Biases. A table comes from the files of the run,
//! so a run that is still going can be exported too, and exporting it again replaces what was written before.

mod error;
mod mlflow;
mod names;
pub mod onnx;
mod run;
mod tensorboard;
mod wandb;

pub use error::ExportError;
pub use names::{Library, NamesError};
pub use run::ExportedRun;

use std::path::{Path, PathBuf};

/// A program that shows curves of training runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracker {
    /// Event files (TFRecord), one a run.
    TensorBoard,
    /// A file store of experiments and runs.
    Mlflow,
    /// Offline runs of Weights & Biases, which `wandb sync` uploads.
    Wandb,
}

impl Tracker {
    /// Writes a run below `folder` and returns the file or folder that holds it.
    ///
    /// # Errors
    /// When it cannot be written, or the folder holds something else.
    pub fn write(self, run: &ExportedRun, folder: &Path) -> Result<PathBuf, ExportError> {
        match self {
            Tracker::TensorBoard => tensorboard::write(run, folder),
            Tracker::Mlflow => mlflow::write(run, folder),
            Tracker::Wandb => wandb::write(run, folder),
        }
    }
}

/// Masks a CRC-32C so that it may itself be part of checksummed data, as LevelDB and TFRecord define it.
fn masked(crc32c: u32) -> u32 {
    crc32c.rotate_right(15).wrapping_add(0xa282_ead8)
}
