//! Fits the table of a comparison into the width of a terminal.

use super::printable;
use crate::cli::table::begins_with_number;
use comfy_table::{CellAlignment, Table as Printed, TableStyle, presets};
use std::collections::HashSet;
use strata::analysis::compare::Comparison;
use strata::runs::{Column, Records, Table, cut_apart};

/// Up to this number of lines a table that is too wide is transposed.
const FEW: usize = 6;
/// More settings than these give way to labels before results are hidden.
const MANY: usize = 3;
/// Longest label.
const LABEL: usize = 48;
/// Shortest length to which labels are cut.
const SHORTEST: usize = 24;

/// Columns that are hidden first, in this order.
const EXPENDABLE: [Column; 7] = {
    use Column::{Epochs, Key, Params, TestLoss, TestTop5, ValLoss, ValTop5};
    [TestLoss, ValTop5, TestTop5, ValLoss, Key, Params, Epochs]
};

/// The table in at most `room` characters a line: as it is, transposed, or with columns hidden, whose number is returned. The
/// columns `kept` are not hidden.
pub(super) fn fitted(comparison: &Comparison, records: &Records, kept: &[String], room: usize) -> (String, usize) {
    let mut table = comparison.table.clone();
    // Results that only unfinished runs have.
    let is_empty = |table: &Table, index: usize| {
        table.rows.iter().all(|row| row[index].is_empty()) && !is_kept(bare(&table.columns[index]), kept)
    };
    while let Some(empty) = (0..table.columns.len()).find(|&index| is_empty(&table, index)) {
        remove(&mut table, empty);
    }
    if let Some(text) = whole(&table, room) {
        return (text, 0);
    }
    let all = table.columns.len();
    let settings: HashSet<&str> = comparison
        .settings
        .iter()
        .map(|&column| records.columns[column].as_str())
        .filter(|name| *name != "name")
        .collect();
    let is_setting = |name: &str| settings.contains(name) && !is_kept(name, kept);
    let shown = table.columns.iter().filter(|name| is_setting(name)).count();
    if shown > MANY {
        label(&mut table, comparison, is_setting, LABEL);
    }
    for column in EXPENDABLE.map(Column::name) {
        hide(&mut table, room, |name| name == column && !is_kept(name, kept));
    }
    if shown > 0 && shown <= MANY && !fits(&table, room) {
        label(&mut table, comparison, is_setting, LABEL);
    }
    let others = |vital: &'static [&'static str]| {
        move |name: &str| !(vital.contains(&name) || name.starts_with('Δ') || is_kept(name, kept))
    };
    hide(&mut table, room, others(&["name", "source", "status", "differs", "95 % interval", "test_top1"]));
    for vital in [&["name", "differs", "95 % interval"][..], &["name", "differs"], &["name"]] {
        if !fits(&table, room) {
            label(&mut table, comparison, is_setting, SHORTEST);
        }
        hide(&mut table, room, others(vital));
    }
    // The labels get the room that is left.
    if let Some(name) = table.column("name")
        && shown > 0
    {
        let longest = table.rows.iter().map(|row| row[name].chars().count()).max().unwrap_or(0);
        let rest = room.saturating_sub(width(&rendered(&table, presets::NOTHING)));
        label(&mut table, comparison, is_setting, (longest + rest).min(LABEL));
    }
    (rendered(&table, presets::NOTHING), all - table.columns.len())
}

/// The table with all columns, transposed if only that fits; `None` if neither does.
pub(super) fn whole(table: &Table, room: usize) -> Option<String> {
    let text = rendered(table, presets::NOTHING);
    if width(&text) <= room {
        return Some(text);
    }
    let text = (table.rows.len() <= FEW).then(|| transposed(table))?;
    (width(&text) <= room).then_some(text)
}

/// The header without its unit.
fn bare(header: &str) -> &str {
    header.strip_suffix(" (%)").unwrap_or(header)
}

fn is_kept(name: &str, kept: &[String]) -> bool {
    kept.iter().any(|kept| kept == name)
}

fn fits(table: &Table, room: usize) -> bool {
    width(&rendered(table, presets::NOTHING)) <= room
}

fn width(text: &str) -> usize {
    text.lines().map(console::measure_text_width).max().unwrap_or(0)
}

/// Hides matching columns from the right until the lines fit.
fn hide(table: &mut Table, room: usize, is_hidden: impl Fn(&str) -> bool) {
    while !fits(table, room) {
        let Some(index) = table.columns.iter().rposition(|name| is_hidden(bare(name))) else { return };
        remove(table, index);
    }
}

