//! The state of a running sweep: its options, and the points that wait, run or have ended.

use super::Watcher;
use super::child::Job;
use super::estimate::Estimates;
use super::event::Event;
use super::finished::Finished;
use super::halving::Rungs;
use super::progress::Progress;
use crate::config::Sweep;
use crate::runs::Store;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// How a sweep is run.
#[derive(Clone, Debug)]
pub struct Options {
    pub store: Store,
    /// The folder of datasets.
    pub cache: PathBuf,
    /// The program to call `train` of.
    pub program: PathBuf,
    /// Options of every point.
    pub arguments: Vec<OsString>,
    /// Number of points to run at once.
    pub jobs: usize,
    /// Threads of each point; the default of `train` if `None`.
    pub threads: Option<usize>,
    /// Devices, which the jobs take in turn.
    pub devices: Vec<String>,
    /// How often a failed point is retried.
    pub retries: usize,
    /// Stop at the first failure.
    pub fail_fast: bool,
    /// Run this point only.
    pub only: Option<usize>,
    /// Skip points whose results are in the tables of the sweep, even if their runs are not here.
    pub skip_recorded: bool,
    /// Stop points after this epoch.
    pub until: Option<usize>,
}

/// Why a point has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The loss became NaN or infinite.
    Diverged,
    /// Failed, with the reason.
    Failed(String),
}

/// How often locks are polled.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// A job and its progress.
pub(super) struct Running {
    pub(super) job: Job,
    pub(super) progress: Progress,
    /// The epoch after which it stops at a rung.
    pub(super) until: Option<usize>,
}

/// A running sweep.
pub(super) struct Runner<'a> {
    pub(super) sweep: &'a Sweep,
    pub(super) options: &'a Options,
    pub(super) watcher: &'a mut dyn Watcher,
    pub(super) queue: VecDeque<usize>,
    pub(super) running: Vec<Running>,
    /// Points that are locked by other processes.
    pub(super) held: Vec<usize>,
    pub(super) finished: Finished,
    pub(super) rungs: Option<Rungs<'a>>,
    /// The rung that each point runs to next; `None` is its last epoch.
    pub(super) targets: Vec<Option<usize>>,
    /// Points that stay at a rung.
    pub(super) stopped: usize,
    pub(super) attempts: Vec<usize>,
    pub(super) done: usize,
    pub(super) failed: Vec<(usize, Failure)>,
    pub(super) stopping: bool,
    pub(super) reported_waiting: bool,
    pub(super) polled: Instant,
    pub(super) estimates: Estimates,
    pub(super) seconds_left: Option<f64>,
    // Keeps the channel open while nothing runs.
    pub(super) sender: Sender<(usize, usize, Event)>,
    pub(super) events: Receiver<(usize, usize, Event)>,
}
