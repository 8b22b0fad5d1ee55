//! Training: the loop with its optimizers, schedules, metrics and checkpoints.

mod average;
pub mod bench;
mod checkpoint;
mod checks;
mod continued;
mod divergence;
mod epoch;
mod error;
mod evaluate;
mod faults;
mod finished;
mod follow;
mod groups;
mod in_step;
mod logs;
mod lost;
mod metrics;
mod optimizer;
mod pass;
mod recorder;
mod reduce;
mod run;
mod sam;
mod scaler;
mod schedule;
mod session;
mod splits;
mod start;
mod step;
mod whiten;

#[cfg(test)]
mod properties;
/// Shared with the command-line tests.
#[cfg(test)]
mod tally;

pub use average::Average;
pub use checkpoint::{Best, CheckpointError, Checkpoints, TrainState, best_weights, kept_weights};
pub use checks::check_data;
pub use continued::continue_from;
pub use error::TrainError;
pub use evaluate::{Inference, evaluate, for_each_batch, tensors};
pub use lost::record as record_lost_run;
pub use metrics::{Sums, cross_entropy};
pub use optimizer::Optimizer;
pub use run::run;
pub use scaler::GradScaler;
pub use schedule::learning_rate;
pub use splits::{Fingerprints, Splits};

use crate::ranks::Ranks;
use crate::runs::{EpochRow, Record, Status, Store};
use std::path::PathBuf;

/// Receives the events of a run, to draw progress, print lines, or do nothing.
pub trait Observer {
    /// The run starts, or resumes after `done_epochs`.
    fn started(&mut self, _run: &Started) {}
    fn step(&mut self, _step: &StepReport) {}
    fn epoch(&mut self, _row: &EpochRow, _is_best: bool) {}
    /// A message for the user.
    fn note(&mut self, _text: &str) {}
}

/// An observer that ignores all events.
pub struct Quiet;

impl Observer for Quiet {}

/// The facts of a run that starts.
#[derive(Clone, Debug)]
pub struct Started {
    pub name: String,
    pub key: crate::config::Key,
    pub folder: PathBuf,
    pub epochs: usize,
    pub done_epochs: usize,
    pub batches: usize,
    pub train_images: usize,
    pub device: String,
    pub precision: String,
    pub params: u64,
    pub macs: u64,
}

/// Progress within an epoch.
#[derive(Clone, Copy, Debug)]
pub struct StepReport {
    /// Counted from 1.
    pub epoch: usize,
    /// Batches done.
    pub batch: usize,
    pub batches: usize,
    /// Mean over the epoch so far.
    pub loss: f64,
    pub top1: f64,
    pub images_per_second: f64,
    /// Seconds of the epoch so far in which training waited for a batch.
    pub waited_seconds: f64,
}

/// How a run ended, or that it was finished before.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub status: Status,
    pub record: Record,
    pub folder: PathBuf,
    /// The run was finished before.
    pub skipped: bool,
    /// What was NaN or infinite, where and when, as a message.
    pub divergence: Option<String>,
}

/// Options that do not change the result of a run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    pub store: Store,
    /// The folder of datasets.
    pub cache: PathBuf,
    pub device: tch::Device,
    /// Run a finished experiment again.
    pub force: bool,
    /// Stop after this epoch, as an interruption would. Schedules are those of the whole run.
    pub until: Option<usize>,
    /// On a GPU, run steps as a CUDA graph. Never run on one yet.
    pub graphs: bool,
    /// The processes that train together; their number is that of the experiment, whose key has it.
    pub ranks: Ranks,
}
