//! The settings of a sweep, from its table: what varies beside the seed, and the runs of each combination.

use crate::runs::format::cut_apart;
use crate::runs::{Column, ColumnRole, Records};
use std::collections::{HashMap, HashSet};

/// Longer values of a key are cut.
const LONGEST: usize = 36;

/// What varies in a sweep, and its settings in the order of the table.
pub struct Settings {
    /// Columns of all keys that vary.
    pub keys: Vec<usize>,
    /// Column of the first key that is a number.
    pub x: Option<usize>,
    /// Names of the other keys, by which series are named.
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
    pub fn of(records: &Records) -> Settings {
        let keys = varied(records);
        let x = keys.iter().copied().find(|&column| is_number(records, column));
        let others: Vec<usize> = keys.iter().copied().filter(|&column| Some(column) != x).collect();
        let texts: HashMap<usize, Vec<String>> =
            keys.iter().map(|&column| (column, cut_cells(records, column))).collect();
        let settings = records
            .groups(&keys)
            .into_iter()
            .map(|rows| {
                let row = &records.rows[rows[0]];
                Setting {
                    label: label(records, rows[0], &keys, &texts),
                    x: x.and_then(|column| row[column].parse().ok()),
                    series: label(records, rows[0], &others, &texts),
                    rows,
                }
            })
            .collect();
        let others = others.iter().map(|&column| records.columns[column].clone()).collect();
        Settings { keys, x, others, settings }
    }
}

/// Columns that distinguish the settings, without those that follow from another column. Of two equivalent columns numbers are
/// preferred to texts, and `name` to other texts.
fn varied(records: &Records) -> Vec<usize> {
    let chosen = |column: usize| matches!(records.role(column), ColumnRole::Name | ColumnRole::Setting);
    let candidates: Vec<usize> =
        (0..records.columns.len()).filter(|&column| chosen(column) && distinct(records, column) > 1).collect();
    let rank = |column: usize| match records.columns[column].as_str() {
        _ if is_number(records, column) => 0,
        "name" => 1,
        _ => 2,
    };
    let follows = |column: usize, other: usize| {
        let back = determines(records, column, other);
        determines(records, other, column) && (!back || (rank(other), other) < (rank(column), column))
    };
    let is_independent = |&column: &usize| !candidates.iter().any(|&other| other != column && follows(column, other));
    candidates.iter().copied().filter(is_independent).collect()
}

fn distinct(records: &Records, column: usize) -> usize {
    records.rows.iter().map(|row| row[column].as_str()).collect::<HashSet<_>>().len()
}

/// Whether rows with the same cell in one column have the same cell in the other.
fn determines(records: &Records, from: usize, to: usize) -> bool {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    records.rows.iter().all(|row| *seen.entry(row[from].as_str()).or_insert(row[to].as_str()) == row[to])
}

fn is_number(records: &Records, column: usize) -> bool {
    records.rows.iter().all(|row| row[column].parse::<f64>().is_ok_and(f64::is_finite))
}

fn cut_cells(records: &Records, column: usize) -> Vec<String> {
    let cells: Vec<&str> = records.rows.iter().map(|row| row[column].as_str()).collect();
    cut_apart(&cells, LONGEST)
}

/// `depth=20 shortcut=A`; names and scaling axes are written without their key.
fn label(records: &Records, row: usize, keys: &[usize], texts: &HashMap<usize, Vec<String>>) -> String {
    let last = |column: usize| records.columns[column].rsplit('.').next().unwrap_or_default();
    let short = |column: usize| {
        let clash = keys.iter().any(|&other| other != column && last(other) == last(column));
        if clash { records.columns[column].as_str() } else { last(column) }
    };
    let part = |&column: &usize| match records.columns[column].as_str() {
        "name" | "scaling.axis" => texts[&column][row].clone(),
        _ => format!("{}={}", short(column), texts[&column][row]),
    };
    // Joined tables have empty cells.
    keys.iter().filter(|&&column| !texts[&column][row].is_empty()).map(part).collect::<Vec<_>>().join(" ")
}

/// The results of the finished runs of a setting.
pub struct Measured<'a> {
    pub setting: &'a Setting,
    /// Validation and test Top-1, one value for each run; test Top-1 may be missing.
    pub top1: [Vec<f64>; 2],
    pub macs: f64,
    pub params: f64,
}

impl<'a> Measured<'a> {
    /// Settings with a finished run.
    pub fn all(records: &Records, settings: &'a [Setting]) -> Vec<Measured<'a>> {
        let measure = |setting: &'a Setting| {
            let rows: Vec<usize> = setting.rows.iter().copied().filter(|&row| records.is_done(row)).collect();
            let numbers = |column: Column| {
                records.column(column.name()).map_or_else(Vec::new, |column| records.numbers(column, &rows))
            };
            let [macs, params] =
                [Column::Macs, Column::Params].map(|column| numbers(column).first().copied().unwrap_or(f64::NAN));
            let top1 = [Column::ValTop1, Column::TestTop1].map(numbers);
            (!top1[0].is_empty()).then_some(Measured { setting, top1, macs, params })
        };
        settings.iter().filter_map(measure).collect()
    }
}
