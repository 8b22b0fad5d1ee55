//! The checksums of a dataset's files, noted when they were installed. It is a file that `sha256sum -c` reads; its first line
//! is a comment, the name to print with results.

use super::{DataError, fetch};
use std::fs;
use std::path::Path;

pub(super) const NOTE: &str = "SHA256SUMS";

/// Writes the note, which comes last: a folder with a note is complete.
pub(super) fn write(folder: &Path, name: &str, sums: &[(&str, String)]) -> Result<(), DataError> {
    let lines: String = sums.iter().map(|(file, sum)| format!("{sum}  {file}\n")).collect();
    let path = folder.join(NOTE);
    fetch::copy_hashed(format!("# {name}\n{lines}").as_bytes(), &path, 1 << 16, NOTE).map(|_| ())
}

/// # Errors
/// [`DataError::Missing`] where the dataset was not fetched.
pub(super) fn read(folder: &Path, dataset: &str) -> Result<String, DataError> {
    let missing = |_| DataError::Missing { name: dataset.into(), folder: folder.to_owned() };
    fs::read_to_string(folder.join(NOTE)).map_err(missing)
}

/// The name to print with results.
pub(super) fn name(note: &str) -> Option<&str> {
    note.lines().next()?.strip_prefix("# ")
}

/// The checksum of a file.
pub(super) fn sum<'a>(note: &'a str, file: &str) -> Option<&'a str> {
    note.lines().find_map(|line| line.strip_suffix(file)).map(str::trim)
}

pub(super) fn incomplete(folder: &Path, dataset: &str) -> DataError {
    DataError::damaged(&folder.join(NOTE), "it has not the sums of all files", dataset)
}
