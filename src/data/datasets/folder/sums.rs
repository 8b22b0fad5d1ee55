//! Checksums of image files, kept in the cache so that files are hashed once.

use crate::data::DataError;
use crate::data::fetch::digest;
use crate::data::image_files::{Sum, sums};
use crate::files::write_atomic;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The checksums of `files`, which are named from `root` on, in their order. `source` is what the user calls the set. Files whose
/// size and time are those of the last time are not read.
///
/// # Errors
/// Names a file that is not there or cannot be read.
pub(super) fn of<'a>(
    source: &Path,
    root: &Path,
    files: impl Iterator<Item = &'a str>,
    cache: Option<&Path>,
) -> Result<Vec<Sum>, DataError> {
    let record = cache.map(|cache| record(source, cache));
    let text = record.as_ref().and_then(|record| fs::read_to_string(record).ok()).unwrap_or_default();
    let known: HashMap<&str, Sum> = text.lines().filter_map(parse).collect();
    let files: Vec<&str> = files.collect();
    let mut found: Vec<Option<Sum>> = Vec::with_capacity(files.len());
    for file in &files {
        let path = root.join(file);
        let metadata = fs::metadata(&path).map_err(DataError::io("read", &path))?;
        found.push(known.get(file).copied().filter(|sum| sum.is_of(&metadata)));
    }
    let missing: Vec<usize> = (0..files.len()).filter(|&index| found[index].is_none()).collect();
    if missing.is_empty() {
        return Ok(found.into_iter().flatten().collect());
    }
    tracing::info!("hashing {} images of {}", missing.len(), source.display());
    let paths: Vec<PathBuf> = missing.iter().map(|&index| root.join(files[index])).collect();
    for (&index, sum) in missing.iter().zip(sums(&paths)?) {
        found[index] = Some(sum);
    }
    let all: Vec<Sum> = found.into_iter().flatten().collect();
    if let Some(record) = record {
        // A file that was written just now may change once more and keep its time.
        let settled = files.iter().zip(&all).filter(|(_, sum)| sum.is_settled());
        let text: String = settled.map(|(file, sum)| format!("{sum} {file}\n")).collect();
        let written =
            record.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| write_atomic(&record, text.as_bytes()));
        if let Err(error) = written {
            tracing::debug!("the checksums are not kept: {error}"); // where the cache is read-only, files are hashed each time
        }
    }
    Ok(all)
}

/// The name of the dataset, and of its folder in the cache.
pub(super) const NAME: &str = "folder";

/// `<cache>/datasets/folder/<digest of the path>.txt`
fn record(source: &Path, cache: &Path) -> PathBuf {
    let name = digest(source.as_os_str().as_encoded_bytes());
    crate::data::folder(NAME, cache).join(format!("{}.txt", name.get(..16).unwrap_or(&name)))
}

/// `<bytes> <time> <digits> <path>`
fn parse(line: &str) -> Option<(&str, Sum)> {
    let (end, _) = line.match_indices(' ').nth(2)?;
    Some((&line[end + 1..], line[..end].parse().ok()?))
}
