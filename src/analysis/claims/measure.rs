//! What a test measures, read from the tables in a results folder.

use super::join::{files, union, with_settings};
use super::verdict::Estimate;
use crate::analysis::Spread;
use crate::analysis::collect::{CollectError, collect};
use crate::config::{ClaimTest, Condition, meets};
use crate::runs::{Column, ColumnFormat, EpochRow, Epochs, Records, Store, Table};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// A table and, for runs of Strata, their epochs.
#[derive(Debug)]
pub(super) struct Source {
    pub records: Records,
    /// The files that the table was read from.
    pub files: Vec<PathBuf>,
    /// The rows of the sweep's `epochs.csv` by short key.
    epochs: HashMap<String, Vec<EpochRow>>,
}

impl Source {
    /// Reads the folder of a sweep, whose points are completed by their runs, or CSV files; `None` where there is none yet. Rows
    /// of CSV files get the settings of the runs that they are about from `points`.
    pub(super) fn read(path: &Path, points: Option<&Source>, store: &Store) -> Result<Option<Source>, CollectError> {
        if !path.is_dir() {
            let files = files(path);
            let table = union(&files)?;
            let records = match points {
                Some(points) => with_settings(table, &points.records),
                None => Records::from(table),
            };
            return Ok((!files.is_empty()).then_some(Source { records, files, epochs: HashMap::new() }));
        }
        let table = path.join("table.csv");
        if !table.is_file() {
            return Ok(None);
        }
        let records = collect(&[path.display().to_string()], store)?;
        let kept = path.join("epochs.csv");
        let epochs = if kept.is_file() { epochs(&Table::read(&kept)?) } else { HashMap::new() };
        Ok(Some(Source { records, files: vec![table], epochs }))
    }

    /// The estimate of a test's effect; `other` is the table of the rows that these are compared with, if it is not the same.
    pub(super) fn estimate(&self, test: &ClaimTest, other: Option<&Source>) -> Estimate {
        let own = self.values(test, &test.measure, &test.rows());
        if let Some(with) = &test.with {
            let other = self.values(test, with, &test.rows());
            let pairs = own.iter().filter_map(|(key, y)| Some([other.get(key)?.ln(), y.ln()]));
            return Estimate::correlation(&pairs.filter(|pair| pair.iter().all(|x| x.is_finite())).collect::<Vec<_>>());
        }
        let effects: Vec<f64> = match test.baseline() {
            None => own.into_values().collect(),
            Some(rows) => {
                let measure = test.against_measure.as_ref().unwrap_or(&test.measure);
                let base = other.unwrap_or(self).values(test, measure, &rows);
                // Rounding errors of the subtraction: two equal differences of 1e-17 would exclude zero.
                let round = |x: f64| (x * 1e10).round() / 1e10;
                let effect = |y: f64, x: f64| round(if test.ratio { 100.0 * (y / x - 1.0) } else { y - x });
                own.iter()
                    .filter_map(|(key, &y)| Some(effect(y, *base.get(key).or(base.get(""))?)))
                    .filter(|x| x.is_finite())
                    .collect()
            }
        };
        match Spread::of(&effects) {
            None => Estimate::Missing,
            Some(spread) if is_exact(&test.measure) && spread.lowest == spread.highest => Estimate::Exact(spread.mean),
            Some(spread) => Estimate::Mean(spread),
        }
    }

    /// The mean of the measure for each value of the pairing column. An empty value, such as that of an ensemble, is the partner of
    /// all that have none of their own. In a table without that column, all rows are one pair where they are compared with
    /// others, and each is its own otherwise.
    fn values(&self, test: &ClaimTest, measure: &str, rows: &[Condition]) -> BTreeMap<String, f64> {
        let column = self.records.column(&test.pair);
        let mut groups: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for row in (0..self.records.rows.len()).filter(|&row| self.meets(row, rows)) {
            let key = match column {
                Some(column) => self.records.cell(row, column).to_owned(),
                None if test.baseline().is_some() => String::new(),
                None => row.to_string(),
            };
            // A count does not depend on training.
            let counts = is_exact(measure) || self.records.is_done(row);
            if let Some(value) = self.value(test, measure, row).filter(|value| counts && value.is_finite()) {
                groups.entry(key).or_default().push(value);
            }
        }
        groups.into_iter().map(|(key, values)| (key, values.iter().sum::<f64>() / values.len() as f64)).collect()
    }

