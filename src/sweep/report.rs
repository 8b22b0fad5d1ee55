//! The result of a sweep, and its errors.

use super::state::Failure;
use super::tables::SweepTables;
use crate::runs::RunError;

/// The result of a sweep.
#[derive(Debug)]
pub struct Report {
    /// Points that failed or diverged, each with the reason.
    pub failed: Vec<(usize, Failure)>,
    pub done: usize,
    /// Points that were stopped at a rung.
    pub stopped: usize,
    /// Points that have not ended.
    pub left: usize,
    /// Whether a signal stopped the sweep.
    pub interrupted: bool,
    pub tables: SweepTables,
}

impl Report {
    /// The number of `failed` points that diverged.
    pub fn diverged(&self) -> usize {
        self.failed.iter().filter(|(_, failure)| *failure == Failure::Diverged).count()
    }
}

/// The reason that a sweep stops early.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Slurm(#[from] SlurmError),
}

/// An error of a Slurm command.
#[derive(Debug, thiserror::Error)]
#[error("{command}: {reason}")]
pub struct SlurmError {
    pub(super) command: String,
    pub(super) reason: String,
}
