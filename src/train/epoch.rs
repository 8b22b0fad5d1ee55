//! One epoch of training steps.

use super::average::Average;
use super::checkpoint::TrainState;
use super::divergence::Divergence;
use super::error::TrainError;
use super::optimizer::Optimizer;
use super::recorder::Recorder;
use super::schedule::learning_rate;
use super::{Observer, StepReport};
use crate::config::Experiment;
use crate::data::{self, Batch, Images, Normalise};
use crate::interrupt;
use crate::model::Model;
use crate::runs::StepLog;
use crate::torch::catch;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// What the steps of a run work on.
pub(super) struct Trainer<'a> {
    pub experiment: &'a Experiment,
    pub images: &'a Images,
    pub normalise: &'a Normalise,
    pub model: &'a Model,
    pub optimizer: Optimizer,
    pub average: Option<Average>,
    /// Set only on GPUs and with `--cuda-graphs`.
    pub recorder: Option<Recorder>,
    /// Where the loss of single steps is written to.
    pub log: Option<StepLog<'a>>,
}

/// How an epoch ended.
pub(super) enum EpochEnd {
    Whole {
        seconds: f64,
        images: usize,
    },
    Interrupted,
    /// The loss or the gradients of this step were not finite.
    Diverged(Divergence),
}

impl Trainer<'_> {
    pub(super) fn batches(&self) -> usize {
        self.images.len().div_ceil(self.experiment.train.batch)
    }

    /// Trains the rest of the epoch that `state` is in, from its next batch on; `state` is kept up to date.
    pub(super) fn epoch(
        &mut self,
        state: &mut TrainState,
        observer: &mut dyn Observer,
    ) -> Result<EpochEnd, TrainError> {
        let Trainer { experiment, images, normalise, .. } = *self;
        let (augment, seed, epoch) = (&experiment.data.augment, experiment.seed, state.epoch as u64);
        let order = data::order(images.len(), seed, epoch);
        let parts: Vec<&[u32]> = order.chunks(experiment.train.batch).skip(state.batch).collect();
        let fill = |i: usize, batch: &mut Batch| batch.fill_train(images, parts[i], normalise, augment, seed, epoch);
        let batches = self.batches();
        let start = Instant::now();
        let mut images = 0;
        let (mut waited, mut left) = (Duration::ZERO, start);
        let step = |_, batch: &Batch| -> Result<_, TrainError> {
            waited += left.elapsed();
            if let Some(divergence) = self.step(state, batch)? {
                return Ok(ControlFlow::Break(EpochEnd::Diverged(divergence)));
            }
            state.batch += 1;
            state.step += 1;
            images += batch.labels.len();
            observer.step(&StepReport {
                epoch: state.epoch + 1,
                batch: state.batch,
                batches,
                loss: state.sums.mean_loss(),
                top1: state.sums.top1(),
                images_per_second: images as f64 / start.elapsed().as_secs_f64(),
                waited_seconds: waited.as_secs_f64(),
            });
            if state.step == 1 {
                tracing::debug!("first training step done");
            }
            left = Instant::now();
            Ok(match interrupt::requested() {
                true => ControlFlow::Break(EpochEnd::Interrupted),
                false => ControlFlow::Continue(()),
            })
        };
        match catch(|| data::prefetch(parts.len(), fill, step))?? {
            ControlFlow::Break(end) => Ok(end),
            ControlFlow::Continue(()) => Ok(EpochEnd::Whole { seconds: start.elapsed().as_secs_f64(), images }),
        }
    }

    /// The learning rate of a step, counted from 0 over the run.
    pub(super) fn rate(&self, step: u64) -> f64 {
        learning_rate(&self.experiment.train, step, self.batches() as u64)
    }
}
