//! All images of a tree or a CSV file, with their labels and checksums.

use super::scanned::{Scanned, SplitName};
use super::{labels, sums, tree};
use crate::data::DataError;
use crate::data::image_files::Sum;
use crate::hex::hex;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// One image.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub split: Option<SplitName>,
    pub label: u16,
    /// From the root on.
    pub path: String,
    pub sum: Sum,
}

/// All images.
#[derive(Debug)]
pub(super) struct Listing {
    pub root: PathBuf,
    pub classes: Vec<String>,
    pub entries: Vec<Entry>,
    pub fingerprint: String,
}

/// The class names, without reading any image.
///
/// # Errors
/// A path that is not there, or holds no classes.
pub(super) fn class_names(path: &Path) -> Result<Vec<String>, DataError> {
    if path.is_dir() { tree::class_names(path) } else { labels::scan(path).map(|found| found.classes) }
}

/// The listing of `path`, made once a process: the points of a sweep share their data. A file that changes later is noticed when
/// it is read.
///
/// # Errors
/// As [`Listing::read`].
pub(super) fn listed(path: &Path, cache: Option<&Path>) -> Result<Arc<Listing>, DataError> {
    static KNOWN: LazyLock<Mutex<HashMap<PathBuf, Arc<Listing>>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(listing) = known.get(path) {
        return Ok(Arc::clone(listing));
    }
    let listing = Arc::new(Listing::read(path, cache)?);
    known.insert(path.to_owned(), Arc::clone(&listing));
    Ok(listing)
}

impl Listing {
    /// Lists the images and hashes them; those that `cache` knows by size and time are not read again.
    ///
    /// # Errors
    /// A path that is not there, holds no images, or names files that cannot be read.
    pub(super) fn read(path: &Path, cache: Option<&Path>) -> Result<Listing, DataError> {
        let found = match path {
            path if path.is_dir() => tree::scan(path)?,
            path if path.is_file() => labels::scan(path)?,
            path => {
                let remedy = "data.path names a folder of images or a CSV file, relative to the experiment file, or in --set to the working directory";
                return Err(DataError::corrupt(path.display(), "there is no such folder or file", remedy));
            }
        };
        let Scanned { root, classes, files } = found;
        if !(2..=65_536).contains(&classes.len()) {
            let problem = format!("there are {} classes in it", classes.len());
            return Err(DataError::corrupt(path.display(), problem, "a network needs 2 to 65536 of them"));
        }
        let sums = sums::of(path, &root, files.iter().map(|(_, _, path)| path.as_str()), cache)?;
        let entry = |((split, label, path), sum): ((Option<SplitName>, usize, String), Sum)| Entry {
            split,
            label: label as u16,
            path,
            sum,
        };
        let entries: Vec<Entry> = files.into_iter().zip(sums).map(entry).collect();
        let fingerprint = fingerprint(&classes, &entries);
        Ok(Listing { root, classes, entries, fingerprint })
    }
}

/// The first half of a SHA-256 over classes, splits, labels, names and content; the location of the images and their times
/// nothing is in it.
fn fingerprint(classes: &[String], entries: &[Entry]) -> String {
    let mut hash = Sha256::new();
    classes.iter().for_each(|class| hash.update(format!("{class}\n")));
    for Entry { split, label, path, sum } in entries {
        hash.update(format!("{split:?} {label} {path}\n"));
        hash.update(sum.content());
    }
    hex(&hash.finalize()[..16])
}
