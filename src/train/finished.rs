//! Runs that an earlier process finished.

use super::Outcome;
use super::error::TrainError;
use crate::config::{Experiment, Machine};
use crate::files::write_atomic;
use crate::runs::{Column, Record, RunError};
use std::path::Path;

/// The outcome of a run that an earlier process finished; `None` if it is not finished.
///
/// # Errors
/// [`TrainError::OtherRun`] when the folder has the result of another experiment, as a copied folder would.
pub(super) fn finished(folder: &Path, experiment: &Experiment) -> Result<Option<Outcome>, TrainError> {
    let Some(record) = Record::read(folder) else { return Ok(None) };
    let key = experiment.key();
    if !record.is_of(&key) {
        let found = record.get(Column::Key).filter(|&found| found != key.short()).or_else(|| record.written_key());
        return Err(TrainError::OtherRun { run: folder.to_owned(), found: found.unwrap_or_default().to_owned() });
    }
    let Some(status) = record.status().filter(|status| status.is_final()) else { return Ok(None) };
    Ok(Some(Outcome { status, record, folder: folder.to_owned(), skipped: true, divergence: None }))
}

/// Rewrites a finished run's `experiment.toml` if it is missing, damaged or that of another experiment. Published results
/// (`[expect]`) do not change a run, so those added to the experiment later are written without running it again.
pub(super) fn keep_experiment(experiment: &Experiment, folder: &Path) -> Result<(), TrainError> {
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