fn remove(table: &mut Table, index: usize) {
    table.columns.remove(index);
    table.rows.iter_mut().for_each(|row| drop(row.remove(index)));
}

/// Replaces names by labels, which hold the settings that distinguish lines, and hides the settings.
fn label(table: &mut Table, comparison: &Comparison, is_setting: impl Fn(&str) -> bool, longest: usize) {
    let Some(name) = table.column("name") else { return };
    for (row, label) in table.rows.iter_mut().zip(cut_apart(&without_shared_name(&comparison.labels), longest)) {
        row[name] = label;
    }
    while let Some(index) = table.columns.iter().position(|name| is_setting(name)) {
        remove(table, index);
    }
}

/// Labels without the name that they begin with, if it is the same for all.
fn without_shared_name(labels: &[String]) -> Vec<&str> {
    let parts: Option<Vec<(&str, &str)>> = labels.iter().map(|label| label.split_once(' ')).collect();
    match parts {
        Some(parts) if parts.windows(2).all(|pair| pair[0].0 == pair[1].0) => {
            parts.into_iter().map(|(_, rest)| rest).collect()
        }
        _ => labels.iter().map(String::as_str).collect(),
    }
}

/// A line for each column, and a column for each line.
fn transposed(table: &Table) -> String {
    let mut printed = Printed::new();
    printed.load_style(presets::NOTHING);
    for (index, name) in table.columns.iter().enumerate() {
        let cells = table.rows.iter().map(|row| cell(name, &row[index]));
        let line: Vec<String> = std::iter::once(printable(name)).chain(cells).collect();
        if index == 0 {
            printed.set_header(line)
        } else {
            printed.add_row(line)
        };
    }
    for index in 1..=table.rows.len() {
        if let Some(column) = printed.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n", printed.trim_fmt())
}

fn cell(column: &str, text: &str) -> String {
    match column {
        "params" | "macs" | "activations" => crate::cli::table::grouped(text),
        _ => printable(text),
    }
}

pub(super) fn rendered(table: &Table, style: TableStyle) -> String {
    let mut printed = Printed::new();
    printed.load_style(style);
    printed.set_header(table.columns.iter().map(|column| printable(column)).collect::<Vec<_>>());
    for row in &table.rows {
        printed.add_row(table.columns.iter().zip(row).map(|(column, text)| cell(column, text)).collect::<Vec<_>>());
    }
    for (index, header) in table.columns.iter().enumerate() {
        // The baseline's own difference is a word, an interval begins with a bracket.
        let numbers = header.starts_with('Δ') || header == "95 % interval";
        let numbers =
            numbers || table.rows.iter().filter_map(|row| row.get(index)).all(|text| begins_with_number(text));
        if let (true, Some(column)) = (numbers, printed.column_mut(index)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n", printed.trim_fmt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A comparison of `count` lines in all of a run's columns.
    fn comparison(count: usize) -> (Comparison, Records) {
        let columns = ["name", "train.a", "train.b", "train.c", "train.d", "params", "val_top1 (%)", "test_loss"];
        let mut table = Table::new(&columns);
        let line = |index: usize| {
            ["net", "aaaa", "bbbb", "cccc", "d", "123456", "90.00 ± 0.10 (3)", &index.to_string()]
                .map(str::to_owned)
                .to_vec()
        };
        table.rows = (0..count).map(line).collect();
        let labels = (0..count).map(|index| format!("net a={index} {}", "long ".repeat(30))).collect();
        (
            Comparison { labels, settings: vec![1, 2, 3, 4], table: table.clone(), ..Comparison::default() },
            Records::from(table),
        )
    }

    #[test]
    fn few_lines_are_transposed_and_of_many_columns_are_hidden() {
        let (few, records) = comparison(2);
        let (text, hidden) = fitted(&few, &records, &[], 60);
        assert_eq!((hidden, text.lines().count()), (0, 8), "{text}");
        assert!(text.contains("\n train.a                   aaaa              aaaa\n"), "{text}");
        let (many, records) = comparison(20);
        for room in [50, 60, 70] {
            let (text, hidden) = fitted(&many, &records, &["val_top1".to_owned()], room);
            let lines = text.lines().count();
            assert!(width(&text) <= room && hidden >= 4 && lines == 21 && text.contains('…'), "{room}: {text}");
            assert!(text.contains("\n a=3 long") && text.contains("90.00 ± 0.10 (3)"), "{text}");
        }
        let (text, _) = fitted(&many, &records, &["test_loss".to_owned()], 70);
        assert!(text.contains("test_loss"), "{text}");
        assert_eq!(fitted(&many, &records, &[], 200).1, 0);
    }
}
