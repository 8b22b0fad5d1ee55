//! A run in the terms of experiment trackers.

use super::error::ExportError;
use crate::config::{Experiment, Machine};
use crate::runs::record::flatten;
use crate::runs::{Column, Environment, EpochRow, Epochs, Record, Status};
use jiff::{SignedDuration, Timestamp};
use std::path::Path;

/// Results of the whole run; the other columns of `summary.csv` are settings or are in `epochs.csv`.
const RESULTS: [Column; 11] = {
    use Column::*;
    [Params, Macs, BestEpoch, ValLoss, ValTop1, ValTop5, TestLoss, TestTop1, TestTop5, Seconds, Epochs]
};

/// A run as trackers know runs: settings, one set of values an epoch, results.
#[derive(Clone, Debug)]
pub struct ExportedRun {
    pub name: String,
    /// Ten hex digits.
    pub key: String,
    pub host: String,
    pub status: Status,
    pub started: Timestamp,
    /// Keys of the experiment with their values, such as `train.lr`.
    pub settings: Vec<(String, String)>,
    pub epochs: Vec<Epoch>,
    pub results: Vec<(&'static str, f64)>,
}

/// One row of `epochs.csv`.
#[derive(Clone, Debug)]
pub struct Epoch {
    /// Steps of the optimizer since the start of the run.
    pub step: i64,
    pub ended: Timestamp,
    /// Name of the column and value, without `step`.
    pub values: Vec<(&'static str, f64)>,
}

impl ExportedRun {
    /// Reads the run in a folder.
    ///
    /// # Errors
    /// When `experiment.toml` or `epochs.csv` cannot be read.
    pub fn read(folder: &Path, machine: Machine) -> Result<ExportedRun, ExportError> {
        let experiment = Experiment::load(&folder.join("experiment.toml"), &[], machine)?;
        let record = Record::read(folder).unwrap_or_default();
        let environment = Environment::read(folder).unwrap_or_default();
        let started =
            [record.text(Column::Started), &environment.process.started].into_iter().find_map(|text| text.parse().ok());
        let started = started.unwrap_or(Timestamp::UNIX_EPOCH);
        let mut settings = Vec::new();
        flatten("", &toml::Value::Table(experiment.to_toml()), &mut settings);
        let rows = Epochs::find(folder)?.unwrap_or_default();
        Ok(ExportedRun {
            key: experiment.key().short().to_owned(),
            name: experiment.name,
            host: environment.process.host,
            status: record.status().unwrap_or(Status::Running),
            started,
            settings,
            epochs: epochs(&rows, started),
            results: RESULTS.iter().filter_map(|column| Some((column.name(), record.number(column)?))).collect(),
        })
    }

    /// The end of the last epoch.
    pub(super) fn ended(&self) -> Timestamp {
        self.epochs.last().map_or(self.started, |epoch| epoch.ended)
    }

    /// `NAME-KEY`: one folder a run, whatever runs of one name there are.
    pub(super) fn label(&self) -> String {
        format!("{}-{}", self.name, self.key)
    }
}

fn epochs(rows: &[EpochRow], started: Timestamp) -> Vec<Epoch> {
    let mut ended = started;
    rows.iter()
        .map(|row| {
            ended = ended.saturating_add(SignedDuration::from_secs_f64(row.epoch_seconds)).unwrap_or(ended);
            let columns = EpochRow::COLUMNS.iter().filter(|&&column| column != "step");
            let values = columns.filter_map(|&column| Some((column, row.get(column)?)));
            Epoch { step: i64::try_from(row.step).unwrap_or(i64::MAX), ended, values: values.collect() }
        })
        .collect()
}

/// A run of two epochs for the tests of the trackers.
#[cfg(test)]
pub(super) fn example() -> ExportedRun {
    let row = |epoch: usize| EpochRow {
        epoch,
        step: 100 * epoch as u64,
        lr: 0.1,
        train_loss: 2.0 / epoch as f64,
        train_top1: 0.25,
        train_top5: 0.5,
        val_loss: 1.5,
        val_top1: 0.375,
        val_top5: 0.75,
        epoch_seconds: 2.5,
        images_per_second: 1000.0,
        peak_memory_mib: 64.0,
    };
    let started = "2026-01-31T12:00:00Z".parse().unwrap();
    ExportedRun {
        name: "net".to_owned(),
        key: "0123456789".to_owned(),
        host: "here".to_owned(),
        status: Status::Done,
        started,
        settings: vec![("name".to_owned(), "net".to_owned()), ("train.lr".to_owned(), "0.1".to_owned())],
        epochs: epochs(&[row(1), row(2)], started),
        results: vec![("test_top1", 0.375)],
    }
}
