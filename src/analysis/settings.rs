//! The settings of a sweep, from its table: what varies beside the seed, and the runs of each combination.

use crate::runs::format::cut;
use crate::runs::roles::{Kind, kinds};
use crate::runs::{Status, Table};
use std::collections::{HashMap, HashSet};

/// Longer values of a key are cut.
const LONGEST: usize = 36;

/// What varies in a sweep, and its settings in the order of the table.
pub struct Settings {
    /// Columns of all keys that vary.
    pub keys: Vec<usize>,
    /// Column of the first key that is a number.
    pub x: Option<usize>,
    /// Names of the other keys, as the series are called by.
    pub others: Vec<String>,
    pub settings: Vec<Setting>,
}

/// The runs that differ in the seed alone.
pub struct Setting {
    /// All keys and their values.
    pub label: String,
    pub x: Option<f64>,
    /// Keys and values without that of `x`.
    pub series: String,
    /// Rows of the table.
    pub rows: Vec<usize>,
}

impl Settings {
    pub fn of(table: &Table) -> Settings {
        let keys = varied(table);
        let x = keys.iter().copied().find(|&column| is_number(table, column));
        let others: Vec<usize> = keys.iter().copied().filter(|&column| Some(column) != x).collect();
        let settings = table
            .groups(&keys)
            .into_iter()
            .map(|rows| {
                let row = &table.rows[rows[0]];
                Setting {
                    label: label(table, row, &keys),
                    x: x.and_then(|column| row[column].parse().ok()),
                    series: label(table, row, &others),
                    rows,
                }
            })
            .collect();
        let others = others.iter().map(|&column| table.columns[column].clone()).collect();
        Settings { keys, x, others, settings }
    }
}

/// Columns that tell settings apart, without those that follow from another one: of a pair that says the same, numbers
/// are kept before texts, and `name` before other texts.
fn varied(table: &Table) -> Vec<usize> {
    let kinds = kinds(table);
    let chosen = |column: usize| matches!(kinds[column], Kind::Name | Kind::Setting);
    let candidates: Vec<usize> =
        (0..table.columns.len()).filter(|&column| chosen(column) && distinct(table, column) > 1).collect();
    let rank = |column: usize| match table.columns[column].as_str() {
        _ if is_number(table, column) => 0,
        "name" => 1,
        _ => 2,
    };
    let follows = |column: usize, other: usize| {
        let back = determines(table, column, other);
        determines(table, other, column) && (!back || (rank(other), other) < (rank(column), column))
    };
    let kept = |&column: &usize| !candidates.iter().any(|&other| other != column && follows(column, other));
    candidates.iter().copied().filter(kept).collect()
}

fn distinct(table: &Table, column: usize) -> usize {
    table.rows.iter().map(|row| row[column].as_str()).collect::<HashSet<_>>().len()
}

/// Whether rows that agree in one column agree in the other.
fn determines(table: &Table, from: usize, to: usize) -> bool {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    table.rows.iter().all(|row| *seen.entry(row[from].as_str()).or_insert(row[to].as_str()) == row[to])
}

fn is_number(table: &Table, column: usize) -> bool {
    table.rows.iter().all(|row| row[column].parse::<f64>().is_ok_and(f64::is_finite))
}

/// `depth=20 shortcut=A`; values that say themselves what they are stand alone.
fn label(table: &Table, row: &[String], keys: &[usize]) -> String {
    let last = |column: usize| table.columns[column].rsplit('.').next().unwrap_or_default();
    let short = |column: usize| {
        let clash = keys.iter().any(|&other| other != column && last(other) == last(column));
        if clash { table.columns[column].as_str() } else { last(column) }
    };
    let part = |&column: &usize| match table.columns[column].as_str() {
        "name" | "scaling.axis" => cut(&row[column], LONGEST),
        _ => format!("{}={}", short(column), cut(&row[column], LONGEST)),
    };
    // Tables that were joined have cells with nothing in them.
    keys.iter().filter(|&&column| !row[column].is_empty()).map(part).collect::<Vec<_>>().join(" ")
}

/// What runs of a setting came to.
pub struct Measured<'a> {
    pub setting: &'a Setting,
    /// Validation and test Top-1, a value a run; the latter may be empty.
    pub top1: [Vec<f64>; 2],
    pub macs: f64,
    pub params: f64,
}

impl<'a> Measured<'a> {
    /// Settings with a finished run.
    pub fn all(table: &Table, settings: &'a [Setting]) -> Vec<Measured<'a>> {
        let status = table.column("status");
        let done =
            |&row: &usize| status.is_none_or(|column| Status::parse(&table.rows[row][column]) == Some(Status::Done));
        let measure = |setting: &'a Setting| {
            let rows: Vec<usize> = setting.rows.iter().copied().filter(done).collect();
            let numbers = |name: &str| table.column(name).map_or_else(Vec::new, |column| table.numbers(column, &rows));
            let [macs, params] = ["macs", "params"].map(|name| numbers(name).first().copied().unwrap_or(f64::NAN));
            let top1 = ["val_top1", "test_top1"].map(numbers);
            (!top1[0].is_empty()).then_some(Measured { setting, top1, macs, params })
        };
        settings.iter().filter_map(measure).collect()
    }
}
