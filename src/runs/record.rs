//! `summary.csv`: one row that says how a run ended, with every key of the experiment as a column of its own.

use super::error::RunError;
use super::folder::RunFolder;
use super::format::{accuracy, csv_cell, from_csv_cell, significant};
use crate::config::{Experiment, Key};
use std::collections::BTreeMap;
use std::path::Path;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Done,
    /// The loss stopped being a number.
    Diverged,
    /// Stopped by a signal; can be resumed.
    Interrupted,
    Failed,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::Done => "done",
            Status::Diverged => "diverged",
            Status::Interrupted => "interrupted",
            Status::Failed => "failed",
        }
    }
}

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

/// The cells of a row by column.
pub type Cells = BTreeMap<String, String>;

/// The columns of a run's `summary.csv` by name; `None` where the run has not ended yet or the file cannot be read.
pub fn read_summary(folder: &Path) -> Option<Cells> {
    let mut reader = csv::Reader::from_path(folder.join("summary.csv")).ok()?;
    let header = reader.headers().ok()?.clone();
    let row = reader.records().next()?.ok()?;
    Some(header.iter().map(str::to_owned).zip(row.iter().map(|cell| from_csv_cell(cell).to_owned())).collect())
}

/// Whether a row is that of an experiment, by its whole key where the row has it. A row without any key is not in doubt.
pub fn is_of(row: &Cells, key: &Key) -> bool {
    let written = ["sha256", "key"].iter().find_map(|&column| row.get(column).filter(|cell| !cell.is_empty()));
    written.is_none_or(|written| key.is_written(written))
}

/// Whether two rows are those of one experiment, by the longest form of the key that both have.
pub fn same_experiment(one: &Cells, other: &Cells) -> bool {
    let written = |row: &Cells, column: &str| row.get(column).filter(|cell| !cell.is_empty()).cloned();
    let both = ["sha256", "key"].iter().find_map(|&column| written(one, column).zip(written(other, column)));
    both.is_none_or(|(one, other)| one == other)
}

/// The summary of the run with this name and key; `None` also where its folder has the result of another experiment, which
/// `train` refuses.
pub fn summary_of(results: &Path, name: &str, key: &Key) -> Option<Cells> {
    read_summary(&RunFolder::place_of(results, name, key)).filter(|row| is_of(row, key))
}
