//! Compares the files of a dataset with their known SHA-256, so that a damaged cache is never trained on.
//!
//! Hashing a dataset takes longer than many commands, so a file whose content was verified is recognised by its size, its
//! times and its inode, which are kept in [`RECORD`] beside it. A file is hashed again when one of them has changed.

use super::DataError;
use crate::files::{self, write_atomic};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

const RECORD: &str = ".verified.json";

/// A file that was written in the same moment in which it was hashed may change once more and keep its times.
pub(super) const SETTLED: Duration = Duration::from_secs(2);

/// A file as it was when its content had this sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Verified {
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: u64,
    sha256: String,
}

impl Verified {
    fn new(file: &Metadata, sha256: &str) -> Verified {
        Verified {
            bytes: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
            inode: file.ino(),
            sha256: sha256.to_owned(),
        }
    }

    fn is_settled(&self) -> bool {
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(self.changed.0.max(0) as u64);
        changed.elapsed().is_ok_and(|age| age > SETTLED)
    }
}

/// Which files are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Files that have changed since they were last verified.
    Changed,
    /// Every file.
    Whole,
}

/// Checks that each of the `known` files, a name and its SHA-256, in the folder of `dataset` has its content.
///
/// # Errors
/// [`DataError::Corrupt`] names the first that has not, or cannot be read.
pub(super) fn verify<'a>(
    dataset: &str,
    folder: &Path,
    known: impl Iterator<Item = (&'a str, &'a str)>,
    depth: Depth,
) -> Result<(), DataError> {
    let record = folder.join(RECORD);
    let before: BTreeMap<String, Verified> =
        fs::read(&record).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let mut now = BTreeMap::new();
    for (name, sha256) in known {
        let path = folder.join(name);
        let file = fs::metadata(&path).map_err(DataError::io("read", &path))?;
        let verified = Verified::new(&file, sha256);
        if depth == Depth::Whole || before.get(name) != Some(&verified) {
            let found = files::sha256(&path).unwrap_or_else(|_| "not to be read".to_owned());
            if found != sha256 {
                let problem = format!("its content has changed: its SHA-256 is {found}, and was {sha256}");
                return Err(DataError::damaged(&path, problem, dataset));
            }
        }
        if verified.is_settled() {
            now.insert(name.to_owned(), verified);
        }
    }
    if now != before {
        // Where the cache is read-only, files are hashed each time.
        let _ = serde_json::to_vec_pretty(&now).map(|text| write_atomic(&record, &text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn check(folder: &Path, depth: Depth) -> Result<(), String> {
        verify("greetings", folder, [("a", HELLO)].into_iter(), depth).map_err(|error| error.to_string())
    }

    /// Makes the file look changed an hour ago.
    fn age(path: &Path) {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    }

    /// A thousand labels of Fashion-MNIST that were changed in place, the size kept, were trained on.
    #[test]
    fn content_that_changed_in_place_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "hello").unwrap();
        check(folder.path(), Depth::Changed).unwrap();
        fs::write(&path, "hallo").unwrap();
        for depth in [Depth::Changed, Depth::Whole] {
            let error = check(folder.path(), depth).unwrap_err();
            assert!(
                error.contains("a: its content has changed") && error.contains("strata fetch greetings"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_was_verified_is_not_read_again_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "hallo").unwrap();
        age(&path);
        // The record as if `hallo` had been verified.
        let record = |file: &Verified| {
            let record = BTreeMap::from([("a", file)]);
            fs::write(folder.path().join(RECORD), serde_json::to_vec(&record).unwrap()).unwrap();
        };
        let verified = Verified::new(&fs::metadata(&path).unwrap(), HELLO);
        record(&verified);
        check(folder.path(), Depth::Changed).unwrap();
        assert!(check(folder.path(), Depth::Whole).is_err());
        for other in [
            Verified { bytes: 6, ..verified.clone() },
            Verified { modified: (1, 2), ..verified.clone() },
            Verified { changed: (1, 2), ..verified.clone() },
            Verified { inode: 0, ..verified.clone() },
        ] {
            record(&other);
            assert!(check(folder.path(), Depth::Changed).is_err(), "{other:?}");
        }
        fs::write(folder.path().join(RECORD), "{ cut").unwrap();
        assert!(check(folder.path(), Depth::Changed).is_err());
    }
}
