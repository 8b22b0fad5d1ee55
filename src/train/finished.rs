//! Runs that an earlier process carried to their end.

use super::Outcome;
use super::error::TrainError;
use crate::config::{Experiment, Machine};
use crate::files::write_atomic;
use crate::runs::{Column, Record, RunError};
use std::path::Path;

/// The outcome of a run that was carried to its end earlier.
///
/// # Errors
/// When the folder has the result of another experiment, as a copy of its folder would.
pub fn finished(folder: &Path, experiment: &Experiment) -> Result<Option<Outcome>, TrainError> {
    let Some(record) = Record::read(folder) else { return Ok(None) };
    let key = experiment.key();
    if !record.is_of(&key) {
        let found = record.get(Column::Key).filter(|&found| found != key.short()).or_else(|| record.written_key());
        return Err(TrainError::OtherRun { run: folder.to_owned(), found: found.unwrap_or_default().to_owned() });
    }
    let Some(status) = record.status().filter(|status| status.is_final()) else { return Ok(None) };
    Ok(Some(Outcome { status, record, folder: folder.to_owned(), skipped: true, divergence: None }))
}

/// Sees to it that a finished run's `experiment.toml` is its experiment: one that is missing, damaged or of another experiment
/// is written anew. A published result says nothing about how a run goes: one that was written into the experiment later is
/// taken up without running it again.
///
/// # Errors
/// As the file system says.
pub fn keep_experiment(experiment: &Experiment, folder: &Path) -> Result<(), TrainError> {
    let path = folder.join("experiment.toml");
    let text = experiment.to_toml().to_string();
    let same = |known: &str| {
        let known = Experiment::parse("experiment.toml", known, &experiment.name, &[], Machine::default());
        known.is_ok_and(|known| known.key() == experiment.key())
    };
    let good = |known: String| known == text || experiment.expect.is_none() && same(&known);
    if std::fs::read_to_string(&path).is_ok_and(good) {
        return Ok(());
    }
    write_atomic(&path, text.as_bytes()).map_err(|error| RunError::io("write", &path)(error).into())
}
