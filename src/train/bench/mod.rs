//! Timing of training steps and evaluation: the code of a run, on random images in memory, timed from batch to batch.

mod roofline;
mod step_cost;

pub use roofline::Roofline;
pub use step_cost::StepCost;

use super::average::Average;
use super::checkpoint::TrainState;
use super::checks::check_precision;
use super::epoch::{EpochEnd, Trainer};
use super::error::TrainError;
use super::evaluate::{Inference, for_each_batch};
use super::logs::Logs;
use super::metrics::{Sums, cross_entropy};
use super::optimizer::Optimizer;
use super::reduce::Reduction;
use super::{Observer, StepReport};
use crate::config::Experiment;
use crate::data::{self, Batch, Images, Normalise};
use crate::model::Model;
use crate::ranks::Ranks;
use crate::recipe::schedules::Constant;
use crate::runs::median;
use crate::{random, torch};
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Instant;
use tch::Device;

/// A learning rate at which training on noise with random labels cannot diverge.
const HARMLESS_RATE: f64 = 1e-6;

/// An experiment's network with random images and labels for one round.
pub struct Workload {
    experiment: Experiment,
    images: Images,
    normalise: Normalise,
    model: Model,
    rounds_of: usize,
    ranks: Ranks,
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Gathering, augmentation, forward, loss, backward, optimizer and accuracies of a batch.
    Train,
    /// Gathering, forward, loss and accuracies of a batch.
    Eval,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Train => "train",
            Phase::Eval => "eval",
        }
    }
}

/// A round of steps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    pub phase: Phase,
    /// Milliseconds from the end of each step to the end of the next.
    pub ms: Vec<f64>,
    /// Milliseconds a step spent waiting for its batch, included in `ms`; not measured in evaluation.
    pub waited_ms: Option<f64>,
    /// Milliseconds a step spent adding up tensors of all ranks, waiting for the others included; part of `ms`. 0 for the only
    /// rank.
    pub summing_ms: f64,
}

impl Timing {
    /// Milliseconds of the median step.
    pub fn median(&self) -> f64 {
        median(&self.ms)
    }
}

impl Workload {
    /// Builds the network and its images. A round can have up to `steps` steps.
    ///
    /// # Errors
    /// When memory is exhausted.
    pub fn new(experiment: &Experiment, device: Device, steps: usize) -> Result<Workload, TrainError> {
        Workload::on_ranks(experiment, device, steps, Ranks::default())
    }

    /// The workload of ranks that train together: every rank runs the same rounds of training.
    ///
    /// # Errors
    /// When memory is exhausted.
    pub fn on_ranks(
        experiment: &Experiment,
        device: Device,
        steps: usize,
        ranks: Ranks,
    ) -> Result<Workload, TrainError> {
        check_precision(experiment, device)?;
        let mut experiment = experiment.clone();
        experiment.train.lr = HARMLESS_RATE;
        experiment.train.schedule = Constant {}.into();
        experiment.train.warmup = 0.0;
        // The network's own input and one batch size.
        experiment.train.size = 0;
        experiment.train.stages.clear();
        let network = &experiment.network;
        let images = noise(network.plan.input, network.plan.classes, (steps + 1) * experiment.train.batch);
        let normalise = experiment.data.normalisation(network.plan.input[0]);
        let (seed, rewrites) = (experiment.seed, experiment.train.rewrites);
        let sync = ranks.processes().filter(|_| experiment.train.sync_bn);
        let mut model = Model::build_for_ranks(network, device, seed, rewrites, &BTreeSet::new(), sync)?;
        model.use_channels_last()?;
        Ok(Workload { experiment, images, normalise, model, rounds_of: steps, ranks })
    }

    pub fn bench(&self) -> Bench<'_> {
        let Workload { experiment, images, normalise, model, .. } = self;
        let optimizer = Optimizer::new(experiment, model.trainable());
        let average = (experiment.train.ema > 0.0).then(|| Average::new(model, experiment.train.ema));
        let (resized, recorder, logs, ranks) = (None, None, Logs::default(), self.ranks.clone());
        let reduction = Reduction::default();
        let trainer = Trainer {
            experiment,
            images,
            normalise,
            model,
            resized,
            optimizer,
            average,
            recorder,
            logs,
            ranks,
            reduction,
        };
        Bench { trainer, state: TrainState::default(), rounds_of: self.rounds_of }
    }
}

/// Runs rounds of steps. The first steps of a process are slower than later ones: discard a round.
pub struct Bench<'a> {
    trainer: Trainer<'a>,
    state: TrainState,
    rounds_of: usize,
}

