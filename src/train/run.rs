//! One run from an experiment to its tables: trains, validates, saves, resumes, tests once at the end.

use super::average::Average;
use super::checkpoint::{Best, Checkpoints, Position, best_weights};
use super::divergence::Divergence;
use super::epoch::{EpochEnd, Trainer};
use super::error::TrainError;
use super::evaluate::evaluate;
use super::finished::{finished, keep_experiment};
use super::metrics::Sums;
use super::optimizer::Stepper;
use super::recorder::Recorder;
use super::splits::{Fingerprints, Splits};
use super::{Observer, Outcome, Started};
use crate::config::{Experiment, Precision};
use crate::data::{self, Images, Normalise};
use crate::interrupt;
use crate::model::Model;
use crate::runs::{EpochRow, RunFolder, RunInfo, Status, Store, Summary, utc_now};
use crate::torch::{self};
use crate::watchdog;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tch::Device;

/// What decides where a run goes and whether it starts over, but not its result.
#[derive(Clone, Debug)]
pub struct RunOptions {
    pub store: Store,
    /// Where datasets lie.
    pub cache: PathBuf,
    pub device: Device,
    /// Run again what is finished.
    pub force: bool,
    /// On a GPU, record a step once and launch the recording. Never run on one yet.
    pub graphs: bool,
}

/// Carries out an experiment: takes up what an earlier process left, or skips it where it is finished.
///
/// # Errors
/// When data, the run folder or a checkpoint cannot be used, or memory does not suffice. A loss that is not finite is not an
/// error but an outcome.
pub fn run(experiment: &Experiment, options: &RunOptions, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    let place = options.store.run_folder(&experiment.name, &experiment.key());
    if !options.force
        && let Some(outcome) = finished(&place, experiment)?
    {
        if let Some(fingerprint) = Fingerprints::default().of(experiment, &options.cache)? {
            check_data(&place, &experiment.data.dataset, &fingerprint)?;
        }
        keep_experiment(experiment, &place)?;
        return Ok(outcome);
    }
    // Data first: a dataset that cannot be read leaves no half-begun run behind.
    let normalise =
        experiment.data.normalisation(data::known(&experiment.data.dataset)?, experiment.network.plan.input[0]);
    let splits = Splits::load(experiment, &options.cache)?.resized(experiment.network.plan.input)?;
    let folder = options.store.open(experiment).map_err(TrainError::Folder)?;
    // From here on a signal waits for the step, and a crash is recorded.
    let _deferred = interrupt::defer();
    if options.force {
        folder.clear()?;
    }
    // Another process may have finished it while this one waited for data.
    if let Some(outcome) = finished(folder.path(), experiment)? {
        return Ok(outcome);
    }
    let begun = Checkpoints::new(folder.path(), experiment.key()).begun();
    let mut info = RunInfo::new(&device_name(options.device), precision(experiment), &splits.name, &splits.fingerprint);
    if begun {
        check_data(folder.path(), &splits.name, &splits.fingerprint)?;
        RunInfo::read(folder.path()).into_iter().for_each(|earlier| info.go_on(earlier));
    }
    folder.write("experiment.toml", &experiment.to_toml().to_string())?;
    folder.write("run.json", &info.to_json())?;
    let _watched = watchdog::watch(folder.path());

    let start = Instant::now();
    let session = Session { experiment, options, splits: &splits, normalise, folder: &folder, start };
    torch::reset_peak_memory(options.device);
    let mut position = Position::default();
    let result = session.train(&info, &mut position, observer);
    info.finished = utc_now();
    info.outcome = match &result {
        Ok(Outcome { status, divergence: None, .. }) => status.name().to_owned(),
        Ok(Outcome { status, divergence: Some(place), .. }) => format!("{}: {place}", status.name()),
        Err(error) => format!("failed: {error}"),
    };
    let written = folder.write("run.json", &info.to_json());
    if result.is_err() {
        // Where the disk is full these fail too, and what is said shall be what came first.
        let _ = session.summary(&info, Status::Failed, &position, None).write(&folder, experiment);
        return result;
    }
    written?;
    result
}

fn device_name(device: Device) -> String {
    format!("{device:?}").to_lowercase()
}

fn precision(experiment: &Experiment) -> &'static str {
    if experiment.train.precision == Precision::Bf16 { "bf16" } else { "fp32" }
}

/// Checks that a run was trained on the images that are in the cache now. What an earlier version recorded, or nobody, is not
/// in doubt.
///
/// # Errors
/// [`TrainError::DataChanged`] where it was not.
pub fn check_data(run: &Path, dataset: &str, fingerprint: &str) -> Result<(), TrainError> {
    match RunInfo::read(run) {
        Some(info) if !info.data.is_empty() && info.data != fingerprint => {
            Err(TrainError::DataChanged { name: dataset.to_owned(), run: run.to_owned() })
        }
        _ => Ok(()),
    }
}

struct Session<'a> {
    experiment: &'a Experiment,
    options: &'a RunOptions,
    splits: &'a Splits,
    normalise: Normalise,
    folder: &'a RunFolder,
    start: Instant,
}

