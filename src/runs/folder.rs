//! The folder of one run: `runs/<name>/<key>`, held by one process at a time.

use super::epochs::{EpochRow, Epochs};
use super::error::RunError;
use crate::fault;
use crate::files::{append_synced, make_folder, open_without_links, write_whole};
use std::cell::Cell;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How a process that records the end of another's run is called.
const WATCHDOG: &str = "a watchdog";

/// What the holder of a lock wrote into it.
fn holder(lock: &mut File) -> String {
    let mut name = String::new();
    let _ = lock.rewind().and_then(|()| lock.read_to_string(&mut name));
    if name.is_empty() { "another process".to_owned() } else { name }
}

/// Who has locked a run folder, if anybody has. It may be unlocked, or locked, in the next moment.
pub fn locked_by(run: &Path) -> Option<String> {
    let mut lock = File::open(run.join(".lock")).ok()?;
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(holder(&mut lock)),
        _ => None,
    }
}

/// An open run folder; other processes are kept out until it is dropped.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    lock: File,
    /// Bytes of `epochs.csv` as this process left it.
    epochs_bytes: Cell<u64>,
}

impl RunFolder {
    /// Opens a folder, making it where it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made or written, or another process has locked it.
    pub(super) fn open(path: PathBuf) -> Result<RunFolder, RunError> {
        make_folder(&path).map_err(RunError::io("make", &path))?;
        let folder = RunFolder::lock(path, &format!("process {}", std::process::id()))?;
        // Whoever holds the lock is alone: temporary files that lie here were left by a process that was killed.
        for entry in fs::read_dir(&folder.path).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(".tmp") {
                let _ = fs::remove_file(entry.path()); // only untidy if it stays
            }
        }
        Ok(folder)
    }

    /// Opens the folder of a run whose process is gone, to record its end.
    ///
    /// # Errors
    /// As [`RunFolder::open`].
    pub fn take_over(path: &Path) -> Result<RunFolder, RunError> {
        RunFolder::lock(path.to_owned(), WATCHDOG)
    }

    fn lock(path: PathBuf, name: &str) -> Result<RunFolder, RunError> {
        let lock_path = path.join(".lock");
        let mut options = fs::OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        let mut lock = open_without_links(&mut options, &lock_path).map_err(RunError::io("write", &lock_path))?;
        let mut taken = lock.try_lock();
        // Somebody who only looks whether the folder is held has it for a moment, a watchdog until it has written two files.
        let mut looks = 0;
        while matches!(taken, Err(TryLockError::WouldBlock))
            && (looks < 10 || looks < 300 && holder(&mut lock) == WATCHDOG)
        {
            std::thread::sleep(std::time::Duration::from_millis(10));
            taken = lock.try_lock();
            looks += 1;
        }
        match taken {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RunError::Held { path, holder: holder(&mut lock) });
            }
            Err(TryLockError::Error(error)) => return Err(RunError::io("lock", &lock_path)(error)),
        }
        let written = lock.set_len(0).and_then(|()| lock.rewind());
        let written = written.and_then(|()| fault::write_all(&mut lock, name.as_bytes(), &lock_path));
        written.map_err(RunError::io("write", &lock_path))?;
        Ok(RunFolder { path, lock, epochs_bytes: Cell::new(0) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file of the run.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Checks that the lock which this process holds is the one in the folder. A folder that was deleted meanwhile may have
    /// been made anew, and locked, by another process.
    ///
    /// # Errors
    /// [`RunError::Lost`] where it is not.
    pub fn check_held(&self) -> Result<(), RunError> {
        let id = |file: &fs::Metadata| (file.dev(), file.ino());
        match (fs::symlink_metadata(self.file(".lock")), self.lock.metadata()) {
            (Ok(found), Ok(held)) if id(&found) == id(&held) => Ok(()),
            _ => Err(RunError::Lost { path: self.path.clone() }),
        }
    }

    /// Removes everything that a former run left.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn clear(&self) -> Result<(), RunError> {
        self.check_held()?;
        for entry in fs::read_dir(&self.path).map_err(RunError::io("read", &self.path))?.flatten() {
            let path = entry.path();
            if entry.file_name() == ".lock" {
                continue;
            }
            let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed = if folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(RunError::io("remove", &path))?;
        }
        Ok(())
    }

    /// Writes a file of the run whole.
    ///
    /// # Errors
    /// As the file system says.
    pub fn write(&self, name: &str, text: &str) -> Result<(), RunError> {
        self.check_held()?;
        let path = self.file(name);
        write_whole(&path, text.as_bytes()).map_err(RunError::io("write", &path))
    }

    /// Appends an epoch's row to `epochs.csv`, and syncs it.
    ///
    /// # Errors
    /// Those of the file system, and when the folder or the table is no longer as this process left it.
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
    /// [`RunError::TableChanged`], and [`RunError::Lost`] where the whole folder is gone.
    pub fn check_epochs(&self) -> Result<(), RunError> {
        self.check_held()?;
        let path = self.file("epochs.csv");
        let bytes = fs::symlink_metadata(&path).map_or(0, |file| file.len());
        if bytes == self.epochs_bytes.get() { Ok(()) } else { Err(RunError::TableChanged { path }) }
    }

    /// Keeps the header and the rows of the first `epochs` epochs: what stands behind them belongs to steps that a resumed
    /// run does again.
    ///
    /// # Errors
    /// When the file cannot be read or written, or lacks one of those rows.
    pub fn keep_epochs(&self, epochs: usize) -> Result<(), RunError> {
        let path = self.file("epochs.csv");
        // Whatever bytes stand behind the rows that are kept, they go.
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