    fn meets(&self, row: usize, rows: &[Condition]) -> bool {
        let cell = |column: &str| Some(self.records.cell(row, self.records.column(column)?));
        rows.iter().all(|(column, value)| cell(column).is_some_and(|cell| meets(cell, value)))
    }

    /// The measure of a row: accuracies and errors in percent.
    fn value(&self, test: &ClaimTest, measure: &str, row: usize) -> Option<f64> {
        let (column, is_error) = match measure.strip_suffix("_error") {
            Some(split) => (format!("{split}_top1"), true),
            None => (measure.to_owned(), false),
        };
        let of_run = self.records.column(&column).filter(|_| test.epoch.is_none());
        let value = match of_run {
            Some(index) => self.records.cell(row, index).parse().ok()?,
            None => of_epochs(&self.epochs_of(row), &column, test.epoch)?,
        };
        let is_accuracy = is_error
            || Column::named(&column).is_some_and(|c| c.format() == ColumnFormat::Accuracy)
            || column == "top1"
            || column.ends_with("_top1")
            || column.ends_with("_top5");
        Some(match (is_error, is_accuracy) {
            (true, _) => 100.0 * (1.0 - value),
            (false, true) => 100.0 * value,
            (false, false) => value,
        })
    }

    fn epochs_of(&self, row: usize) -> Vec<EpochRow> {
        let here = self.records.origin(row).folder.as_ref().and_then(|run| Epochs::find(run).ok().flatten());
        match here {
            Some(epochs) => epochs.to_vec(),
            None => self.epochs.get(self.records.text(row, Column::Key)).cloned().unwrap_or_default(),
        }
    }
}

/// Columns whose values follow from the network alone.
fn is_exact(measure: &str) -> bool {
    matches!(measure, "params" | "macs" | "activations")
}

/// The unit of an effect on a measure.
pub(super) fn unit(test: &ClaimTest) -> &'static str {
    let percent = ["_error", "top1", "_top5"].iter().any(|end| test.measure.ends_with(end));
    match (&test.with, test.ratio, percent) {
        (Some(_), ..) => "correlation",
        (_, true, _) => "%",
        (_, _, true) if test.baseline().is_some() => "points",
        (_, _, true) => "%",
        _ => "",
    }
}

/// The rows of a sweep's `epochs.csv` by the key of their run.
fn epochs(table: &Table) -> HashMap<String, Vec<EpochRow>> {
    let mut epochs: HashMap<String, Vec<EpochRow>> = HashMap::new();
    for row in &table.rows {
        let Some((key, cells)) = row.split_first() else { continue };
        if let Some(row) = EpochRow::parse(&cells.join(",")) {
            epochs.entry(key.clone()).or_default().push(row);
        }
    }
    epochs
}

/// A column in the row of one epoch, of the last one without a number; times are the median over epochs.
fn of_epochs(epochs: &[EpochRow], column: &str, epoch: Option<usize>) -> Option<f64> {
    if epoch.is_none() && matches!(column, "epoch_seconds" | "images_per_second") {
        let mut values: Vec<f64> = epochs.iter().filter_map(|row| row.get(column)).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        return match values.len() {
            0 => None,
            n if n % 2 == 1 => Some(values[middle]),
            _ => Some((values[middle - 1] + values[middle]) / 2.0),
        };
    }
    let row = match epoch {
        Some(epoch) => epochs.iter().find(|row| row.epoch == epoch),
        None => epochs.last(),
    };
    row?.get(column)
}
