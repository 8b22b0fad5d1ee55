//! What a sweep came to, and why it stops early.

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
    /// How many of the `failed` diverged.
    pub fn diverged(&self) -> usize {
        self.failed.iter().filter(|(_, failure)| *failure == Failure::Diverged).count()
    }
}

/// Why a sweep stops early.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Slurm(#[from] SlurmError),
}

/// Why a command of Slurm did not do what it was to.
#[derive(Debug, thiserror::Error)]
#[error("{command}: {reason}")]
pub struct SlurmError {
    pub(super) command: String,
    pub(super) reason: String,
}
