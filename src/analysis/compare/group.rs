//! Runs that are one experiment under several seeds.

use crate::analysis::collect::Collection;
use crate::analysis::statistics::Spread;
use crate::runs::Table;
use crate::runs::roles::{Kind, is_accuracy};
use crate::runs::{Status, accuracy, significant};
use std::collections::{BTreeMap, HashMap};

/// Rows of a table that are one line of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub rows: Vec<usize>,
}

/// Groups rows that differ in nothing but the seed and what came out, in the order of their first row. `by` groups by
/// these columns alone.
pub fn groups(collection: &Collection, kinds: &[Kind], rows: &[usize], by: Option<&[usize]>) -> Vec<Group> {
    let mut places: HashMap<Vec<&str>, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for &row in rows {
        let cells = match by {
            Some(columns) => columns.iter().map(|&column| collection.table.rows[row][column].as_str()).collect(),
            None => {
                (0..kinds.len()).map(|column| setting(collection, kinds, row, column).unwrap_or_default()).collect()
            }
        };
        let place = *places.entry(cells).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { rows: vec![row] }),
        }
    }
    groups
}

/// A cell, where it says which experiment a row belongs to.
///
/// A run's summary has every key of its experiment, so that columns of other tables mean nothing for it; what follows from
/// these keys, such as the cost, is not yet known of some runs and does not count. Of a row that is not ours the file it is in may be all that tells two results apart.
pub fn setting<'a>(collection: &'a Collection, kinds: &[Kind], row: usize, column: usize) -> Option<&'a str> {
    let table = &collection.table;
    let counts = match kinds[column] {
        Kind::Name => true,
        Kind::Setting => !collection.origins[row].complete || table.columns[column].contains('.'),
        Kind::Source | Kind::Cost | Kind::Epochs | Kind::Precision => !collection.origins[row].ours,
        _ => false,
    };
    counts.then(|| table.rows[row][column].as_str())
}

/// The numbers in a column of a group, those of finished runs; of all where none has finished.
pub fn values(table: &Table, group: &Group, column: usize) -> Vec<f64> {
    let rows = counted(table, group);
    table.numbers(column, &rows)
}

/// The mean in a column for each seed of a group.
pub fn by_seed(table: &Table, group: &Group, column: usize) -> BTreeMap<String, f64> {
    let seed = table.column("seed");
    let mut seeds: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in counted(table, group) {
        let value = table.numbers(column, &[row]);
        let seed = seed.map(|seed| table.rows[row][seed].clone()).unwrap_or_default();
        seeds.entry(seed).or_default().extend(value);
    }
    seeds.into_iter().filter_map(|(seed, values)| Some((seed, Spread::of(&values)?.mean))).collect()
}

/// Whether a mean counts a row with this status: it is done, or its table says nothing of it.
pub fn counts(status: &str) -> bool {
    status.is_empty() || Status::parse(status) == Some(Status::Done)
}

/// The rows that means are of: finished runs, or all where none has finished.
pub fn counted(table: &Table, group: &Group) -> Vec<usize> {
    let Some(status) = table.column("status") else { return group.rows.clone() };
    // Tables from elsewhere say nothing about how a run stands.
    let finished = |&&row: &&usize| counts(&table.rows[row][status]);
    let rows: Vec<usize> = group.rows.iter().filter(finished).copied().collect();
    if rows.is_empty() { group.rows.clone() } else { rows }
}

/// The different texts in a column of a group, joined; long lists are cut.
pub fn texts(table: &Table, group: &Group, column: usize) -> String {
    let mut texts: Vec<&str> = Vec::new();
    for &row in &group.rows {
        let text = table.rows[row][column].as_str();
        if !text.is_empty() && !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [first, .., last] if texts.len() > 6 => format!("{first} … {last} ({})", texts.len()),
        texts => texts.join(", "),
    }
}

/// How the runs of a group stand: `done`, or `2 done, 1 failed`.
pub fn status(table: &Table, group: &Group, column: usize) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for &row in &group.rows {
        *counts
            .entry(Some(table.rows[row][column].as_str()).filter(|text| !text.is_empty()).unwrap_or("–"))
            .or_default() += 1;
    }
    match counts.len() {
        1 => counts.keys().copied().collect(),
        _ => counts.iter().map(|(status, count)| format!("{count} {status}")).collect::<Vec<_>>().join(", "),
    }
}

/// A mean as people read it: `0.9123 ± 0.0042 (3)`, without a deviation for a single run.
pub fn written(spread: &Spread, column: &str) -> String {
    if spread.n < 2 {
        return format!("{} (1)", number(spread.mean, column));
    }
    // Counts that agree, such as the epoch that was best.
    if spread.std == 0.0 && spread.mean.fract() == 0.0 && !is_accuracy(column) {
        return format!("{} ± 0 ({})", spread.mean, spread.n);
    }
    let decimals = decimals(spread.std, column);
    format!("{:.decimals$} ± {:.decimals$} ({})", spread.mean, spread.std, spread.n)
}

/// A number of a column as the tables of runs have it.
pub fn number(value: f64, column: &str) -> String {
    if is_accuracy(column) { accuracy(value) } else { significant(value) }
}

/// Digits that show two of the deviation; four at least for accuracies.
pub fn decimals(deviation: f64, column: &str) -> usize {
    let least = if is_accuracy(column) { 4 } else { 0 };
    // Less is the rounding of the arithmetic.
    if !(deviation > 1e-9 && deviation.is_finite()) {
        return least.max(4);
    }
    let wanted = 1 - deviation.log10().floor() as i64;
    (wanted.clamp(0, 8) as usize).max(least)
}
