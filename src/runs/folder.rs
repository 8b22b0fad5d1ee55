//! The folder of a run, `runs/<name>/<key>`, which one process at a time may lock.

use super::claim::{Claim, claimed_elsewhere};
use super::epochs::{EpochRow, Epochs};
use super::error::RunError;
use crate::fault;
use crate::files::{append_synced, make_folder, open_without_links, write_atomic};
use std::cell::Cell;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The name that a process writes into the lock to record the end of another's run.
const WATCHDOG: &str = "a watchdog";

/// The name of the process that has a lock, which it wrote into the file.
fn holder(lock: &mut File) -> String {
    let mut name = String::new();
    let _ = lock.rewind().and_then(|()| lock.read_to_string(&mut name));
    if name.is_empty() { "another process".to_owned() } else { name }
}

/// The process that has locked a run folder, if any. Another process may unlock or lock it at any moment.
pub fn locked_by(run: &Path) -> Option<String> {
    let mut lock = File::open(run.join(".lock")).ok()?;
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(holder(&mut lock)),
        _ => claimed_elsewhere(run),
    }
}

/// A run folder, locked until this is dropped.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Dropped before the lock.
    claim: Claim,
    lock: File,
    /// Size of `epochs.csv` as this process left it.
    epochs_bytes: Cell<u64>,
}

impl RunFolder {
    /// Locks a folder, which is made if it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made or written, or is locked by another process.
    pub(super) fn open(path: PathBuf) -> Result<RunFolder, RunError> {
        make_folder(&path).map_err(RunError::io("make", &path))?;
        let folder = RunFolder::lock(path, &format!("process {}", std::process::id()))?;
        // No other process writes here: temporary files are left from one that was killed.
        for entry in fs::read_dir(&folder.path).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(".tmp") {
                let _ = fs::remove_file(entry.path()); // harmless if it stays
            }
        }
        Ok(folder)
    }

    /// Locks the folder of a run whose process has ended, to record that.
    pub fn take_over(path: &Path) -> Result<RunFolder, RunError> {
        RunFolder::lock(path.to_owned(), WATCHDOG)
    }

    fn lock(path: PathBuf, name: &str) -> Result<RunFolder, RunError> {
        let lock_path = path.join(".lock");
        let mut options = fs::OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        let mut lock = open_without_links(&mut options, &lock_path).map_err(RunError::io("write", &lock_path))?;
        let mut taken = lock.try_lock();
        // Testing for a lock takes it for a moment, and a watchdog has it until two files are written.
        let mut attempts = 0;
        while matches!(taken, Err(TryLockError::WouldBlock))
            && (attempts < 10 || attempts < 300 && holder(&mut lock) == WATCHDOG)
        {
            std::thread::sleep(std::time::Duration::from_millis(10));
            taken = lock.try_lock();
            attempts += 1;
        }
        match taken {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RunError::Held { path, holder: holder(&mut lock) });
            }
            Err(TryLockError::Error(error)) => return Err(RunError::io("lock", &lock_path)(error)),
        }
        let claim_path = path.join(".claim");
        let claim = match Claim::take(&path).map_err(RunError::io("write", &claim_path))? {
            Ok(claim) => claim,
            Err(holder) => return Err(RunError::Held { path, holder }),
        };
        let written = lock.set_len(0).and_then(|()| lock.rewind());
        let written = written.and_then(|()| fault::write_all(&mut lock, name.as_bytes(), &lock_path));
        written.map_err(RunError::io("write", &lock_path))?;
        Ok(RunFolder { path, claim, lock, epochs_bytes: Cell::new(0) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file of the run.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Checks that the lock file and the claim of this process are still in the folder. Another process may have deleted the
    /// folder, made it again and locked it, and another machine takes over the claim of one that was suspended for a minute.
    ///
    /// # Errors
    /// [`RunError::Lost`] if it is not.
    pub fn check_held(&self) -> Result<(), RunError> {
        let id = |file: &fs::Metadata| (file.dev(), file.ino());
        match (fs::symlink_metadata(self.file(".lock")), self.lock.metadata()) {
            (Ok(found), Ok(held)) if id(&found) == id(&held) && self.claim.is_held() => Ok(()),
            _ => Err(RunError::Lost { path: self.path.clone() }),
        }
    }

    /// Removes all files but the lock.
    pub fn clear(&self) -> Result<(), RunError> {
        self.check_held()?;
        for entry in fs::read_dir(&self.path).map_err(RunError::io("read", &self.path))?.flatten() {
            let path = entry.path();
            if entry.file_name() == ".lock" || Claim::is_file(&entry.file_name()) {
                continue;
            }
            let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed = if folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(RunError::io("remove", &path))?;
        }
        Ok(())
    }

    /// Writes a file of the run atomically.
    pub fn write(&self, name: &str, text: &str) -> Result<(), RunError> {
        self.check_held()?;
        let path = self.file(name);
        write_atomic(&path, text.as_bytes()).map_err(RunError::io("write", &path))
    }

    /// Appends a row to `epochs.csv`, and syncs it.
    ///
    /// # Errors
    /// When the row cannot be written, or another process changed the folder or the table.
    pub fn append_epoch(&self, row: &EpochRow) -> Result<(), RunError> {
        let path = self.file("epochs.csv");
        if self.epochs_bytes.get() == 0 {
            self.write_epochs(&(Epochs::header() + "\n"))?;
        }
        self.check_epochs()?;
        let line = row.line();
        append_synced(&path, line.as_bytes()).map_err(RunError::io("write", &path))?;
        self.epochs_bytes.set(self.epochs_bytes.get() + line.len() as u64);
        Ok(())
    }

    fn write_epochs(&self, text: &str) -> Result<(), RunError> {
        self.write("epochs.csv", text)?;
        self.epochs_bytes.set(text.len() as u64);
        Ok(())
    }

    /// Checks that `epochs.csv` has the rows that this process left in it.
    ///
    /// # Errors
    /// [`RunError::TableChanged`] if it has not, [`RunError::Lost`] if the folder was removed.
    pub fn check_epochs(&self) -> Result<(), RunError> {
        self.check_held()?;
        let path = self.file("epochs.csv");
        let bytes = fs::symlink_metadata(&path).map_or(0, |file| file.len());
        if bytes == self.epochs_bytes.get() { Ok(()) } else { Err(RunError::TableChanged { path }) }
    }

    /// Truncates `epochs.csv` after the first `epochs` epochs: a resumed run repeats the others.
    ///
    /// # Errors
    /// When the file cannot be read or written, or lacks one of those rows.
    pub fn truncate_epochs(&self, epochs: usize) -> Result<(), RunError> {
        let path = self.file("epochs.csv");
        // The rows that are removed may be damaged in any way.
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound && epochs == 0 => return Ok(()),
            Err(error) => return Err(RunError::io("read", &path)(error)),
        };
        let kept = Epochs::prefix(&text, epochs, &path)?;
        if kept != text {
            return self.write_epochs(&kept);
        }
        self.epochs_bytes.set(kept.len() as u64);
        Ok(())
    }
}
