//! Reads the rows that curves are drawn from.

use crate::results::run_folder::{EPOCH_COLUMNS, EpochRow, RunError};
use std::path::Path;

/// The rows of a run's `epochs.csv`; a run that goes on may be writing the last of them, which is then left out.
///
/// # Errors
/// When the file cannot be read, or something other than a row stands before its last line.
pub fn read_epochs(folder: &Path) -> Result<Vec<EpochRow>, RunError> {
    let path = folder.join("epochs.csv");
    let text = std::fs::read_to_string(&path).map_err(RunError::io("read", &path))?;
    parse_epochs(&text, &path)
}

/// The rows in the text of an `epochs.csv`; `path` is what errors call it.
///
/// # Errors
/// As [`read_epochs`].
pub fn parse_epochs(text: &str, path: &Path) -> Result<Vec<EpochRow>, RunError> {
    let corrupt =
        |line: usize, problem: &str| RunError::Corrupt { path: path.to_owned(), line, problem: problem.to_owned() };
    let mut lines = text.split_inclusive('\n').enumerate();
    if lines.next().is_none_or(|(_, header)| header.trim_end() != EPOCH_COLUMNS) {
        return Err(corrupt(1, "the header is not that of this version"));
    }
    let mut rows = Vec::new();
    for (index, line) in lines {
        match EpochRow::parse(line) {
            // A last row without its end may lack digits too.
            Some(row) if line.ends_with('\n') => rows.push(row),
            _ if index + 1 == text.lines().count() => break,
            _ => return Err(corrupt(index + 1, "this is not the row of an epoch")),
        }
    }
    Ok(rows)
}
