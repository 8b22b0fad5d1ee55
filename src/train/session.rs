//! The epochs of a run: training, validation, checkpoints, and the test at the end.

use super::average::Average;
use super::checkpoint::{Best, Checkpoints, TrainState, best_weights, keep_weights};
use super::divergence::Divergence;
use super::epoch::{EpochEnd, Trainer};
use super::error::TrainError;
use super::evaluate::{Inference, evaluate};
use super::logs::Logs;
use super::metrics::Sums;
use super::optimizer::Optimizer;
use super::recorder::Recorder;
use super::reduce::Reduction;
use super::splits::{Splits, enlarged_note};
use super::start::{Start, frozen_note};
use super::{Observer, Outcome, RunOptions, Started};
use crate::config::Experiment;
use crate::data::{Images, Normalise};
use crate::model::Model;
use crate::runs::{Environment, EpochRow, Record, RunFolder, RunResult, Status};
use crate::torch::{self, TorchError};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

/// A run whose folder is open and whose images are loaded.
pub(super) struct Session<'a> {
    pub experiment: &'a Experiment,
    pub options: &'a RunOptions,
    pub splits: &'a Splits,
    pub normalise: Normalise,
    /// `None` for the ranks that write nothing: all but the first.
    pub folder: Option<&'a RunFolder>,
    /// Where the run starts from; nothing for one that is resumed.
    pub weights: Start,
    pub start: Instant,
}

