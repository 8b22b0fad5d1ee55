//! Training: the loop, and what goes into it.

mod average;
pub mod bench;
mod checkpoint;
mod divergence;
mod epoch;
mod error;
mod evaluate;
mod faults;
mod finished;
mod lost;
mod metrics;
mod optimizer;
mod pass;
mod recorder;
mod run;
mod schedule;
mod session;
mod splits;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tally;

pub use average::Average;
pub use checkpoint::{Best, CheckpointError, Checkpoints, Position, best_weights};
pub use error::TrainError;
pub use evaluate::{evaluate, for_each_batch, tensors};
pub use lost::record as record_lost_run;
pub use metrics::{Sums, cross_entropy};
pub use optimizer::Stepper;
pub use run::{check_data, run};
pub use schedule::learning_rate;
pub use splits::{Fingerprints, Splits};

use crate::runs::{EpochRow, Status, Store};
use std::path::PathBuf;

/// Is told what a run is doing; draws progress, or prints lines, or does nothing.
pub trait Observer {
    /// The run begins, or goes on after `done_epochs`.
    fn started(&mut self, _run: &Started) {}
    fn step(&mut self, _step: &StepReport) {}
    fn epoch(&mut self, _row: &EpochRow, _is_best: bool) {}
    /// Something that a person should know.
    fn note(&mut self, _text: &str) {}
}

/// An observer that looks away.
pub struct Quiet;

impl Observer for Quiet {}

/// What a run is.
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

/// Where the epoch that runs stands.
#[derive(Clone, Copy, Debug)]
pub struct StepReport {
    /// Counted from 1.
    pub epoch: usize,
    /// Batches done.
    pub batch: usize,
    pub batches: usize,
    /// Over the epoch so far.
    pub loss: f64,
    pub top1: f64,
    pub images_per_second: f64,
    /// Of the epoch so far, spent without a batch to work on.
    pub waited_seconds: f64,
}

/// How a run ended, or that there was nothing to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub status: Status,
    pub folder: PathBuf,
    /// The run was finished before.
    pub skipped: bool,
    pub best: Option<(usize, f64)>,
    pub test_top1: Option<f64>,
    pub test_top5: Option<f64>,
    /// Where and when a run diverged, in words.
    pub divergence: Option<String>,
}

/// What decides where a run goes and whether it starts over, but not its result.
#[derive(Clone, Debug)]
pub struct RunOptions {
    pub store: Store,
    /// Where datasets lie.
    pub cache: PathBuf,
    pub device: tch::Device,
    /// Run again what is finished.
    pub force: bool,
    /// On a GPU, record a step once and launch the recording. Never run on one yet.
    pub graphs: bool,
}
