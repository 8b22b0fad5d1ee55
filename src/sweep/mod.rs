//! Running a sweep: every point is a process of its own, so that whatever ends one leaves the others alone.
//!
//! [`run`] is the loop. [`event`] is what a point's process tells, [`child`] that process, [`verdict`] what its end means,
//! [`status`](mod@status) what is left and with whom, [`tables`] what is written of it,
//! [`estimate`] how long that takes. Sweeps on one results folder share the work by the locks of the run folders.

mod archived;
mod child;
mod estimate;
pub mod event;
mod finished;
mod progress;
mod runner;
mod state;
mod status;
mod tables;
mod verdict;

pub use estimate::{Estimates, duration};
pub use finished::Finished;
pub use runner::{Report, SweepError, run};
pub use state::{Failure, Options};
pub use tables::{SweepTables, write_tables};
pub use verdict::Verdict;

use crate::runs::Record;
use event::Event;

/// Exit code of `strata train --events` for a run that another process holds.
pub const HELD: u8 = 75;

/// How the points of a sweep stand.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    pub done: usize,
    pub failed: usize,
    /// Whose loss became NaN or infinite; not among the failed.
    pub diverged: usize,
    pub running: usize,
    /// In the queue.
    pub left: usize,
    /// In the hands of other processes.
    pub held: usize,
    /// Estimated; `None` while nothing is known.
    pub seconds_left: Option<f64>,
}

/// How a point ended.
#[derive(Debug)]
pub struct Ended {
    pub verdict: Verdict,
    /// Its `summary.csv`, as far as there is one.
    pub summary: Record,
    /// The whole of what it said on standard error.
    pub log: std::path::PathBuf,
}

/// Is told how a sweep goes on; points are named by their index.
pub trait Watcher {
    fn started(&mut self, _point: usize, _slot: usize) {}
    fn told(&mut self, _point: usize, _slot: usize, _event: &Event) {}
    fn ended(&mut self, _point: usize, _slot: usize, _ended: &Ended) {}
    /// Another process finished, or spoilt, a point that this sweep left to it.
    fn ended_elsewhere(&mut self, _point: usize, _verdict: &Verdict) {}
    fn note(&mut self, _text: &str) {}
    fn counts(&mut self, _counts: &Counts) {}
}
