//! Tables for people, programs and pages; for people no wider than the terminal.

use super::epoch_table::width_of;
use anyhow::Result;
use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table as Printed, presets};
use console::{Term, measure_text_width};
use strata::runs::{Table, counted, csv_cell, cut_apart, markdown_cell};

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    Table,
    Csv,
    Markdown,
}

/// A table that, for people, fits the terminal: of more columns those of `expendable` are hidden in their order.
pub(crate) fn show(format: Format, header: &[&str], rows: Vec<Vec<String>>, expendable: &[&str]) -> Result<String> {
    match format {
        Format::Table => fitted(Table { rows, ..Table::new(header) }, 0, expendable),
        _ => render(format, header, &rows),
    }
}

/// A table for people, for programs or for a page.
pub(crate) fn render(format: Format, header: &[&str], lines: &[Vec<String>]) -> Result<String> {
    if let Format::Csv = format {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(header)?;
        for line in lines {
            writer.write_record(line.iter().map(|cell| csv_cell(cell).into_owned()))?;
        }
        return Ok(String::from_utf8(writer.into_inner()?)?);
    }
    // A key is not a number, even if all its characters are digits, and a seed or a setting is not a count.
    let is_counted = |name: &&str| !(["key", "seed"].contains(name) || name.contains('.'));
    let is_number = |index: usize, text: &str| is_count(text) && header.get(index).is_none_or(is_counted);
    let written = |(index, text): (usize, &String)| match format {
        _ if is_number(index, text) => grouped(text),
        Format::Markdown => markdown_cell(text),
        _ => text.clone(),
    };
    let mut table = Printed::new();
    table.load_style(if let Format::Markdown = format { presets::ASCII_MARKDOWN } else { presets::NOTHING });
    table.set_header(header.iter().map(|name| match format {
        Format::Markdown => markdown_cell(name),
        _ => (*name).to_owned(),
    }));
    for line in lines {
        table.add_row(line.iter().enumerate().map(written).collect::<Vec<_>>());
    }
    for index in 0..header.len() {
        let is_key = header.get(index).is_some_and(|name| *name == "key");
        let numbers = !is_key && lines.iter().filter_map(|line| line.get(index)).all(|text| begins_with_number(text));
        if let (true, Some(column)) = (numbers, table.column_mut(index)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    Ok(format!("{table}\n"))
}

/// A table for people whose cells are wrapped to fit the terminal; an empty header is none.
pub(crate) fn wrapped_table(header: &[&str], lines: &[Vec<String>]) -> String {
    let mut table = Printed::new();
    table.load_style(presets::NOTHING);
    table.add_rows(lines);
    match header {
        // A list of words and texts begins at the edge.
        [] => {
            for column in table.column_iter_mut().take(1) {
                column.set_padding((0, 1));
            }
        }
        _ => {
            table.set_header(header);
        }
    }
    if let Some(width) = width_of(&Term::stdout()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
    format!("{}\n", table.trim_fmt())
}

/// A count with its digits in groups of three; any other text as it is.
pub(crate) fn grouped(text: &str) -> String {
    strata::runs::grouped(text, ' ')
}

/// Whether a cell is empty or a number, such as `90.1 ± 0.2`, `3.6 s` or `?`.
pub(crate) fn begins_with_number(text: &str) -> bool {
    let word = text.split([' ', ',']).next().unwrap_or_default();
    text.is_empty() || matches!(word, "–" | "?") || word.parse::<f64>().is_ok()
}

fn is_count(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

/// Shortest label of a line.
const SHORTEST: usize = 20;

/// The table as wide as the terminal: columns of `expendable` are hidden in their order, then the first `settings` columns
/// become labels that are cut. Without a terminal it is whole.
pub(super) fn fitted(table: Table, settings: usize, expendable: &[&str]) -> Result<String> {
    match width_of(&Term::stdout()) {
        Some(room) => fitted_to(room, table, settings, expendable),
        None => written(&table),
    }
}

/// The table without the spaces at the ends of its lines, which would wrap where the table is as wide as the terminal.
fn trimmed(table: &Table) -> Result<String> {
    Ok(written(table)?.lines().flat_map(|line| [line.trim_end(), "\n"]).collect())
}

fn fitted_to(room: usize, mut table: Table, settings: usize, expendable: &[&str]) -> Result<String> {
    let mut text = trimmed(&table)?;
    let mut hidden = 0;
    for name in expendable {
        let Some(index) = table.column(name).filter(|_| width(&text) > room) else { continue };
        table.columns.remove(index);
        table.rows.iter_mut().for_each(|row| drop(row.remove(index)));
        hidden += 1;
        text = trimmed(&table)?;
    }
    if width(&text) > room && settings > 0 {
        let labels = take_labels(&mut table, settings);
        let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
        let excess = width(&trimmed(&labelled(&table, &labels))?).saturating_sub(room);
        let labels = cut_apart(&labels, longest.saturating_sub(excess).max(SHORTEST));
        text = trimmed(&labelled(&table, &labels))?;
    }
    if hidden > 0 {
        text.push_str(&format!("\n{} hidden to fit the terminal\n", counted(hidden, "column")));
    }
    Ok(text)
}

fn written(table: &Table) -> Result<String> {
    let header: Vec<&str> = table.columns.iter().map(String::as_str).collect();
    render(Format::Table, &header, &table.rows)
}

fn width(text: &str) -> usize {
    text.lines().map(measure_text_width).max().unwrap_or(0)
}

/// Removes the first columns and returns `name=value name=value` for each row.
fn take_labels(table: &mut Table, settings: usize) -> Vec<String> {
    let names: Vec<String> = table.columns.drain(..settings).collect();
    let part = |(name, value): (&String, String)| format!("{}={value}", name.rsplit('.').next().unwrap_or_default());
    let label = |row: &mut Vec<String>| names.iter().zip(row.drain(..settings)).map(part).collect::<Vec<_>>().join(" ");
    table.rows.iter_mut().map(label).collect()
}

fn labelled(table: &Table, labels: &[String]) -> Table {
    let mut table = table.clone();
    table.columns.insert(0, "point".to_owned());
    table.rows.iter_mut().zip(labels).for_each(|(row, label)| row.insert(0, label.clone()));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_hidden_before_labels_are_cut() {
        let mut table = Table::new(&["model.depth", "train.momentum", "key", "params", "status"]);
        let row =
            |depth: usize| [&depth.to_string(), "0.9", "0123456789", "1000000", "to run"].map(str::to_owned).to_vec();
        table.rows = (20..30).map(row).collect();
        let text = |room: usize| fitted_to(room, table.clone(), 2, &["params", "key"]).unwrap();
        assert!(text(100).contains("1 000 000") && !text(100).contains("hidden"));
        let [narrow, narrowest] = [text(50), text(30)];
        assert!(narrow.contains("model.depth") && narrow.contains("1 column hidden to fit the terminal"), "{narrow}");
        assert!(
            narrowest.contains("depth=20 momentum=0.") && narrowest.lines().take(11).all(|line| width(line) <= 30),
            "{narrowest}"
        );
    }
}