impl Bench<'_> {
    /// A round of training steps: the last `steps` batches of an epoch, timed from the end of the batch before them.
    ///
    /// # Errors
    /// When memory is exhausted.
    pub fn train(&mut self, steps: usize) -> Result<Timing, TrainError> {
        let steps = steps.clamp(1, self.rounds_of);
        self.state.epoch += 1;
        self.state.batch = self.trainer.batches(self.state.epoch) - (steps + 1);
        self.state.sums = Sums::default();
        let (mut clock, before) = (Clock::default(), self.trainer.ranks.time_in_sums());
        match self.trainer.epoch(&mut self.state, &mut clock)? {
            EpochEnd::Diverged(divergence) => tracing::warn!("{}: the round ended early", divergence.what),
            EpochEnd::Complete { .. } | EpochEnd::Interrupted => {}
        }
        let waited = match clock.waited.as_slice() {
            [first, .., last] => (last - first) / (clock.waited.len() - 1) as f64,
            _ => 0.0,
        };
        // One step more than is timed.
        let summing = (self.trainer.ranks.time_in_sums() - before).as_secs_f64() / (steps + 1) as f64;
        let (waited_ms, summing_ms) = (Some(1000.0 * waited), 1000.0 * summing);
        Ok(Timing { phase: Phase::Train, ms: clock.intervals(), waited_ms, summing_ms })
    }

    /// A round of evaluated batches.
    ///
    /// # Errors
    /// When memory is exhausted.
    pub fn eval(&self, steps: usize) -> Result<Timing, TrainError> {
        let Trainer { experiment, images, normalise, model, .. } = self.trainer;
        let size = experiment.train.batch;
        let inference = Inference { batch: size, ..Inference::of(experiment) };
        let images = images.slice(0..(steps.clamp(1, self.rounds_of) + 1) * size);
        let (mut clock, mut sums) = (Clock::default(), Sums::default());
        torch::catch(|| {
            for_each_batch(model, &images, normalise, inference, |logits, labels| {
                sums.add(cross_entropy(logits, labels).double_value(&[]), logits, labels);
                clock.ends.push(Instant::now());
            })
        })??;
        Ok(Timing { phase: Phase::Eval, ms: clock.intervals(), waited_ms: None, summing_ms: 0.0 })
    }

    /// Milliseconds that one thread takes to gather and augment a training batch. Training does this on a thread of its own
    /// while the previous step runs.
    pub fn fill_ms(&self, batches: usize) -> Result<f64, TrainError> {
        let Trainer { experiment, images, normalise, .. } = self.trainer;
        let order = data::order(images.len(), experiment.seed, 0);
        let mut batch = Batch::default();
        let mut times = Vec::new();
        for part in order.chunks(experiment.train.batch).take(batches.max(1)) {
            let start = Instant::now();
            batch.fill_train(images, part, normalise, &experiment.data.augment, experiment.seed, 0)?;
            times.push(1000.0 * start.elapsed().as_secs_f64());
        }
        Ok(median(&times))
    }
}

/// Records when steps end.
#[derive(Default)]
struct Clock {
    ends: Vec<Instant>,
    /// Seconds waited for batches so far, at the end of each step.
    waited: Vec<f64>,
}

impl Clock {
    /// Milliseconds between the ends.
    fn intervals(&self) -> Vec<f64> {
        self.ends.windows(2).map(|pair| 1000.0 * (pair[1] - pair[0]).as_secs_f64()).collect()
    }
}

impl Observer for Clock {
    fn step(&mut self, step: &StepReport) {
        self.ends.push(Instant::now());
        self.waited.push(step.waited_seconds);
    }
}

/// Random images: like photographs, they have no long runs of equal pixels that would make any step faster than in a run.
fn noise(shape: [usize; 3], classes: usize, count: usize) -> Images {
    let key = random::key(0, "bench", &[]);
    let size = count * shape.iter().product::<usize>();
    let words = (0..size.div_ceil(8) as u64).flat_map(|index| random::word(key, index).to_le_bytes());
    let pixels = words.take(size).collect();
    let classes = classes.clamp(1, usize::from(u16::MAX)) as u64;
    let labels = (0..count as u64).map(|index| random::below(key, u64::MAX - index, classes) as u16).collect();
    Images::new(shape, pixels, labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Machine;

    /// A round has as many steps as it was asked for, and training changes the weights while evaluation does not.
    #[test]
    fn rounds_of_steps() {
        let text = "[data]\ndataset = 'synthetic'\nvalidation = 100\naugment = { crop = 2, flip = true }\n[model]\npreset = 'resnet'\n\
                    layout = 'cifar'\ndepth = 8\nwidth = 8\ninput = [1, 8, 8]\n[train]\nepochs = 1\nbatch = 4";
        let experiment = Experiment::parse("bench", text, "bench", &[], Machine::default()).unwrap();
        let workload = Workload::new(&experiment, Device::Cpu, 3).unwrap();
        let mut bench = workload.bench();
        let weight = || workload.model.trainable()[0].1.sum(tch::Kind::Double).double_value(&[]);
        let before = weight();
        for steps in [1, 3] {
            let eval = bench.eval(steps).unwrap();
            assert_eq!((eval.ms.len(), weight()), (steps, before));
        }
        for steps in [3, 1] {
            let round = bench.train(steps).unwrap();
            assert_eq!(round.ms.len(), steps);
            assert!(round.waited_ms.unwrap() <= round.ms.iter().sum::<f64>() / steps as f64);
        }
        assert_ne!(weight(), before);
        assert_eq!(bench.train(100).unwrap().ms.len(), 3, "no more than there are images for");
        assert!(bench.fill_ms(2).unwrap() > 0.0);
    }

    #[test]
    fn the_middle_one() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0])), (2.0, 2.5));
        assert!(median(&[]).is_nan());
    }
}
