//! The epochs of a run: training, validation, checkpoints, and the test at the end.

use super::average::Average;
use super::checkpoint::{Best, Checkpoints, Position, best_weights};
use super::divergence::Divergence;
use super::epoch::{EpochEnd, Trainer};
use super::error::TrainError;
use super::evaluate::evaluate;
use super::metrics::Sums;
use super::optimizer::Optimizer;
use super::recorder::Recorder;
use super::splits::Splits;
use super::{Observer, Outcome, RunOptions, Started};
use crate::config::Experiment;
use crate::data::{Images, Normalise};
use crate::model::Model;
use crate::runs::{EpochRow, RunFolder, RunInfo, Status, StepLog, Summary};
use crate::torch;
use std::ops::ControlFlow;
use std::time::Instant;

/// A run whose folder is open and whose images are loaded.
pub struct Session<'a> {
    pub experiment: &'a Experiment,
    pub options: &'a RunOptions,
    pub splits: &'a Splits,
    pub normalise: Normalise,
    pub folder: &'a RunFolder,
    pub start: Instant,
}

impl Session<'_> {
    /// Takes the run up where its last checkpoint left it, and carries it to its end. `position` moves along, so that the caller
    /// knows it when this fails.
    pub fn run(
        &self,
        info: &RunInfo,
        position: &mut Position,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainError> {
        let Session { experiment, splits, normalise, folder, .. } = self;
        let mut model =
            Model::build(&experiment.network, self.options.device, experiment.seed, experiment.train.rewrites)?;
        model.use_channels_last()?;
        let mut optimizer = Optimizer::new(&experiment.train, model.trainable());
        let average = (experiment.train.ema > 0.0).then(|| Average::new(&model, experiment.train.ema));
        let checkpoints = Checkpoints::new(folder.path(), experiment.key());
        let (resumed, passed_over) = checkpoints.resume(&mut model, &mut optimizer, average.as_ref())?;
        for problem in passed_over {
            observer.note(&format!("{problem}; the checkpoint before it is used"));
        }
        *position = Position { key: experiment.key(), ..resumed.unwrap_or_default() };
        folder.keep_epochs(position.epoch)?;
        let seconds_before = position.seconds;

        let wanted = self.options.graphs && self.options.device.is_cuda();
        let recorder = if wanted { Recorder::new(experiment) } else { None };
        let images = &splits.train;
        let log = StepLog::open(folder, experiment.train.log_every, position.step)?;
        let mut trainer = Trainer { experiment, images, normalise, model: &model, optimizer, average, recorder, log };
        observer.started(&self.started(info, position, trainer.batches()));
        if let Some(note) = info.other_process() {
            observer.note(&note);
        }
        while position.epoch < experiment.train.epochs && !self.out_of_patience(position) {
            let end = self.epoch(&mut trainer, &checkpoints, position, seconds_before, observer)?;
            match end {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(Stop::Interrupted) => return self.end(info, Status::Interrupted, position, None),
                ControlFlow::Break(Stop::Diverged(place)) => {
                    observer.note(&format!("{place}: the run stops; try a lower train.lr"));
                    let outcome = self.end(info, Status::Diverged, position, None)?;
                    return Ok(Outcome { divergence: Some(place), ..outcome });
                }
            }
        }
        if position.epoch < experiment.train.epochs {
            let patience = experiment.train.patience;
            observer.note(&format!("no better val_top1 in {patience} epochs: the run stops early (train.patience)"));
        }
        // The test images are read once, with the weights of the best epoch on the validation images.
        model.load_weights(&best_weights(folder.path(), &experiment.key())?)?;
        let test = self.evaluate(&model, None, &splits.test)?;
        position.seconds = self.seconds(seconds_before);
        folder.check_epochs()?;
        self.end(info, if test.is_some() { Status::Done } else { Status::Interrupted }, position, test)
    }

    /// Whether so many epochs have passed since the best one that the run stops early. The checkpoint has all that this needs.
    fn out_of_patience(&self, position: &Position) -> bool {
        let (patience, best) = (self.experiment.train.patience, position.best.as_ref());
        patience > 0 && best.is_some_and(|best| position.epoch - best.epoch >= patience)
    }

    fn started(&self, info: &RunInfo, position: &Position, batches: usize) -> Started {
        let cost = self.experiment.network.cost();
        Started {
            name: self.experiment.name.clone(),
            key: self.experiment.key(),
            folder: self.folder.path().to_owned(),
            epochs: self.experiment.train.epochs,
            done_epochs: position.epoch,
            batches,
            train_images: self.splits.train.len(),
            device: info.device.clone(),
            precision: info.precision.clone(),
            params: cost.params,
            macs: cost.macs,
        }
    }

    /// Trains for the rest of an epoch, validates, and saves. Where the run stops in between, all that a resume needs is saved.
    fn epoch(
        &self,
        trainer: &mut Trainer,
        checkpoints: &Checkpoints,
        position: &mut Position,
        seconds_before: f64,
        observer: &mut dyn Observer,
    ) -> Result<ControlFlow<Stop>, TrainError> {
        let epoch_start = Instant::now();
        let end = trainer.epoch(position, observer)?;
        // Before the checkpoint: a kill between the two leaves rows too many, which a resumed run removes.
        trainer.log.as_mut().map_or(Ok(()), StepLog::flush)?;
        position.seconds = self.seconds(seconds_before);
        let (seconds, images) = match end {
            EpochEnd::Whole { seconds, images } => (seconds, images),
            EpochEnd::Interrupted => {
                self.save(checkpoints, position, trainer)?;
                return Ok(ControlFlow::Break(Stop::Interrupted));
            }
            EpochEnd::Diverged(divergence) => {
                let place = divergence.said(position.epoch + 1, position.batch + 1);
                return Ok(ControlFlow::Break(Stop::Diverged(place)));
            }
        };
        let Some(validation) = self.evaluate(trainer.model, trainer.average.as_ref(), &self.splits.validation)? else {
            // Behind the last batch: the epoch is validated when the run is resumed.
            self.save(checkpoints, position, trainer)?;
            return Ok(ControlFlow::Break(Stop::Interrupted));
        };
        if !validation.mean_loss().is_finite() {
            let divergence = Divergence::of_validation(position.step, trainer.model);
            return Ok(ControlFlow::Break(Stop::Diverged(divergence.said(position.epoch + 1, position.batch))));
        }
        let (sums, is_best) = finish_epoch(position, &validation);
        let row = EpochRow {
            epoch: position.epoch,
            step: position.step,
            lr: trainer.rate(position.step.saturating_sub(1)),
            train_loss: sums.mean_loss(),
            train_top1: sums.top1(),
            train_top5: sums.top5(),
            val_loss: validation.mean_loss(),
            val_top1: validation.top1(),
            val_top5: validation.top5(),
            epoch_seconds: epoch_start.elapsed().as_secs_f64(),
            images_per_second: images as f64 / seconds.max(1e-9),
            peak_memory_mib: torch::peak_memory_mib(self.options.device).unwrap_or(0.0),
        };
        // The row first: a checkpoint answers for the rows up to its epoch, and a kill between the two leaves one row too many.
        self.folder.append_epoch(&row)?;
        position.seconds = self.seconds(seconds_before);
        self.save(checkpoints, position, trainer)?;
        observer.epoch(&row, is_best);
        Ok(ControlFlow::Continue(()))
    }

    /// Seconds of the run so far; `before` are those of earlier processes.
    fn seconds(&self, before: f64) -> f64 {
        before + self.start.elapsed().as_secs_f64()
    }

    fn save(&self, checkpoints: &Checkpoints, position: &Position, trainer: &Trainer) -> Result<(), TrainError> {
        self.folder.check_held()?;
        Ok(checkpoints.save(position, trainer.model, &trainer.optimizer, trainer.average.as_ref())?)
    }

    /// `None` where a stop was requested meanwhile.
    fn evaluate(&self, model: &Model, average: Option<&Average>, images: &Images) -> Result<Option<Sums>, TrainError> {
        let train = &self.experiment.train;
        let batch = train.batch.clamp(1, 500);
        let measure = || -> Result<Option<Sums>, TrainError> {
            Ok(torch::catch(|| evaluate(model, images, &self.normalise, batch, train.precision))??)
        };
        match average {
            Some(average) => average.applied(measure),
            None => measure(),
        }
    }

    pub fn summary(&self, info: &RunInfo, status: Status, position: &Position, test: Option<Sums>) -> Summary {
        let three = |sums: Sums| [sums.mean_loss(), sums.top1(), sums.top5()];
        Summary {
            status,
            epochs: position.epoch,
            best_epoch: position.best.as_ref().map(|best| best.epoch),
            val: position.best.as_ref().map(|best| [best.loss, best.top1, best.top5]),
            test: test.map(three),
            test_correct: test.map(|sums| (sums.top1, sums.count)),
            seconds: position.seconds,
            device: info.device.clone(),
            precision: info.precision.clone(),
            git: info.git_mark(),
            started: info.process.started.clone(),
        }
    }

    fn end(
        &self,
        info: &RunInfo,
        status: Status,
        position: &Position,
        test: Option<Sums>,
    ) -> Result<Outcome, TrainError> {
        self.summary(info, status, position, test).write(self.folder, self.experiment)?;
        Ok(Outcome {
            status,
            folder: self.folder.path().to_owned(),
            skipped: false,
            best: position.best.as_ref().map(|best| (best.epoch, best.top1)),
            test_top1: test.map(|sums| sums.top1()),
            test_top5: test.map(|sums| sums.top5()),
            divergence: None,
        })
    }
}

/// Why a run stops before its last epoch.
enum Stop {
    Interrupted,
    /// Where and when, in words.
    Diverged(String),
}

/// Moves on to the next epoch. Returns the sums of the one that ended, and whether it was the best on the validation images.
fn finish_epoch(position: &mut Position, validation: &Sums) -> (Sums, bool) {
    let is_best = position.best.as_ref().is_none_or(|best| validation.top1() > best.top1);
    let sums = std::mem::take(&mut position.sums);
    position.epoch += 1;
    position.batch = 0;
    if is_best {
        let (loss, top1, top5) = (validation.mean_loss(), validation.top1(), validation.top5());
        position.best = Some(Best { folder: position.folder(), epoch: position.epoch, loss, top1, top5 });
    }
    (sums, is_best)
}
