//! How the ranks of a run begin together: rank 0 opens the folder and decides, the others follow and write nothing.

use super::checkpoint::TrainState;
use super::checks::{check_precision, device_name};
use super::error::TrainError;
use super::session::Session;
use super::splits::Splits;
use super::start::Start;
use super::{Observer, Outcome, RunOptions};
use crate::config::{Experiment, Key};
use crate::interrupt;
use crate::ranks::{Ranks, RanksError};
use crate::runs::{Environment, Record, RunResult, Status};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// What rank 0 tells the others.
#[derive(Serialize, Deserialize)]
struct Word {
    key: Key,
    /// Fingerprint of its images.
    data: String,
    /// The status of a run that an earlier process finished: there is nothing to do.
    finished: Option<Status>,
}

/// Tells the other ranks that the run begins on these images.
///
/// # Errors
/// When a rank is lost.
pub(super) fn tell_begin(ranks: &Ranks, experiment: &Experiment, splits: &Splits) -> Result<(), TrainError> {
    tell(ranks, &Word { key: experiment.key(), data: splits.fingerprint.clone(), finished: None })
}

/// Tells the other ranks that the run is finished, and gives its outcome back.
///
/// # Errors
/// When a rank is lost.
pub(super) fn tell_finished(ranks: &Ranks, outcome: Outcome, key: Key) -> Result<Outcome, TrainError> {
    tell(ranks, &Word { key, data: String::new(), finished: Some(outcome.status) })?;
    Ok(outcome)
}

fn tell(ranks: &Ranks, word: &Word) -> Result<(), TrainError> {
    ranks.text_of_first(&serde_json::to_string(word).unwrap_or_default())?;
    Ok(())
}

/// Trains as a rank other than 0.
///
/// # Errors
/// As [`super::run`], and when rank 0 has another experiment or other data.
pub(super) fn follow(
    experiment: &Experiment,
    options: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let (ranks, key) = (&options.ranks, experiment.key());
    let differ = |message: String| TrainError::Ranks(RanksError::Differ(message));
    let word: Word = serde_json::from_str(&ranks.text_of_first("")?)
        .map_err(|_| differ("rank 0 is of another version of strata".to_owned()))?;
    if word.key != key {
        let (rank, its) = (ranks.rank(), word.key);
        return Err(differ(format!(
            "rank {rank} has another experiment (key {key}) than rank 0 (key {its}); `train.precision` written out makes \
             different machines agree"
        )));
    }
    let mut info = Environment::new(&device_name(options.device), experiment.train.precision.name(), "", &word.data);
    if let Some(status) = word.finished {
        let record = Record::new(experiment, &info, &RunResult::of_status(status));
        let folder = options.store.run_folder(&experiment.name, &key);
        return Ok(Outcome { status, record, folder, skipped: true, divergence: None });
    }
    check_precision(experiment, options.device)?;
    let splits = Splits::sized(experiment, &options.cache)?;
    if splits.fingerprint != word.data {
        return Err(differ(format!("rank {} has other images of {} than rank 0", ranks.rank(), splits.name)));
    }
    info.dataset.clone_from(&splits.name);
    let deferred = interrupt::defer();
    let normalise = experiment.data.normalisation(experiment.network.plan.input[0]);
    let (splits, start) = (&splits, Instant::now());
    let session = Session { experiment, options, splits, normalise, folder: None, weights: Start::default(), start };
    let result = session.run(&info, &mut TrainState::default(), observer);
    deferred.linger();
    result
}
