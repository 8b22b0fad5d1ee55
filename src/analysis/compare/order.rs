//! The order of lines: by a column, or the best first.

use super::group::{texts, values};
use super::view::Line;
use super::{CompareError, Request, unknown_column};
use crate::analysis::statistics::Spread;
use crate::runs::Table;
use crate::runs::roles::{Kind, lower_is_better};
use std::cmp::Ordering;

/// The difference against the baseline, as a column to sort by.
pub const DELTA: &str = "delta";

/// What a line is sorted by; lines without a value come last in either direction.
enum Key {
    Number(f64),
    Text(String),
    Nothing,
}

/// Sorts lines; equal ones keep their order.
///
/// # Errors
/// For a column that is not there.
pub fn sort(
    table: &Table,
    kinds: &[Kind],
    lines: &mut Vec<Line>,
    request: &Request,
    metric: Option<usize>,
) -> Result<(), CompareError> {
    let metric = metric.and_then(|metric| Some((metric, table.columns.get(metric)?)));
    let (column, falling) = match (&request.sort, metric) {
        (Some((column, falling)), _) if is_delta(table, request, column)? => (None, *falling),
        (Some((column, falling)), _) => {
            (Some(table.column(column).ok_or_else(|| unknown_column(table, column))?), *falling)
        }
        (None, Some((metric, name))) => (Some(metric), !lower_is_better(name)),
        (None, None) => return Ok(()),
    };
    let key = |line: &Line| match column {
        Some(column) => key(table, kinds, line, column),
        None => line.difference.map_or(Key::Nothing, |spread| Key::Number(spread.mean)),
    };
    let mut keyed: Vec<(Key, Line)> = lines.drain(..).map(|line| (key(&line), line)).collect();
    keyed.sort_by(|(a, _), (b, _)| compare(a, b, falling));
    lines.extend(keyed.into_iter().map(|(_, line)| line));
    Ok(())
}

/// Whether a column to sort by is the difference from the baseline. A table from elsewhere may have a column of that name.
fn is_delta(table: &Table, request: &Request, column: &str) -> Result<bool, CompareError> {
    match (column == DELTA, request.baseline.is_empty()) {
        (true, true) if table.column(DELTA).is_none() => Err(CompareError::NoDelta),
        (delta, without) => Ok(delta && !without),
    }
}

fn key(table: &Table, kinds: &[Kind], line: &Line, column: usize) -> Key {
    if kinds.get(column) == Some(&Kind::Result)
        && let Some(spread) = Spread::of(&values(table, &line.group, column))
    {
        return Key::Number(spread.mean);
    }
    let numbers = table.numbers(column, &line.group.rows);
    if let Some(spread) = Spread::of(&numbers) {
        return Key::Number(spread.mean);
    }
    match texts(table, &line.group, column) {
        text if text.is_empty() => Key::Nothing,
        text => Key::Text(text),
    }
}

fn compare(a: &Key, b: &Key, falling: bool) -> Ordering {
    let order = match (a, b) {
        (Key::Nothing, Key::Nothing) => return Ordering::Equal,
        (Key::Nothing, _) => return Ordering::Greater,
        (_, Key::Nothing) => return Ordering::Less,
        (Key::Number(a), Key::Number(b)) => a.total_cmp(b),
        (Key::Text(a), Key::Text(b)) => a.cmp(b),
        (Key::Number(_), Key::Text(_)) => Ordering::Less,
        (Key::Text(_), Key::Number(_)) => Ordering::Greater,
    };
    if falling { order.reverse() } else { order }
}
