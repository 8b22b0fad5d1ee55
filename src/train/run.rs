//! One run from an experiment to its tables: what must hold before it starts, and what is recorded of its end.

use super::checkpoint::{Checkpoints, TrainState};
use super::checks::{check_data, check_decoder, check_precision, check_ranks, device_name};
use super::error::TrainError;
use super::finished::{finished, keep_experiment};
use super::follow::{announce_begin, announce_finished, follow};
use super::session::Session;
use super::splits::{Fingerprints, Splits};
use super::start::Start;
use super::{Observer, Outcome, RunOptions};
use crate::config::Experiment;
use crate::data::DECODER;
use crate::interrupt;
use crate::ranks::RanksError;
use crate::runs::{Environment, Status, utc_now};
use crate::torch;
use crate::watchdog;
use std::path::Path;
use std::time::Instant;

/// Trains, validates and tests an experiment: resumes what an earlier process left, and skips a run that is finished.
///
/// # Errors
/// When data, the run folder or a checkpoint cannot be used, or memory is exhausted. A loss that is NaN or infinite is an
/// [`Outcome`], not an error.
///
/// With several ranks, rank 0 writes the run's folder and the others write nothing.
pub fn run(experiment: &Experiment, options: &RunOptions, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    check_ranks(experiment, options)?;
    let result = match options.ranks.is_first() {
        true => lead(experiment, options, observer),
        false => follow(experiment, options, observer),
    };
    if let Err(error) = &result
        && !matches!(error, TrainError::Ranks(RanksError::Lost(_)))
    {
        options.ranks.report(&error.to_string());
    }
    result
}

/// Runs the experiment as the only rank or the first.
fn lead(experiment: &Experiment, options: &RunOptions, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    let path = options.store.run_folder(&experiment.name, &experiment.key());
    if !options.force
        && let Some(outcome) = finished(&path, experiment)?
    {
        if let Some(fingerprint) = Fingerprints::default().of(experiment, &options.cache)? {
            check_data(&path, &experiment.data.dataset, &fingerprint)?;
        }
        keep_experiment(experiment, &path)?;
        return announce_finished(&options.ranks, outcome, experiment.key());
    }
    check_precision(experiment, options.device)?;
    // Data before the run folder: a dataset that cannot be read should not leave an empty run behind.
    let normalise = experiment.data.normalisation(experiment.network.plan.input[0]);
    let splits = Splits::sized(experiment, &options.cache)?;
    // A run that goes on has its weights in the checkpoint.
    let resumes = !options.force && Checkpoints::new(&path, experiment.key()).begun();
    let mut weights = Start::default();
    if !resumes {
        weights = Start::read(experiment)?;
        weights.whiten(experiment, &splits.train, &normalise)?;
    }
    let folder = options.store.open(experiment).map_err(TrainError::Folder)?;
    // From here on there is something to save: a signal waits for the current step.
    let deferred = interrupt::defer();
    if options.force {
        folder.clear()?;
    }
    // Another process may have finished it while this one waited for data.
    if let Some(outcome) = finished(folder.path(), experiment)? {
        return announce_finished(&options.ranks, outcome, experiment.key());
    }
    announce_begin(&options.ranks, experiment, &splits)?;
    let mut info = environment(experiment, options, &splits, folder.path())?;
    folder.write("experiment.toml", &experiment.to_toml().to_string())?;
    folder.write("run.json", &info.to_json())?;
    let _watched = watchdog::watch(folder.path());

    torch::reset_peak_memory(options.device);
    let (splits, folder, start) = (&splits, &folder, Instant::now());
    let session = Session { experiment, options, splits, normalise, folder: Some(folder), weights, start };
    let mut state = TrainState::default();
    let result = session.run(&info, &mut state, observer);
    info.finished = utc_now();
    info.outcome = match &result {
        Ok(Outcome { status, divergence: None, .. }) => status.name().to_owned(),
        Ok(Outcome { status, divergence: Some(divergence), .. }) => format!("{}: {divergence}", status.name()),
        Err(error) => format!("failed: {error}"),
    };
    deferred.linger();
    let written = folder.write("run.json", &info.to_json());
    if result.is_err() {
        // On a full disk this write fails as well; the error to report is the first one.
        let _ = session.record(&info, Status::Failed, &state, None).write(folder);
        return result;
    }
    written?;
    result
}

/// What `run.json` says of this process, and of the earlier ones of a run that is resumed.
///
/// # Errors
/// When the images or their decoder are not those of the earlier processes.
fn environment(
    experiment: &Experiment,
    options: &RunOptions,
    splits: &Splits,
    folder: &Path,
) -> Result<Environment, TrainError> {
    let (device, precision) = (device_name(options.device), experiment.train.precision.name());
    let mut info = Environment::new(&device, precision, &splits.name, &splits.fingerprint);
    info.decoder = splits.train.are_files().then_some(DECODER);
    if Checkpoints::new(folder, experiment.key()).begun() {
        check_data(folder, &splits.name, &splits.fingerprint)?;
        if let Some(earlier) = Environment::read(folder) {
            check_decoder(folder, earlier.decoder, info.decoder)?;
            info.resume(earlier);
        }
    }
    Ok(info)
}
