//! The record of a run: the row of its `summary.csv`, which says how it ended and has a column for each key of the experiment.

use super::columns::Column;
use super::environment::Environment;
use super::error::RunError;
use super::folder::RunFolder;
use super::format::from_csv_cell;
use super::status::Status;
use super::table::Table;
use crate::config::{ASIDE, Experiment, Key};
use std::path::Path;

/// The outcome of a run. Values that it did not reach are `None`, and empty in its record.
#[derive(Clone, Debug)]
pub struct RunResult {
    pub status: Status,
    /// Completed epochs.
    pub epochs: usize,
    /// The epoch with the highest validation Top-1, whose weights were tested.
    pub best_epoch: Option<usize>,
    /// Loss, Top-1 and Top-5 of the best epoch on the validation images.
    pub val: Option<[f64; 3]>,
    /// Loss, Top-1 and Top-5 on the test images.
    pub test: Option<[f64; 3]>,
    /// Correctly classified and all test images.
    pub test_correct: Option<(u64, u64)>,
    pub seconds: f64,
}

impl RunResult {
    /// A status of which nothing else is known here.
    pub fn of_status(status: Status) -> RunResult {
        RunResult { status, epochs: 0, best_epoch: None, val: None, test: None, test_correct: None, seconds: 0.0 }
    }
}

/// One run: the row of its `summary.csv`, or of a table that has it. Cells keep the text that was read, so that a table can be
/// rewritten byte for byte; accessors parse numbers and the status. Columns are given as a [`Column`] or by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Column names and cells, in the order of the file.
    cells: Vec<(String, String)>,
}

impl Record {
    /// The record of a run in this environment.
    pub fn new(experiment: &Experiment, environment: &Environment, result: &RunResult) -> Record {
        let (key, cost) = (experiment.key(), experiment.network.cost());
        let correct = |of: fn((u64, u64)) -> u64| result.test_correct.map_or_else(String::new, |n| of(n).to_string());
        let text = |column: Column| {
            let score = |scores: Option<[f64; 3]>, index: usize| {
                scores.map_or_else(String::new, |scores| column.format().write(scores[index]))
            };
            match column {
                Column::Name => experiment.name.clone(),
                Column::Key => key.short().to_owned(),
                Column::Status => result.status.to_string(),
                Column::Seed => experiment.seed.to_string(),
                Column::Params => cost.params.to_string(),
                Column::Macs => cost.macs.to_string(),
                Column::Epochs => result.epochs.to_string(),
                Column::BestEpoch => result.best_epoch.map_or_else(String::new, |epoch| epoch.to_string()),
                Column::ValLoss => score(result.val, 0),
                Column::ValTop1 => score(result.val, 1),
                Column::ValTop5 => score(result.val, 2),
                Column::TestLoss => score(result.test, 0),
                Column::TestTop1 => score(result.test, 1),
                Column::TestTop5 => score(result.test, 2),
                Column::TestCorrect => correct(|(correct, _)| correct),
                Column::TestTotal => correct(|(_, total)| total),
                Column::Seconds => column.format().write(result.seconds),
                Column::Device => environment.device.clone(),
                Column::Precision => environment.precision.clone(),
                Column::Git => environment.git_mark(),
                Column::Started => environment.process.started.clone(),
                Column::Sha256 => key.sha256().to_owned(),
            }
        };
        let mut record: Record = Column::ALL.iter().map(|&column| (column.name().to_owned(), text(column))).collect();
        let mut settings = experiment.to_toml();
        settings.retain(|key, _| !["name", "title", "seed"].contains(&key));
        // A column that does not change the result would keep apart runs that are the same but for their seeds.
        if let Some(train) = settings.get_mut("train").and_then(toml::Value::as_table_mut) {
            ASIDE.iter().for_each(|key| drop(train.remove(*key)));
        }
        record.add_settings(settings);
        record
    }

    /// Appends a column for each key of an experiment.
    pub(super) fn add_settings(&mut self, settings: toml::Table) {
        flatten("", &toml::Value::Table(settings), &mut self.cells);
    }

    /// Reads the `summary.csv` of a run; `None` where the run has not ended yet or the file cannot be read.
    pub fn read(folder: &Path) -> Option<Record> {
        let mut reader = csv::Reader::from_path(folder.join("summary.csv")).ok()?;
        let header = reader.headers().ok()?.clone();
        let row = reader.records().next()?.ok()?;
        Some(header.iter().map(str::to_owned).zip(row.iter().map(|cell| from_csv_cell(cell).to_owned())).collect())
    }

