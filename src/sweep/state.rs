//! What a sweep that runs knows: its options, the points that wait, run, and are settled.

use super::Watcher;
use super::child::Job;
use super::estimate::Estimates;
use super::event::Event;
use super::finished::Finished;
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
    /// Where datasets lie.
    pub cache: PathBuf,
    /// The program that has `train`.
    pub program: PathBuf,
    /// Options of every point.
    pub arguments: Vec<OsString>,
    /// Points at once.
    pub jobs: usize,
    /// Threads of each; as many as the program takes by itself without.
    pub threads: Option<usize>,
    /// Devices that the jobs take in turn.
    pub devices: Vec<String>,
    /// How often a point that failed is tried again.
    pub retries: usize,
    /// Stop at the first failure.
    pub fail_fast: bool,
}

/// Why a point has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Its loss became NaN or infinite.
    Diverged,
    /// In words.
    Failed(String),
}

/// How often it is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// A job with what is known of it.
pub(super) struct Running {
    pub(super) job: Job,
    pub(super) progress: Progress,
}

/// The books of a sweep that runs.
pub(super) struct Runner<'a> {
    pub(super) sweep: &'a Sweep,
    pub(super) options: &'a Options,
    pub(super) watcher: &'a mut dyn Watcher,
    pub(super) queue: VecDeque<usize>,
    pub(super) running: Vec<Running>,
    /// Points that other processes have.
    pub(super) held: Vec<usize>,
    pub(super) finished: Finished,
    pub(super) attempts: Vec<usize>,
    pub(super) done: usize,
    pub(super) failed: Vec<(usize, Failure)>,
    pub(super) stopping: bool,
    pub(super) waiting_said: bool,
    pub(super) looked: Instant,
    pub(super) estimates: Estimates,
    pub(super) seconds_left: Option<f64>,
    // Kept, so that the channel stays open when nothing runs.
    pub(super) sender: Sender<(usize, usize, Event)>,
    pub(super) events: Receiver<(usize, usize, Event)>,
}
