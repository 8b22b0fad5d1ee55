//! Groups of runs: one experiment under several seeds.

use crate::analysis::statistics::Spread;
use crate::runs::roles::is_accuracy;
use crate::runs::{Column, ColumnRole, Records, accuracy, group_by, significant};
use std::collections::BTreeMap;

/// Groups rows that differ in nothing but seed and results, or that agree in the columns `by`, in the order of their first row.
pub(super) fn groups(records: &Records, rows: &[usize], by: Option<&[usize]>) -> Vec<Vec<usize>> {
    let key = |&row: &usize| -> Vec<&str> {
        match by {
            Some(columns) => columns.iter().map(|&column| records.cell(row, column)).collect(),
            None => {
                (0..records.columns.len()).map(|column| setting(records, row, column).unwrap_or_default()).collect()
            }
        }
    };
    group_by(rows.iter().copied(), key).into_iter().map(|(_, rows)| rows).collect()
}

/// The cell, if it identifies the experiment of the row.
///
/// A run's summary has every key of its experiment, so that the columns of other tables do not apply to it. What follows from
/// the keys, such as the cost, may not be known yet and is not compared. A row of another program may differ from others in
/// nothing but its file.
pub(super) fn setting(records: &Records, row: usize, column: usize) -> Option<&str> {
    let origin = records.origin(row);
    let identifies = match records.role(column) {
        ColumnRole::Name => true,
        ColumnRole::Setting => !origin.complete || records.columns[column].contains('.'),
        ColumnRole::Source | ColumnRole::Cost | ColumnRole::Epochs | ColumnRole::Precision => !origin.ours,
        _ => false,
    };
    identifies.then(|| records.cell(row, column))
}

/// The numbers in a column, of finished rows where there are any.
pub(super) fn values(records: &Records, rows: &[usize], column: usize) -> Vec<f64> {
    records.numbers(column, &counted(records, rows))
}

/// The mean in a column for each seed.
pub(super) fn by_seed(records: &Records, rows: &[usize], column: usize) -> BTreeMap<String, f64> {
    let mut seeds: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for row in counted(records, rows) {
        seeds.entry(records.text(row, Column::Seed)).or_default().extend(records.numbers(column, &[row]));
    }
    seeds.into_iter().filter_map(|(seed, values)| Some((seed.to_owned(), Spread::of(&values)?.mean))).collect()
}

/// The rows that means are over: the finished ones, or all where none has finished.
pub(super) fn counted(records: &Records, rows: &[usize]) -> Vec<usize> {
    let finished: Vec<usize> = rows.iter().copied().filter(|&row| records.counts(row)).collect();
    if finished.is_empty() { rows.to_vec() } else { finished }
}

/// The distinct texts in a column, joined; long lists are cut.
pub(super) fn texts(records: &Records, rows: &[usize], column: usize) -> String {
    let mut texts: Vec<&str> = Vec::new();
    for &row in rows {
        let text = records.cell(row, column);
        if !text.is_empty() && !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [first, .., last] if texts.len() > 6 => format!("{first} … {last} ({})", texts.len()),
        texts => texts.join(", "),
    }
}

/// The statuses of rows: `done`, or `2 done, 1 failed`.
pub(super) fn status(records: &Records, rows: &[usize], column: usize) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for &row in rows {
        *counts.entry(Some(records.cell(row, column)).filter(|text| !text.is_empty()).unwrap_or("–")).or_default() += 1;
    }
    match counts.len() {
        1 => counts.keys().copied().collect(),
        _ => counts.iter().map(|(status, count)| format!("{count} {status}")).collect::<Vec<_>>().join(", "),
    }
}

/// A mean for people: `0.405 ± 0.017 (3)`, without a deviation for a single run.
pub(super) fn written(spread: &Spread, column: &str) -> String {
    if spread.n < 2 {
        return format!("{} (1)", number(spread.mean, column));
    }
    // Equal counts, such as the best epoch.
    if spread.std == 0.0 && spread.mean.fract() == 0.0 && !is_accuracy(column) {
        return format!("{} ± 0 ({})", spread.mean, spread.n);
    }
    format!("{} ({})", spread.plus_minus(1.0, decimals(spread.std, column)), spread.n)
}

/// A mean of fractions for people: `91.23 ± 0.42 (3)`.
pub(super) fn written_percent(spread: &Spread) -> String {
    format!("{} ({})", spread.plus_minus(100.0, 2), spread.n)
}

/// Whether a column holds accuracies as fractions, which are written in percent for people. Other programs may have written
/// them in percent already.
pub(super) fn is_fraction(records: &Records, column: usize) -> bool {
    let fits = |cell: &String| cell.is_empty() || cell.parse::<f64>().is_ok_and(|value| (0.0..=1.0).contains(&value));
    is_accuracy(&records.columns[column]) && records.rows.iter().all(|row| fits(&row[column]))
}

/// A number as written in the tables of runs.
pub(super) fn number(value: f64, column: &str) -> String {
    if is_accuracy(column) { accuracy(value) } else { significant(value) }
}

/// The number of decimals that shows two significant digits of a deviation; at least four for accuracies.
pub(super) fn decimals(deviation: f64, column: &str) -> usize {
    let least = if is_accuracy(column) { 4 } else { 0 };
    // Smaller deviations are rounding errors.
    if !(deviation > 1e-9 && deviation.is_finite()) {
        return least.max(4);
    }
    let wanted = 1 - deviation.log10().floor() as i64;
    (wanted.clamp(0, 8) as usize).max(least)
}
