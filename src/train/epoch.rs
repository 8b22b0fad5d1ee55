//! One epoch of training steps.

use super::average::Average;
use super::checkpoint::TrainState;
use super::divergence::Divergence;
use super::error::TrainError;
use super::evaluate::{targets, tensors};
use super::optimizer::Optimizer;
use super::pass::{Pass, pass};
use super::recorder::Recorder;
use super::schedule::{learning_rate, rate_factor};
use super::{Observer, StepReport, faults};
use crate::config::Experiment;
use crate::data::{self, Batch, Images, Normalise};
use crate::interrupt;
use crate::model::Model;
use crate::random;
use crate::runs::{StepLog, StepRow};
use crate::torch::{TorchError, catch};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use tch::Tensor;

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

    fn step(&mut self, state: &mut TrainState, batch: &Batch) -> Result<Option<Divergence>, TrainError> {
        let fault = faults::step(state.step)?;
        let Experiment { seed, train, .. } = self.experiment;
        let (pixels, labels) = tensors(batch, self.model.device());
        let targets = targets(batch, &labels, self.experiment.network.plan.classes as i64);
        // Dropout and stochastic depth draw from libtorch's generator. Seeding it from the step number gives a resumed run the
        // same draws, with no generator state to save.
        tch::manual_seed(random::key(*seed, "step", &[state.step]) as i64);
        let pass = self.pass(&pixels, &targets)?;
        let value = pass.loss.double_value(&[]);
        let number = state.step + 1;
        if !value.is_finite() {
            return Ok(Some(Divergence::of_loss(value, number, self.experiment, self.model, batch)));
        }
        if !pass.has_gradients {
            pass.loss.backward();
        }
        faults::poison(fault, self.model);
        if train.clip_norm > 0.0 && !self.optimizer.clip(train.clip_norm)?.is_finite() {
            return Ok(Some(Divergence::of_gradients(number, &self.model.trainable())));
        }
        self.optimizer.step(rate_factor(train, state.step, self.batches() as u64))?;
        if !pass.has_gradients {
            self.optimizer.drop_gradients()?;
        }
        if let Some(average) = &self.average {
            average.update(state.step)?;
        }
        let loss = pass.main.double_value(&[]);
        state.sums.add(loss, &pass.logits, &labels);
        let lr = self.rate(state.step);
        if let Some(log) = &mut self.log {
            log.add(StepRow { step: number, epoch: state.epoch + 1, lr, loss })?;
        }
        Ok(None)
    }

    /// Forward pass and losses. A CUDA graph, where one is recorded, runs the backward pass as well.
    fn pass(&mut self, pixels: &Tensor, targets: &Tensor) -> Result<Pass, TorchError> {
        let Some(recorder) = &mut self.recorder else {
            return Ok(pass(self.experiment, self.model, pixels, targets));
        };
        let recorded = recorder.pass(self.experiment, self.model, pixels, targets)?;
        match recorded {
            Some(pass) => Ok(pass),
            None => {
                self.optimizer.drop_gradients()?;
                Ok(pass(self.experiment, self.model, pixels, targets))
            }
        }
    }
}
