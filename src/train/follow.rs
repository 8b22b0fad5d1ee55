//! The start of a run with several ranks: rank 0 opens the folder and decides, the others follow and write nothing.

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

/// What rank 0 sends to the others.
#[derive(Serialize, Deserialize)]
struct Announcement {
    key: Key,
    /// Fingerprint of its images.
    data: String,
    bucket_bytes: Option<usize>,
    /// The status of a run that an earlier process finished: there is nothing to do.
    finished: Option<Status>,
}

/// Sends the other ranks the key and the images of the run that begins.
///
/// # Errors
/// When a rank is lost.
pub(super) fn announce_begin(ranks: &Ranks, experiment: &Experiment, splits: &Splits) -> Result<(), TrainError> {
    let (key, data) = (experiment.key(), splits.fingerprint.clone());
    announce(ranks, &Announcement { key, data, bucket_bytes: ranks.bucket_bytes(), finished: None })
}

/// Sends the other ranks the status of a finished run, and returns its outcome.
///
/// # Errors
/// When a rank is lost.
pub(super) fn announce_finished(ranks: &Ranks, outcome: Outcome, key: Key) -> Result<Outcome, TrainError> {
    let (data, bucket_bytes) = (String::new(), ranks.bucket_bytes());
    announce(ranks, &Announcement { key, data, bucket_bytes, finished: Some(outcome.status) })?;
    Ok(outcome)
}

fn announce(ranks: &Ranks, announced: &Announcement) -> Result<(), TrainError> {
    ranks.text_of_first(&serde_json::to_string(announced).unwrap_or_default())?;
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
    let announced: Announcement = serde_json::from_str(&ranks.text_of_first("")?)
        .map_err(|_| differ("rank 0 is of another version of strata".to_owned()))?;
    if announced.key != key {
        let (rank, its) = (ranks.rank(), announced.key);
        return Err(differ(format!(
            "rank {rank} has another experiment (key {key}) than rank 0 (key {its}); `train.precision` written out makes \
             different machines agree"
        )));
    }
    if announced.bucket_bytes != ranks.bucket_bytes() {
        return Err(differ(format!("rank {} has another STRATA_BUCKET_MIB than rank 0", ranks.rank())));
    }
    let mut info =
        Environment::new(&device_name(options.device), experiment.train.precision.name(), "", &announced.data);
    if let Some(status) = announced.finished {
        let record = Record::new(experiment, &info, &RunResult::of_status(status));
        let folder = options.store.run_folder(&experiment.name, &key);
        return Ok(Outcome { status, record, folder, skipped: true, divergence: None });
    }
    check_precision(experiment, options.device)?;
    let splits = Splits::sized(experiment, &options.cache)?;
    if splits.fingerprint != announced.data {
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
