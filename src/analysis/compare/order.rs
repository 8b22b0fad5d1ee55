//! The order of lines: by a column, or the best first.

use super::group::{texts, values};
use super::view::ComparedLine;
use super::{CompareError, Request, unknown_column};
use crate::analysis::statistics::Spread;
use crate::runs::roles::lower_is_better;
use crate::runs::{ColumnRole, Records};
use std::cmp::Ordering;

/// The difference against the baseline, as a column to sort by.
pub(super) const DELTA: &str = "delta";

/// The sort key of a line. Lines without a value come last in either direction.
enum Key {
    Number(f64),
    Text(String),
    Nothing,
}

/// Sorts lines, stably.
///
/// # Errors
/// When the column does not exist.
pub(super) fn sort(
    records: &Records,
    lines: &mut Vec<ComparedLine>,
    request: &Request,
    metric: Option<usize>,
) -> Result<(), CompareError> {
    let metric = metric.and_then(|metric| Some((metric, records.columns.get(metric)?)));
    let (column, falling) = match (&request.sort, metric) {
        (Some((column, falling)), _) if is_delta(records, request, column)? => (None, *falling),
        (Some((column, falling)), _) => {
            (Some(records.column(column).ok_or_else(|| unknown_column(records, column))?), *falling)
        }
        (None, Some((metric, name))) => (Some(metric), !lower_is_better(name)),
        (None, None) => return Ok(()),
    };
    let key = |line: &ComparedLine| match column {
        Some(column) => key(records, line, column),
        None => line.difference.map_or(Key::Nothing, |spread| Key::Number(spread.mean)),
    };
    let mut keyed: Vec<(Key, ComparedLine)> = lines.drain(..).map(|line| (key(&line), line)).collect();
    keyed.sort_by(|(a, _), (b, _)| compare(a, b, falling));
    lines.extend(keyed.into_iter().map(|(_, line)| line));
    Ok(())
}

/// Whether a column to sort by is the difference from the baseline. A foreign table may have a column of that name.
fn is_delta(records: &Records, request: &Request, column: &str) -> Result<bool, CompareError> {
    match (column == DELTA, request.baseline.is_empty()) {
        (true, true) if records.column(DELTA).is_none() => Err(CompareError::NoDelta),
        (delta, without) => Ok(delta && !without),
    }
}

fn key(records: &Records, line: &ComparedLine, column: usize) -> Key {
    if records.role(column) == ColumnRole::Result
        && let Some(spread) = Spread::of(&values(records, &line.rows, column))
    {
        return Key::Number(spread.mean);
    }
    let numbers = records.numbers(column, &line.rows);
    if let Some(spread) = Spread::of(&numbers) {
        return Key::Number(spread.mean);
    }
    match texts(records, &line.rows, column) {
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
