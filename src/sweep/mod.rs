//! Runs a sweep, each point in a process of its own, so that a crash affects one point only.
//!
//! [`run`] is the main loop. [`event`] is the protocol between a point's process ([`child`]) and the sweep, [`outcome`] judges how
//! a process ended, [`halving`] which settings go on, [`status`](mod@status) keeps count, [`tables`] writes the results,
//! [`estimate`] predicts times, and [`slurm`] submits points to a cluster. Sweeps on one results folder share the work by locking
//! run folders.

mod archived;
mod child;
mod epochs;
mod estimate;
pub mod event;
mod finished;
mod halving;
mod outcome;
mod progress;
mod report;
mod runner;
mod slurm;
mod state;
mod status;
mod tables;

pub use estimate::Estimates;
pub use finished::Finished;
pub use outcome::PointOutcome;
pub use report::{Report, SlurmError, SweepError};
pub use runner::run;
pub use slurm::{SlurmOptions, run_on_slurm};
pub use state::{Failure, Options};
pub use tables::SweepTables;

use crate::runs::Record;
use event::Event;

/// Exit code of `strata train --events` for a run that is locked by another process.
pub const HELD: u8 = 75;

/// The number of points in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    pub done: usize,
    pub failed: usize,
    /// The loss became NaN or infinite. Not included in `failed`.
    pub diverged: usize,
    pub running: usize,
    /// In the queue.
    pub left: usize,
    /// Locked by other processes.
    pub held: usize,
    /// An estimate; `None` while there is no basis for one.
    pub seconds_left: Option<f64>,
}

/// How a point ended.
#[derive(Debug)]
pub struct Ended {
    pub outcome: PointOutcome,
    /// Its record; empty without a `summary.csv`.
    pub record: Record,
    /// What the process wrote to standard error.
    pub log: std::path::PathBuf,
}

/// Observes a sweep. Points are given by their index.
pub trait Watcher {
    fn started(&mut self, _point: usize, _slot: usize) {}
    fn event(&mut self, _point: usize, _slot: usize, _event: &Event) {}
    fn ended(&mut self, _point: usize, _slot: usize, _ended: &Ended) {}
    /// A point ended in another process.
    fn ended_elsewhere(&mut self, _point: usize, _outcome: &PointOutcome) {}
    fn note(&mut self, _text: &str) {}
    fn counts(&mut self, _counts: &Counts) {}
}