impl Session<'_> {
    /// Resumes the run from its last checkpoint and trains to the last epoch. `state` is kept up to date, so that the caller
    /// can record how far the run came when this fails.
    pub(super) fn run(
        &self,
        info: &Environment,
        state: &mut TrainState,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainError> {
        let Session { experiment, splits, normalise, folder, .. } = self;
        let (seed, rewrites, frozen) = (experiment.seed, experiment.train.rewrites, &experiment.init.frozen);
        let sync = self.options.ranks.processes().filter(|_| experiment.train.sync_bn);
        let (network, device) = (&experiment.network, self.options.device);
        let mut model = Model::build_for_ranks(network, device, seed, rewrites, frozen, sync)?;
        model.use_channels_last()?;
        self.weights.apply(&model);
        let mut optimizer = Optimizer::new(experiment, model.trainable());
        let average = (experiment.train.ema > 0.0).then(|| Average::new(&model, experiment.train.ema));
        self.resume(&mut model, &mut optimizer, average.as_ref(), state, observer)?;
        let seconds_before = state.seconds;
        let open = |folder| Logs::open(folder, experiment, &model, state.step);
        let mut trainer = Trainer {
            experiment,
            images: &splits.train,
            normalise,
            model: &model,
            resized: None,
            optimizer,
            average,
            recorder: self.recorder(),
            logs: folder.map(open).transpose()?.unwrap_or_default(),
            ranks: self.options.ranks.clone(),
            reduction: Reduction::default(),
        };
        observer.started(&self.started(info, state, trainer.batches(state.epoch)));
        let notes = self.weights.notes().iter().cloned().chain(enlarged_note(&splits.train, network.plan.input));
        for note in notes.chain(frozen_note(experiment, &model)).chain(info.other_process()) {
            observer.note(&note);
        }
        self.keep_start(state, &trainer)?;
        let last = self.options.until.map_or(experiment.train.epochs, |until| until.min(experiment.train.epochs));
        while state.epoch < last && !self.out_of_patience(state) {
            match self.epoch(&mut trainer, state, seconds_before, observer)? {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(Stop::Interrupted) => return self.end(info, Status::Interrupted, state, None),
                ControlFlow::Break(Stop::Diverged(divergence)) => {
                    observer.note(&format!("{divergence}: the run stops; try a lower train.lr"));
                    let outcome = self.end(info, Status::Diverged, state, None)?;
                    return Ok(Outcome { divergence: Some(divergence), ..outcome });
                }
            }
        }
        if state.epoch < experiment.train.epochs {
            if !self.out_of_patience(state) {
                return self.end(info, Status::Interrupted, state, None);
            }
            let patience = experiment.train.patience;
            observer.note(&format!(
                "validation Top-1 has not improved for {patience} epochs: stopping early (train.patience)"
            ));
        }
        self.test(&mut model, info, state, seconds_before)
    }

    /// Reads the last checkpoint, on the first rank, and gives all ranks what it holds.
    fn resume(
        &self,
        model: &mut Model,
        optimizer: &mut Optimizer,
        average: Option<&Average>,
        state: &mut TrainState,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        *state = TrainState { key: self.experiment.key(), ..TrainState::default() };
        if let Some(folder) = self.folder {
            let checkpoints = Checkpoints::new(folder.path(), state.key.clone());
            let (resumed, skipped) = checkpoints.resume(model, optimizer, average)?;
            for problem in skipped {
                observer.note(&format!("{problem}; resuming from the checkpoint before it"));
            }
            *state = TrainState { key: state.key.clone(), ..resumed.unwrap_or_default() };
            folder.truncate_epochs(state.epoch)?;
        }
        self.begin_as_first(model, optimizer, average, state)
    }

    /// Ends the run with the test. The test images are read once, after training, with the weights of the epoch that was best on
    /// the validation images: no choice can have been made by looking at them.
    fn test(
        &self,
        model: &mut Model,
        info: &Environment,
        state: &mut TrainState,
        seconds_before: f64,
    ) -> Result<Outcome, TrainError> {
        if let Some(folder) = self.folder {
            model.load_weights(&best_weights(folder.path(), &state.key)?)?;
        }
        self.options.ranks.copy_from_first(model.params().iter().map(|(_, tensor)| tensor))?;
        let test = self.evaluate(model, None, &self.splits.test)?;
        state.seconds = self.seconds(seconds_before);
        self.folder.map_or(Ok(()), RunFolder::check_epochs)?;
        self.end(info, if test.is_some() { Status::Done } else { Status::Interrupted }, state, test)
    }

    /// Copies model, optimizer, averages and position from the first rank, which alone has read the checkpoint.
    fn begin_as_first(
        &self,
        model: &Model,
        optimizer: &mut Optimizer,
        average: Option<&Average>,
        state: &mut TrainState,
    ) -> Result<(), TrainError> {
        let ranks = &self.options.ranks;
        if ranks.world() == 1 {
            return Ok(());
        }
        let (buffers, averages) = (optimizer.state(), average.map(Average::tensors).unwrap_or_default());
        ranks.copy_from_first(model.params().iter().map(|(_, tensor)| tensor))?;
        ranks.copy_from_first(buffers.iter().chain(&averages).map(|(_, tensor)| tensor))?;
        let own = serde_json::to_string(state).map_err(|error| TorchError(error.to_string()))?;
        let text = ranks.text_of_first(&own)?;
        *state = serde_json::from_str(&text).map_err(|error| TorchError(error.to_string()))?;
        optimizer.count_from(state.updates());
        Ok(())
    }

    /// The folder of the run, which only the first rank opens.
    fn path(&self) -> PathBuf {
        self.options.store.run_folder(&self.experiment.name, &self.experiment.key())
    }

    /// Whether the run stops early: `train.patience` epochs have passed since the best one. Both are in the checkpoint, so a
    /// resumed run stops at the same epoch.
    fn out_of_patience(&self, state: &TrainState) -> bool {
        let (patience, best) = (self.experiment.train.patience, state.best.as_ref());
        patience > 0 && best.is_some_and(|best| state.epoch - best.epoch >= patience)
    }

    fn started(&self, info: &Environment, state: &TrainState, batches: usize) -> Started {
        let cost = self.experiment.network.cost();
        Started {
            name: self.experiment.name.clone(),
            key: self.experiment.key(),
            folder: self.path(),
            epochs: self.experiment.train.epochs,
            done_epochs: state.epoch,
            batches,
            train_images: self.splits.train.len(),
            device: info.device.clone(),
            precision: info.precision.clone(),
            params: cost.params,
            macs: cost.macs,
        }
    }

    /// Trains the rest of an epoch, validates, appends the row and saves a checkpoint. An interrupt saves a checkpoint within
    /// the epoch.
    fn epoch(
        &self,
        trainer: &mut Trainer,
        state: &mut TrainState,
        seconds_before: f64,
        observer: &mut dyn Observer,
    ) -> Result<ControlFlow<Stop>, TrainError> {
        let epoch_start = Instant::now();
        let end = trainer.epoch(state, observer)?;
        // Before the checkpoint: a kill between the two leaves surplus rows, which a resumed run removes.
        trainer.logs.flush()?;
        state.seconds = self.seconds(seconds_before);
        let (seconds, images) = match end {
            EpochEnd::Complete { seconds, images } => (seconds, images),
            EpochEnd::Interrupted => {
                self.save(state, trainer)?;
                return Ok(ControlFlow::Break(Stop::Interrupted));
            }
            EpochEnd::Diverged(divergence) => {
                let divergence = divergence.said(state.epoch + 1, state.batch + 1);
                return Ok(ControlFlow::Break(Stop::Diverged(divergence)));
            }
        };
        let Some(validation) = self.evaluate(trainer.model, trainer.average.as_ref(), &self.splits.validation)? else {
            // Interrupted during validation: the checkpoint is after the last batch, and a resume validates first.
            self.save(state, trainer)?;
            return Ok(ControlFlow::Break(Stop::Interrupted));
        };
        if !validation.mean_loss().is_finite() {
            let divergence = Divergence::of_validation(state.step, trainer.model);
            return Ok(ControlFlow::Break(Stop::Diverged(divergence.said(state.epoch + 1, state.batch))));
        }
        let (sums, is_best) = finish_epoch(state, &validation);
        let row = EpochRow {
            epoch: state.epoch,
            step: state.step,
            lr: trainer.rate(state.step.saturating_sub(1)),
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
        self.keep(state.epoch, trainer)?;
        // The row comes before the checkpoint, whose manifest holds the digest of the rows up to its epoch. A kill between the
        // two leaves a row that no checkpoint covers; the resume cuts it off and trains the epoch again, to the same numbers.
        // The other way round a checkpoint could count an epoch that has no row.
        self.folder.map_or(Ok(()), |folder| folder.append_epoch(&row))?;
        state.seconds = self.seconds(seconds_before);
        self.save(state, trainer)?;
        observer.epoch(&row, is_best);
        Ok(ControlFlow::Continue(()))
    }

    /// Seconds that the run has taken so far; `before` is the time spent by earlier processes.
    fn seconds(&self, before: f64) -> f64 {
        before + self.start.elapsed().as_secs_f64()
    }

    fn recorder(&self) -> Option<Recorder> {
        let wanted = self.options.graphs && self.options.device.is_cuda();
        wanted.then(|| Recorder::new(self.experiment)).flatten()
    }

    fn keep_start(&self, state: &TrainState, trainer: &Trainer) -> Result<(), TrainError> {
        if state.step == 0 { self.keep(0, trainer) } else { Ok(()) }
    }

    /// Keeps the weights that are evaluated after an epoch, 0 for the start, if it is one of those of `train.keep_every`.
    fn keep(&self, epoch: usize, trainer: &Trainer) -> Result<(), TrainError> {
        let every = self.experiment.train.keep_every;
        let Some(folder) = self.folder.filter(|_| every > 0 && epoch.is_multiple_of(every)) else { return Ok(()) };
        folder.check_held()?;
        let tensors = match &trainer.average {
            Some(average) => average.tensors(),
            None => trainer.model.named_tensors(),
        };
        Ok(keep_weights(folder.path(), epoch, &tensors)?)
    }

    fn save(&self, state: &TrainState, trainer: &Trainer) -> Result<(), TrainError> {
        let Some(folder) = self.folder else { return Ok(()) };
        let check_held = || Ok(folder.check_held()?);
        let checkpoints = Checkpoints::new(folder.path(), state.key.clone());
        checkpoints.save(state, trainer.model, &trainer.optimizer, trainer.average.as_ref(), check_held)
    }

    /// Evaluates the model, or its moving average where there is one, each rank on its part of the images; `None` if a stop was
    /// requested meanwhile.
    fn evaluate(&self, model: &Model, average: Option<&Average>, images: &Images) -> Result<Option<Sums>, TrainError> {
        let (inference, ranks) = (Inference::of(self.experiment), &self.options.ranks);
        let images = images.slice(ranks.part_of(images.len()));
        let measure = || -> Result<Option<Sums>, TrainError> {
            Ok(torch::catch(|| evaluate(model, &images, &self.normalise, inference))??)
        };
        let found = match average {
            Some(average) => average.applied(measure),
            None => measure(),
        }?;
        let stopped = if found.is_none() { 1.0 } else { 0.0 };
        let Sums { loss, top1, top5, count } = found.unwrap_or_default();
        let [loss, top1, top5, count, stopped] = ranks.sums([loss, top1 as f64, top5 as f64, count as f64, stopped])?;
        let sums = Sums { loss, top1: top1 as u64, top5: top5 as u64, count: count as u64 };
        Ok((stopped == 0.0).then_some(sums))
    }

    /// The record of the run so far.
    pub(super) fn record(&self, info: &Environment, status: Status, state: &TrainState, test: Option<Sums>) -> Record {
        let result = RunResult {
            status,
            epochs: state.epoch,
            best_epoch: state.best.as_ref().map(|best| best.epoch),
            val: state.best.as_ref().map(|best| [best.loss, best.top1, best.top5]),
            test: test.map(|sums| [sums.mean_loss(), sums.top1(), sums.top5()]),
            test_correct: test.map(|sums| (sums.top1, sums.count)),
            seconds: state.seconds,
        };
        Record::new(self.experiment, info, &result)
    }

    fn end(
        &self,
        info: &Environment,
        status: Status,
        state: &TrainState,
        test: Option<Sums>,
    ) -> Result<Outcome, TrainError> {
        let record = self.record(info, status, state, test);
        self.folder.map_or(Ok(()), |folder| record.write(folder))?;
        Ok(Outcome { status, record, folder: self.path(), skipped: false, divergence: None })
    }
}

/// Why a run stops before its last epoch.
enum Stop {
    Interrupted,
    /// What was not finite, where and when, as a message.
    Diverged(String),
}

/// Advances `state` to the next epoch. Returns the sums of the epoch that ended, and whether it has the best validation Top-1
/// so far; of equal epochs the first counts.
fn finish_epoch(state: &mut TrainState, validation: &Sums) -> (Sums, bool) {
    let is_best = state.best.as_ref().is_none_or(|best| validation.top1() > best.top1);
    let sums = std::mem::take(&mut state.sums);
    state.epoch += 1;
    state.batch = 0;
    if is_best {
        let (loss, top1, top5) = (validation.mean_loss(), validation.top1(), validation.top5());
        state.best = Some(Best { folder: state.folder(), epoch: state.epoch, loss, top1, top5 });
    }
    (sums, is_best)
}
