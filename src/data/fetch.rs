//! Downloads and copies files into the cache: verified, and moved into place atomically.

use crate::hex::hex;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::DataError;

/// A file as published: its name, the exact size of its unpacked content, and its checksum.
#[derive(Debug)]
pub(super) struct Expected {
    pub name: &'static str,
    pub bytes: u64,
    pub sha256: Checksum,
}

/// A SHA-256 that is known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Checksum {
    /// The checksum of the unpacked content.
    Content(&'static str),
    /// The checksum of the .gz file.
    Packed(&'static str),
}

/// Opens an address; the error is a message. Passed as a parameter, so that tests need no network.
pub(super) type Transport<'a> = &'a dyn Fn(&str) -> Result<Box<dyn Read>, String>;

/// Fills a new folder by `build` and renames it to `<cache>/datasets/<name>`, so that no dataset is ever seen half-written.
/// One process does this at a time; one that had to wait finds `done` true and returns. `build` gets an empty folder for the
/// dataset and one for its own temporary files.
pub(super) fn install(
    name: &str,
    cache: &Path,
    done: impl Fn(&Path) -> bool,
    build: impl FnOnce(&Path, &Path) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let datasets = cache.join("datasets");
    fs::create_dir_all(&datasets).map_err(DataError::io("create the folder", &datasets))?;
    let lock_path = datasets.join(format!(".{name}.lock"));
    let lock = File::create(&lock_path).map_err(DataError::io("write", &lock_path))?;
    if let Err(fs::TryLockError::WouldBlock) = lock.try_lock() {
        tracing::info!("another process is fetching {name}: waiting for it");
    }
    lock.lock().map_err(DataError::io("lock", &lock_path))?;

    let target = datasets.join(name);
    let prefix = format!(".{name}.fetch-");
    clean_up(&datasets, &prefix, &target);
    if done(&target) {
        tracing::info!("{name} is complete in {}", target.display());
        return Ok(());
    }
    let work = tempfile::Builder::new().prefix(&prefix).tempdir_in(&datasets);
    let work = work.map_err(DataError::io("create a temporary folder in", &datasets))?;
    let (new, temporary, old) = (work.path().join("new"), work.path().join("tmp"), work.path().join("old"));
    for folder in [&new, &temporary] {
        fs::create_dir(folder).map_err(DataError::io("create", folder))?;
    }
    build(&new, &temporary)?;
    if target.exists() {
        fs::rename(&target, &old).map_err(DataError::io("move away", &target))?;
    }
    if let Err(reason) = fs::rename(&new, &target) {
        let _ = fs::rename(&old, &target); // what was there serves again, if there was anything
        return Err(DataError::io("put in place", &target)(reason));
    }
    tracing::info!("{name} is in {}", target.display());
    Ok(())
}

/// Removes what killed processes left; the caller holds the lock, so no other process is writing. One that was killed between
/// the two renames of [`install`] has left the only copy of the dataset there.
fn clean_up(datasets: &Path, prefix: &str, target: &Path) {
    for left in fs::read_dir(datasets).into_iter().flatten().flatten() {
        if left.file_name().to_string_lossy().starts_with(prefix) {
            if !target.exists() {
                let _ = fs::rename(left.path().join("old"), target); // there may be none
            }
            let _ = fs::remove_dir_all(left.path()); // only untidy if it stays
        }
    }
}

/// Writes what `reader` gives (gzip or plain) to `folder/<expected.name>`, never more than the expected bytes.
/// `source` is for messages.
///
/// # Errors
/// Reading or writing fails, or the content is not exactly the expected one; the file must not be used then.
pub(super) fn unpack(reader: impl Read, source: &str, expected: &Expected, folder: &Path) -> Result<(), DataError> {
    let bad = |problem: String| DataError::corrupt(source, problem, "this file is not used");
    let mut reader = BufReader::new(Hashing { reader, hash: Sha256::new() });
    let mut magic = Vec::new();
    reader.by_ref().take(2).read_to_end(&mut magic).map_err(|e| bad(e.to_string()))?;
    let is_gzip = magic == [0x1f, 0x8b];
    let whole = io::Cursor::new(magic).chain(&mut reader);
    let content: &mut dyn Read = if is_gzip { &mut MultiGzDecoder::new(whole) } else { &mut { whole } };

    let path = folder.join(expected.name);
    let (bytes, sha256) = copy_hashed(content, &path, expected.bytes + 1, source)?;
    if bytes > expected.bytes {
        return Err(bad(format!("longer than the {} bytes it should have", expected.bytes)));
    }
    if bytes < expected.bytes {
        return Err(bad(format!("ends after {bytes} of {} bytes", expected.bytes)));
    }
    let (what, sha256, known) = match expected.sha256 {
        Checksum::Content(known) => ("content", sha256, known),
        Checksum::Packed(known) => {
            // What follows the content, which the decoder leaves, belongs to the file.
            io::copy(&mut reader.by_ref().take(1 << 20), &mut io::sink()).map_err(|e| bad(e.to_string()))?;
            ("bytes", hex(&reader.into_inner().hash.finalize()), known)
        }
    };
    if sha256 != known {
        return Err(bad(format!("the SHA-256 of its {what} is {sha256}, not {known}")));
    }
    Ok(())
}

/// Hashes what is read through it.
struct Hashing<R> {
    reader: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

/// Copies at most `limit` bytes to a new file, synced; gives their number and SHA-256.
pub(super) fn copy_hashed(
    mut reader: impl Read,
    path: &Path,
    limit: u64,
    source: &str,
) -> Result<(u64, String), DataError> {
    const PROGRESS_STEP: u64 = 32 << 20;
    let write = |e| DataError::io("write", path)(e);
    let mut file = File::create(path).map_err(write)?;
    let (mut hash, mut total, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    while total < limit {
        let room = buffer.len().min((limit - total) as usize);
        let count = match reader.read(&mut buffer[..room]) {
            Ok(0) => break,
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => {
                let problem = format!("breaks off after {total} bytes ({e})");
                return Err(DataError::corrupt(source, problem, "this file is not used"));
            }
        };
        hash.update(&buffer[..count]);
        file.write_all(&buffer[..count]).map_err(write)?;
        if total / PROGRESS_STEP != (total + count as u64) / PROGRESS_STEP {
            tracing::info!("{source}: {} MiB", (total + count as u64) >> 20);
        }
        total += count as u64;
    }
    file.sync_all().map_err(write)?;
    Ok((total, hex(&hash.finalize())))
}

/// The SHA-256 of bytes in memory.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Downloads over HTTP, with timeouts for a server that stalls; the caller limits the size.
pub(super) fn http(address: &str) -> Result<Box<dyn Read>, String> {
    tracing::info!("downloading {address}");
    let patience = Some(Duration::from_secs(30));
    let agent = ureq::Agent::config_builder()
        .user_agent(concat!("strata/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(patience)
        .timeout_connect(patience)
        .timeout_recv_response(patience)
        .timeout_per_read(patience)
        .timeout_global(Some(Duration::from_secs(3600)))
        .build()
        .new_agent();
    let response = agent.get(address).call().map_err(|e| e.to_string())?;
    Ok(Box::new(response.into_body().into_reader()))
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