    /// A table with one row.
    pub fn to_csv(&self) -> String {
        let (columns, row) = self.cells.iter().cloned().unzip();
        Table { columns, rows: vec![row] }.to_csv()
    }

    /// Writes the `summary.csv` of a run.
    pub fn write(&self, folder: &RunFolder) -> Result<(), RunError> {
        folder.write("summary.csv", &self.to_csv())
    }

    /// The text of a column; `None` where there is no such column.
    pub fn get(&self, column: impl AsRef<str>) -> Option<&str> {
        self.cells.iter().find(|(name, _)| name == column.as_ref()).map(|(_, cell)| cell.as_str())
    }

    /// The text of a column; empty where there is no such column.
    pub fn text(&self, column: impl AsRef<str>) -> &str {
        self.get(column).unwrap_or_default()
    }

    /// The number in a column; `None` for anything else, NaN and infinities included.
    pub fn number(&self, column: impl AsRef<str>) -> Option<f64> {
        self.text(column).parse().ok().filter(|number: &f64| number.is_finite())
    }

    pub fn set(&mut self, column: impl AsRef<str>, text: impl Into<String>) {
        match self.cells.iter_mut().find(|(name, _)| name == column.as_ref()) {
            Some((_, cell)) => *cell = text.into(),
            None => self.cells.push((column.as_ref().to_owned(), text.into())),
        }
    }

    pub fn remove(&mut self, column: impl AsRef<str>) -> Option<String> {
        let index = self.cells.iter().position(|(name, _)| name == column.as_ref())?;
        Some(self.cells.remove(index).1)
    }

    /// Copies what `other` has in the columns of this record: into empty cells, or into all with `overwrite`.
    pub fn update(&mut self, other: &Record, overwrite: bool) {
        for (column, cell) in self.cells.iter_mut().filter(|(_, cell)| overwrite || cell.is_empty()) {
            if let Some(known) = other.get(column).filter(|known| !known.is_empty()) {
                known.clone_into(cell);
            }
        }
    }

    /// Replaces the columns `expect.…`. Those that are no longer there become empty, for rows of a table share their columns.
    pub(super) fn set_expected(&mut self, expected: Vec<(String, String)>) {
        self.cells.iter_mut().filter(|(name, _)| name.starts_with("expect.")).for_each(|(_, cell)| cell.clear());
        expected.into_iter().for_each(|(column, cell)| self.set(column, cell));
    }

    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Column names and cells.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.cells.iter().map(|(name, cell)| (name.as_str(), cell.as_str()))
    }

    /// The keys of the experiment and their values, without name, seed and published results.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(name, _)| name.contains('.') && !name.starts_with("expect."))
    }

    pub fn status(&self) -> Option<Status> {
        Status::parse(self.text(Column::Status))
    }

    /// Whether the run has ended and is not to be resumed.
    pub fn is_final(&self) -> bool {
        self.status().is_some_and(Status::is_final)
    }

    /// The longest form of the key that the record has.
    pub fn written_key(&self) -> Option<&str> {
        [Column::Sha256, Column::Key].into_iter().find_map(|column| self.get(column).filter(|cell| !cell.is_empty()))
    }

    /// Whether this is the record of the experiment with this key. A record without any key is accepted.
    pub fn is_of(&self, key: &Key) -> bool {
        self.written_key().is_none_or(|written| key.is_written(written))
    }

    /// Whether two records belong to the same experiment, by the longest form of the key that both have.
    pub fn same_experiment(&self, other: &Record) -> bool {
        let written =
            |record: &Record, column: Column| Some(record.text(column).to_owned()).filter(|key| !key.is_empty());
        let both = [Column::Sha256, Column::Key]
            .into_iter()
            .find_map(|column| written(self, column).zip(written(other, column)));
        both.is_none_or(|(one, other)| one == other)
    }
}

impl FromIterator<(String, String)> for Record {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(cells: T) -> Record {
        Record { cells: cells.into_iter().collect() }
    }
}

impl Table {
    /// A row as a record.
    pub fn record(&self, row: usize) -> Record {
        self.columns.iter().cloned().zip(self.rows[row].iter().cloned()).collect()
    }
}

/// Appends the values of a TOML table under their dotted keys. A list stays one value, written as in TOML.
pub(crate) fn flatten(prefix: &str, value: &toml::Value, columns: &mut Vec<(String, String)>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&name, value, columns);
            }
        }
        toml::Value::String(text) => columns.push((prefix.to_owned(), text.clone())),
        other => columns.push((prefix.to_owned(), other.to_string())),
    }
}
