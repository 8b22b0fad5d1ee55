//! The record of a run, `summary.csv`: one row that says how it ended, with every key of the experiment as a column of its own.

use super::error::RunError;
use super::folder::RunFolder;
use super::format::{accuracy, csv_cell, from_csv_cell, significant};
use super::status::Status;
use crate::config::{Experiment, Key};
use std::path::Path;

/// What a run came to. Values that a run did not reach are empty in the table.
#[derive(Clone, Debug)]
pub struct Summary {
    pub status: Status,
    pub epochs: usize,
    pub best_epoch: Option<usize>,
    /// Loss, Top-1, Top-5.
    pub val: Option<[f64; 3]>,
    pub test: Option<[f64; 3]>,
    pub test_correct: Option<(u64, u64)>,
    pub seconds: f64,
    pub device: String,
    pub precision: String,
    pub git: String,
    pub started: String,
}

impl Summary {
    /// Header and row.
    pub fn to_csv(&self, experiment: &Experiment) -> Result<String, csv::Error> {
        let (key, cost) = (experiment.key(), experiment.network.cost());
        let three = |values: Option<[f64; 3]>| match values {
            Some([loss, top1, top5]) => [significant(loss), accuracy(top1), accuracy(top5)],
            None => Default::default(),
        };
        let ([val_loss, val_top1, val_top5], [test_loss, test_top1, test_top5]) = (three(self.val), three(self.test));
        let (correct, total) = self.test_correct.map_or_else(Default::default, |(a, b)| (a.to_string(), b.to_string()));
        let mut columns: Vec<(String, String)> = [
            ("name", experiment.name.clone()),
            ("key", key.short().to_owned()),
            ("status", self.status.name().to_owned()),
            ("seed", experiment.seed.to_string()),
            ("params", cost.params.to_string()),
            ("macs", cost.macs.to_string()),
            ("epochs", self.epochs.to_string()),
            ("best_epoch", self.best_epoch.map_or_else(String::new, |epoch| epoch.to_string())),
            ("val_loss", val_loss),
            ("val_top1", val_top1),
            ("val_top5", val_top5),
            ("test_loss", test_loss),
            ("test_top1", test_top1),
            ("test_top5", test_top5),
            ("test_correct", correct),
            ("test_total", total),
            // To the millisecond: a tiny run takes a few hundredths of a second, and 0.0 would give no rate to estimate by.
            ("seconds", format!("{:.3}", self.seconds)),
            ("device", self.device.clone()),
            ("precision", self.precision.clone()),
            ("git", self.git.clone()),
            ("started", self.started.clone()),
            ("sha256", key.sha256().to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let mut table = experiment.to_toml();
        table.remove("name");
        table.remove("seed");
        // A column that does not change the result would keep apart runs that are the same but for their seeds.
        if let Some(train) = table.get_mut("train").and_then(toml::Value::as_table_mut) {
            train.remove("log_every");
        }
        flatten("", &toml::Value::Table(table), &mut columns);
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(columns.iter().map(|(name, _)| name))?;
        writer.write_record(columns.iter().map(|(_, value)| csv_cell(value).into_owned()))?;
        let bytes = writer.into_inner().map_err(|error| error.into_error())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Writes `summary.csv` of a run.
    ///
    /// # Errors
    /// As the file system says.
    pub fn write(&self, folder: &RunFolder, experiment: &Experiment) -> Result<(), RunError> {
        let path = folder.file("summary.csv");
        let text = self.to_csv(experiment).map_err(|error| RunError::io("write", &path)(error.into()))?;
        folder.write("summary.csv", &text)
    }
}

/// Dotted keys and their values; lists stay in one column, as TOML writes them.
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

/// One run: the row of its `summary.csv`, or of a table that has it. Cells keep the text that was read, so that a table is
/// written again byte for byte; numbers and the status are typed where they are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Name of the column and cell, in the order of the file.
    cells: Vec<(String, String)>,
}

impl Record {
    /// The `summary.csv` in the folder of a run; `None` where the run has not ended yet or the file cannot be read.
    pub fn read(folder: &Path) -> Option<Record> {
        let mut reader = csv::Reader::from_path(folder.join("summary.csv")).ok()?;
        let header = reader.headers().ok()?.clone();
        let row = reader.records().next()?.ok()?;
        Some(header.iter().map(str::to_owned).zip(row.iter().map(|cell| from_csv_cell(cell).to_owned())).collect())
    }

    /// The text of a column; `None` where there is no such column.
    pub fn get(&self, column: &str) -> Option<&str> {
        self.cells.iter().find(|(name, _)| name == column).map(|(_, cell)| cell.as_str())
    }

    /// The text of a column; empty where there is none.
    pub fn text(&self, column: &str) -> &str {
        self.get(column).unwrap_or_default()
    }

    /// The number in a column; `None` for anything else, NaN and infinities included.
    pub fn number(&self, column: &str) -> Option<f64> {
        self.text(column).parse().ok().filter(|number: &f64| number.is_finite())
    }

    pub fn set(&mut self, column: &str, text: impl Into<String>) {
        match self.cells.iter_mut().find(|(name, _)| name == column) {
            Some((_, cell)) => *cell = text.into(),
            None => self.cells.push((column.to_owned(), text.into())),
        }
    }

    pub fn remove(&mut self, column: &str) -> Option<String> {
        let place = self.cells.iter().position(|(name, _)| name == column)?;
        Some(self.cells.remove(place).1)
    }

    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Columns and their texts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.cells.iter().map(|(name, cell)| (name.as_str(), cell.as_str()))
    }

    /// Keys of the experiment and their values, without the name, the seed and published results.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(name, _)| name.contains('.') && !name.starts_with("expect."))
    }

    pub fn status(&self) -> Option<Status> {
        Status::parse(self.text("status"))
    }

    /// Whether nothing of the run is left to do.
    pub fn is_final(&self) -> bool {
        self.status().is_some_and(Status::is_final)
    }

    /// The longest form of the key that the record has.
    pub fn written_key(&self) -> Option<&str> {
        ["sha256", "key"].into_iter().find_map(|column| self.get(column).filter(|cell| !cell.is_empty()))
    }

    /// Whether this is the record of an experiment, by the whole key where it has it. One without any key is not in doubt.
    pub fn is_of(&self, key: &Key) -> bool {
        self.written_key().is_none_or(|written| key.is_written(written))
    }

    /// Whether two records are those of one experiment, by the longest form of the key that both have.
    pub fn same_experiment(&self, other: &Record) -> bool {
        let written =
            |record: &Record, column: &str| Some(record.text(column).to_owned()).filter(|key| !key.is_empty());
        let both = ["sha256", "key"].iter().find_map(|&column| written(self, column).zip(written(other, column)));
        both.is_none_or(|(one, other)| one == other)
    }
}

impl FromIterator<(String, String)> for Record {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(cells: T) -> Record {
        Record { cells: cells.into_iter().collect() }
    }
}
