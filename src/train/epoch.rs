//! One epoch of training steps.

use super::average::Average;
use super::checkpoint::TrainState;
use super::divergence::Divergence;
use super::error::TrainError;
use super::logs::Logs;
use super::optimizer::Optimizer;
use super::recorder::Recorder;
use super::reduce::Reduction;
use super::schedule::learning_rate;
use super::{Observer, StepReport};
use crate::config::Experiment;
use crate::data::{self, Batch, Images, Normalise};
use crate::model::Model;
use crate::ranks::Ranks;
use crate::torch::{TorchError, catch};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// What the steps of a run work on.
pub(super) struct Trainer<'a> {
    pub experiment: &'a Experiment,
    pub images: &'a Images,
    pub normalise: &'a Normalise,
    pub model: &'a Model,
    /// The network and the images at the size that is trained at, where that is not the network's input.
    pub resized: Option<Resized>,
    pub optimizer: Optimizer,
    pub average: Option<Average>,
    /// Set only on GPUs and with `--cuda-graphs`.
    pub recorder: Option<Recorder>,
    /// Tables of single steps.
    pub logs: Logs<'a>,
    pub ranks: Ranks,
    pub reduction: Reduction,
}

/// The network for training images of another size, on the tensors of the model, and these images.
pub(super) struct Resized {
    size: usize,
    model: Model,
    images: Images,
}

/// How an epoch ended.
pub(super) enum EpochEnd {
    Complete {
        seconds: f64,
        images: usize,
    },
    Interrupted,
    /// The loss or the gradients of this step were not finite.
    Diverged(Divergence),
}

impl Trainer<'_> {
    /// Steps of an epoch, the first being 0.
    pub(super) fn batches(&self, epoch: usize) -> usize {
        self.images.len().div_ceil(self.experiment.train.stage(epoch).1)
    }

    /// Prepares network and images for the height `size`.
    fn resize(&mut self, size: usize) -> Result<(), TrainError> {
        let train = &self.experiment.train;
        if train.sizes().next().is_none() || self.resized.as_ref().is_some_and(|resized| resized.size == size) {
            return Ok(());
        }
        let network = self.experiment.network_at(size).map_err(|error| TorchError(error.to_string()))?;
        let model = self.model.for_input(&network, train.rewrites, &self.experiment.init.frozen)?;
        self.resized = Some(Resized { size, model, images: self.images.resized(network.plan.input) });
        Ok(())
    }

    /// The network at the size that is trained at.
    pub(super) fn sized_model(&self) -> &Model {
        self.resized.as_ref().map_or(self.model, |resized| &resized.model)
    }

    /// The shape of the images that are trained on.
    pub(super) fn image_shape(&self) -> [usize; 3] {
        self.resized.as_ref().map_or(self.images, |resized| &resized.images).shape
    }

    /// Trains the rest of the epoch that `state` is in, from its next batch on; `state` is kept up to date.
    pub(super) fn epoch(
        &mut self,
        state: &mut TrainState,
        observer: &mut dyn Observer,
    ) -> Result<EpochEnd, TrainError> {
        let (size, batch_size) = self.experiment.train.stage(state.epoch);
        self.resize(size)?;
        let Trainer { experiment, normalise, .. } = *self;
        let images = self.resized.as_ref().map_or(self.images, |resized| &resized.images).clone();
        let (augment, seed, epoch) = (&experiment.data.augment, experiment.seed, state.epoch as u64);
        let order = augment.repeats.spread(data::order(images.len(), seed, epoch));
        let parts: Vec<&[u32]> = order.chunks(batch_size).skip(state.batch).collect();
        let ranks = self.ranks.clone();
        let fill = |i: usize, batch: &mut Batch| {
            let part = data::part_of(parts[i], &ranks, augment.mixes());
            batch.fill_part(&images, (parts[i], &part), normalise, augment, seed, epoch)
        };
        let batches = self.batches(state.epoch);
        let start = Instant::now();
        let mut count = 0;
        let (mut waited, mut left) = (Duration::ZERO, start);
        let step = |_, batch: &Batch| -> Result<_, TrainError> {
            waited += left.elapsed();
            if let Some(divergence) = self.step(state, batch)? {
                return Ok(ControlFlow::Break(EpochEnd::Diverged(divergence)));
            }
            state.batch += 1;
            state.step += 1;
            count += batch.whole;
            observer.step(&StepReport {
                epoch: state.epoch + 1,
                batch: state.batch,
                batches,
                loss: state.sums.mean_loss(),
                top1: state.sums.top1(),
                images_per_second: count as f64 / start.elapsed().as_secs_f64(),
                waited_seconds: waited.as_secs_f64(),
            });
            if state.step == 1 {
                tracing::debug!("first training step done");
            }
            left = Instant::now();
            Ok(match self.ranks.stop_requested() {
                true => ControlFlow::Break(EpochEnd::Interrupted),
                false => ControlFlow::Continue(()),
            })
        };
        let lost = |error: TorchError| ranks.lost_in_pass(&error).map_or(TrainError::Torch(error), TrainError::Ranks);
        match catch(|| data::prefetch(parts.len(), fill, step)).map_err(lost)?? {
            ControlFlow::Break(end) => Ok(end),
            ControlFlow::Continue(()) => {
                Ok(EpochEnd::Complete { seconds: start.elapsed().as_secs_f64(), images: count })
            }
        }
    }

    /// The learning rate of a step, counted from 0 over the run.
    pub(super) fn rate(&self, step: u64) -> f64 {
        learning_rate(&self.experiment.train, self.position(step), self.batches(0) as u64)
    }

    /// A step of the run, counted in steps of the first epoch: where batches grow, later epochs have fewer.
    pub(super) fn position(&self, step: u64) -> f64 {
        let train = &self.experiment.train;
        if train.stages.is_empty() {
            return step as f64;
        }
        let mut left = step;
        for epoch in 0..train.epochs {
            let batches = self.batches(epoch) as u64;
            if left < batches {
                return (epoch as f64 + left as f64 / batches as f64) * self.batches(0) as f64;
            }
            left -= batches;
        }
        (train.epochs * self.batches(0)) as f64
    }
}
