//! Images that stay files where the user keeps them: their names, and the checksums of their content.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::DataError;
use super::decode::read_file;
use super::verify::SETTLED;
use crate::workers::{share, threads};

/// Files named from a common folder on: ImageNet has over a million.
#[derive(Debug)]
pub(super) struct Files {
    pub folder: PathBuf,
    pub files: Vec<ImageFile>,
    /// What errors advise.
    pub remedies: Remedies,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Remedies {
    /// Where a file is not the one that was listed.
    pub changed: &'static str,
    /// Where it is no image.
    pub broken: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageFile {
    pub path: Box<str>,
    pub sum: Sum,
}

/// A file's size, its time of modification, and the first half of the SHA-256 of its content; written as
/// `<bytes> <nanoseconds since 1970> <32 hex digits>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    bytes: u64,
    modified: i64,
    sha256: [u8; 16],
}

impl Sum {
    fn new(content: &[u8], file: &Metadata) -> Sum {
        let mut sha256 = [0; 16];
        sha256.copy_from_slice(&Sha256::digest(content)[..16]);
        Sum { bytes: content.len() as u64, modified: modified(file), sha256 }
    }

    /// Whether the file still has this size and time.
    pub(super) fn is_of(&self, file: &Metadata) -> bool {
        (self.bytes, self.modified) == (file.len(), modified(file))
    }

    /// Whether the file was written so long ago that a further change would change its time.
    pub(super) fn is_settled(&self) -> bool {
        let modified = UNIX_EPOCH + Duration::from_nanos(self.modified.max(0).unsigned_abs());
        modified.elapsed().is_ok_and(|age| age > SETTLED)
    }

    /// The bytes that decide what an image shows: not the time.
    pub(super) fn content(&self) -> [u8; 16] {
        self.sha256
    }
}

fn modified(file: &Metadata) -> i64 {
    file.mtime().saturating_mul(1_000_000_000).saturating_add(file.mtime_nsec())
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {} ", self.bytes, self.modified)?;
        self.sha256.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that is not a [`Sum`].
pub(super) struct NoSum;

impl FromStr for Sum {
    type Err = NoSum;

    fn from_str(text: &str) -> Result<Sum, NoSum> {
        let words: Vec<&str> = text.split(' ').collect();
        let &[bytes, modified, digits] = words.as_slice() else { return Err(NoSum) };
        let number = |index| u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok();
        let mut sha256 = [0; 16];
        for (index, byte) in sha256.iter_mut().enumerate() {
            *byte = number(index).ok_or(NoSum)?;
        }
        let sum =
            Sum { bytes: bytes.parse().map_err(|_| NoSum)?, modified: modified.parse().map_err(|_| NoSum)?, sha256 };
        if digits.len() == 32 { Ok(sum) } else { Err(NoSum) }
    }
}

impl Files {
    pub(super) fn path(&self, index: usize) -> PathBuf {
        self.folder.join(&*self.files[index].path)
    }

    /// The content of a file. It is hashed where size or time are not those that were listed.
    ///
    /// # Errors
    /// A file that cannot be read, or has another content than was listed.
    pub(super) fn read(&self, index: usize) -> Result<Vec<u8>, DataError> {
        let (path, listed) = (self.path(index), &self.files[index].sum);
        let (content, file) = read_file(&path, self.remedies.changed)?;
        if (content.len() as u64, modified(&file)) != (listed.bytes, listed.modified) {
            self.check(&path, &content, &file, listed)?;
        }
        Ok(content)
    }

    /// Hashes every file.
    ///
    /// # Errors
    /// As [`Files::read`].
    pub(super) fn check_all(&self) -> Result<(), DataError> {
        let progress = Progress::new("checked", self.files.len());
        share(threads(), 0..self.files.len(), |index| {
            let path = self.path(index);
            let (content, file) = read_file(&path, self.remedies.changed)?;
            progress.one_more();
            self.check(&path, &content, &file, &self.files[index].sum)
        })
    }

    fn check(&self, path: &Path, content: &[u8], file: &Metadata, listed: &Sum) -> Result<(), DataError> {
        let found = Sum::new(content, file);
        if (found.bytes, found.sha256) == (listed.bytes, listed.sha256) {
            return Ok(());
        }
        Err(DataError::corrupt(
            path.display(),
            "its content has changed since the images were listed",
            self.remedies.changed,
        ))
    }
}

/// The sums of files, in their order.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn sums(paths: &[PathBuf]) -> Result<Vec<Sum>, DataError> {
    let mut sums = vec![Sum { bytes: 0, modified: 0, sha256: [0; 16] }; paths.len()];
    let progress = Progress::new("hashed", paths.len());
    share(threads(), paths.iter().zip(&mut sums), |(path, sum)| {
        let (content, file) = read_file(path, "remove this file, or make it readable")?;
        *sum = Sum::new(&content, &file);
        progress.one_more();
        Ok(())
    })?;
    Ok(sums)
}

/// Logs the progress of work on many images.
struct Progress {
    what: &'static str,
    count: usize,
    done: AtomicUsize,
}

impl Progress {
    /// Images from one message to the next: some seconds of work.
    const STEP: usize = 20_000;

    fn new(what: &'static str, count: usize) -> Progress {
        Progress { what, count, done: AtomicUsize::new(0) }
    }

    fn one_more(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(Progress::STEP) {
            tracing::info!("{} {done} of {} images", self.what, self.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn sums_are_read_as_they_are_written() {
        let sum = Sum { bytes: 7, modified: -3, sha256: std::array::from_fn(|i| 17 * i as u8) };
        assert_eq!(sum.to_string(), "7 -3 00112233445566778899aabbccddeeff");
        assert!(sum.to_string().parse::<Sum>().is_ok_and(|read| read == sum));
        for text in
            ["", "7 -3", "7 -3 0011", "x 1 00112233445566778899aabbccddeeff", "7 -3 00112233445566778899aabbccddeefß"]
        {
            assert!(text.parse::<Sum>().is_err(), "{text}");
        }
    }

    #[test]
    fn another_content_is_noticed_and_another_time_is_not_minded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "hello").unwrap();
        let sum = sums(std::slice::from_ref(&path)).unwrap()[0];
        let files = Files {
            folder: folder.path().into(),
            files: vec![ImageFile { path: "a".into(), sum }],
            remedies: Remedies { changed: "", broken: "" },
        };
        assert_eq!(files.read(0).unwrap(), b"hello");
        fs::write(&path, "hello").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(files.read(0).unwrap(), b"hello");
        files.check_all().unwrap();
        fs::write(&path, "hallo").unwrap();
        for error in [files.read(0).unwrap_err(), files.check_all().unwrap_err()] {
            assert!(error.to_string().contains("a: its content has changed"), "{error}");
        }
    }
}