impl Session<'_> {
    fn train(
        &self,
        info: &RunInfo,
        position: &mut Position,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainError> {
        let Session { experiment, splits, normalise, folder, .. } = self;
        let Experiment { network, seed, .. } = experiment;
        let mut model = Model::build(network, self.options.device, *seed, experiment.train.rewrites)?;
        model.use_channels_last()?;
        let mut stepper = Stepper::new(&experiment.train, model.trainable());
        let average = (experiment.train.ema > 0.0).then(|| Average::new(&model, experiment.train.ema));
        let checkpoints = Checkpoints::new(folder.path(), experiment.key());
        let (resumed, passed_over) = checkpoints.resume(&mut model, &mut stepper, average.as_ref())?;
        for problem in passed_over {
            observer.note(&format!("{problem}; the checkpoint before it is used"));
        }
        *position = Position { key: experiment.key(), ..resumed.unwrap_or_default() };
        folder.keep_epochs(position.epoch)?;
        let seconds_before = position.seconds;

        let images = &splits.train;
        let wanted = self.options.graphs && self.options.device.is_cuda();
        let recorder = if wanted { Recorder::new(experiment) } else { None };
        let mut trainer = Trainer { experiment, images, normalise, model: &model, stepper, average, recorder };
        let cost = experiment.network.cost();
        observer.started(&Started {
            name: experiment.name.clone(),
            key: experiment.key(),
            folder: folder.path().to_owned(),
            epochs: experiment.train.epochs,
            done_epochs: position.epoch,
            batches: trainer.batches(),
            train_images: images.len(),
            device: info.device.clone(),
            precision: info.precision.clone(),
            params: cost.params,
            macs: cost.macs,
        });
        if let Some(note) = info.other_process() {
            observer.note(&note);
        }
        while position.epoch < experiment.train.epochs {
            let epoch_start = Instant::now();
            let end = trainer.epoch(position, observer)?;
            position.seconds = seconds_before + self.start.elapsed().as_secs_f64();
            let (seconds, count) = match end {
                EpochEnd::Whole { seconds, images } => (seconds, images),
                EpochEnd::Interrupted => {
                    self.save(&checkpoints, position, &trainer)?;
                    return self.end(info, Status::Interrupted, position, None);
                }
                EpochEnd::Diverged(divergence) => {
                    return self.diverged(info, position, observer, divergence, position.batch + 1);
                }
            };
            let Some(validation) = self.evaluate(&model, trainer.average.as_ref(), &splits.validation)? else {
                // Behind the last batch: the epoch is validated when the run goes on.
                self.save(&checkpoints, position, &trainer)?;
                return self.end(info, Status::Interrupted, position, None);
            };
            if !validation.mean_loss().is_finite() {
                let divergence = Divergence::of_validation(position.step, &model);
                return self.diverged(info, position, observer, divergence, position.batch);
            }
            let is_best = position.best.as_ref().is_none_or(|best| validation.top1() > best.top1);
            let sums = std::mem::take(&mut position.sums);
            position.epoch += 1;
            position.batch = 0;
            if is_best {
                let (loss, top1, top5) = (validation.mean_loss(), validation.top1(), validation.top5());
                let folder = position.folder();
                position.best = Some(Best { folder, epoch: position.epoch, loss, top1, top5 });
            }
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
                images_per_second: count as f64 / seconds.max(1e-9),
                peak_memory_mib: torch::peak_memory_mib(self.options.device).unwrap_or(0.0),
            };
            folder.append_epoch(&row)?;
            position.seconds = seconds_before + self.start.elapsed().as_secs_f64();
            self.save(&checkpoints, position, &trainer)?;
            observer.epoch(&row, is_best);
        }
        // The test images are read once, with the weights of the best epoch on the validation images.
        let best = best_weights(folder.path(), &experiment.key())?;
        model.load_weights(&best)?;
        let test = self.evaluate(&model, None, &splits.test)?;
        position.seconds = seconds_before + self.start.elapsed().as_secs_f64();
        folder.check_epochs()?;
        self.end(info, if test.is_some() { Status::Done } else { Status::Interrupted }, position, test)
    }

    fn save(&self, checkpoints: &Checkpoints, position: &Position, trainer: &Trainer) -> Result<(), TrainError> {
        self.folder.check_held()?;
        Ok(checkpoints.save(position, trainer.model, &trainer.stepper, trainer.average.as_ref())?)
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

    fn summary(&self, info: &RunInfo, status: Status, position: &Position, test: Option<Sums>) -> Summary {
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

    fn diverged(
        &self,
        info: &RunInfo,
        position: &Position,
        observer: &mut dyn Observer,
        divergence: Divergence,
        batch: usize,
    ) -> Result<Outcome, TrainError> {
        let said = divergence.said(position.epoch + 1, batch);
        observer.note(&format!("{said}: the run stops; try a lower train.lr"));
        let outcome = self.end(info, Status::Diverged, position, None)?;
        Ok(Outcome { divergence: Some(said), ..outcome })
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
