//! Reading a run's folder, whether or not the run has ended.

use super::columns::Column;
use super::epochs::Epochs;
use super::error::{RunError, TableError};
use super::folder::locked_by;
use super::record::{Record, flatten};
use super::status::Status;
use super::table::Table;
use crate::config::{Experiment, MAX_LEVELS, Machine, too_deep};
use std::fs;
use std::path::Path;

impl Record {
    /// Loads the record of a run: its `summary.csv`, or what is known of a run that has none yet.
    ///
    /// # Errors
    /// When a file of the run cannot be read.
    pub fn load(run: &Path) -> Result<Record, RunError> {
        let path = run.join("summary.csv");
        if !path.is_file() {
            return unfinished(run);
        }
        let table = Table::read(&path)?;
        if table.rows.is_empty() {
            return Err(TableError::Broken { path, line: 2, problem: "the row is missing".to_owned() }.into());
        }
        let mut record = table.record(0);
        if matches!(record.status(), Some(Status::Interrupted | Status::Failed)) && locked_by(run).is_some() {
            record.set(Column::Status, Status::Running.name());
        }
        record.load_expected(run)?;
        Ok(record)
    }

    /// Replaces the published result by that of the run's `experiment.toml`, where it may have been added after the run.
    pub fn load_expected(&mut self, run: &Path) -> Result<(), RunError> {
        let path = run.join("experiment.toml");
        let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
        let mut expected = Vec::new();
        // Most experiments quote no result, and parsing thousands takes a while.
        if text.contains("expect")
            && let Some(table) = parse(&path, &text)?.get("expect")
        {
            flatten("expect", table, &mut expected);
        }
        self.set_expected(expected);
        Ok(())
    }
}

/// The status of a run that has no result yet.
pub(crate) fn unfinished_status(run: &Path) -> Status {
    if locked_by(run).is_some() { Status::Running } else { Status::Interrupted }
}

/// The record of a run without a summary: the keys of its experiment, and its epochs so far.
fn unfinished(run: &Path) -> Result<Record, RunError> {
    let path = run.join("experiment.toml");
    let text = fs::read_to_string(&path).map_err(|reason| TableError::Io { path: path.clone(), reason })?;
    let mut experiment = parse(&path, &text)?;
    let mut take = |key: &str| match experiment.remove(key) {
        Some(toml::Value::String(text)) => text,
        other => other.map(|value| value.to_string()).unwrap_or_default(),
    };
    let [name, seed, _] = ["name", "seed", "title"].map(&mut take);
    let epochs = Epochs::find(run)?.unwrap_or_default();
    let cost = Experiment::load(&path, &[], Machine::default()).map(|experiment| experiment.network.cost()).ok();
    let best = epochs.best();
    let mut record = Record::default();
    record.set(Column::Name, name);
    record.set(Column::Key, run.file_name().unwrap_or_default().to_string_lossy());
    record.set(Column::Status, unfinished_status(run).name());
    record.set(Column::Seed, seed);
    record.set(Column::Params, cost.as_ref().map(|cost| cost.params.to_string()).unwrap_or_default());
    record.set(Column::Macs, cost.as_ref().map(|cost| cost.macs.to_string()).unwrap_or_default());
    record.set(Column::Epochs, epochs.len().to_string());
    record.set(Column::BestEpoch, best.map(|row| row.epoch.to_string()).unwrap_or_default());
    for column in [Column::ValLoss, Column::ValTop1, Column::ValTop5] {
        let value = best.and_then(|row| row.get(column.name()));
        record.set(column, value.map(|value| column.format().write(value)).unwrap_or_default());
    }
    record.add_settings(experiment);
    Ok(record)
}

fn parse(path: &Path, text: &str) -> Result<toml::Table, TableError> {
    let broken = |start: usize, problem: String| {
        let line = 1 + text.bytes().take(start).filter(|&byte| byte == b'\n').count() as u64;
        TableError::Broken { path: path.to_owned(), line, problem }
    };
    if let Some(deep) = too_deep(text) {
        let problem = format!("tables and lists are nested at most {MAX_LEVELS} levels deep");
        return Err(broken(deep.start, problem));
    }
    text.parse()
        .map_err(|error: toml::de::Error| broken(error.span().map_or(0, |span| span.start), error.message().to_owned()))
}
