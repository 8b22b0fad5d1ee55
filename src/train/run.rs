//! One run from an experiment to its tables: what must hold before it starts, and what is recorded of its end.

use super::checkpoint::{Checkpoints, Position};
use super::error::TrainError;
use super::finished::{finished, keep_experiment};
use super::session::Session;
use super::splits::{Fingerprints, Splits};
use super::{Observer, Outcome, RunOptions};
use crate::config::{Experiment, Precision};
use crate::interrupt;
use crate::runs::{RunInfo, Status, utc_now};
use crate::torch;
use crate::watchdog;
use std::path::Path;
use std::time::Instant;
use tch::Device;

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
    let normalise = experiment.data.normalisation(experiment.network.plan.input[0]);
    let splits = Splits::load(experiment, &options.cache)?.resized(experiment.network.plan.input)?;
    let folder = options.store.open(experiment).map_err(TrainError::Folder)?;
    // From here on a signal waits for the step, and a crash is recorded.
    let deferred = interrupt::defer();
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

    torch::reset_peak_memory(options.device);
    let session = Session { experiment, options, splits: &splits, normalise, folder: &folder, start: Instant::now() };
    let mut position = Position::default();
    let result = session.run(&info, &mut position, observer);
    info.finished = utc_now();
    info.outcome = match &result {
        Ok(Outcome { status, divergence: None, .. }) => status.name().to_owned(),
        Ok(Outcome { status, divergence: Some(place), .. }) => format!("{}: {place}", status.name()),
        Err(error) => format!("failed: {error}"),
    };
    deferred.linger();
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
