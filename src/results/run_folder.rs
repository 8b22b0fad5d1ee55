//! The folder of one run: `runs/<name>/<key>`, held by one process at a time.

use super::format::{accuracy, significant};
use super::table::TableError;
use crate::config::Experiment;
use crate::fault;
use crate::files::{append_synced, make_folder, write_whole};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

/// Why a run folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(
        "cannot {action} {path}: {reason}; is the results folder there and writable? (--results DIR takes another)"
    )]
    Io { action: &'static str, path: PathBuf, reason: io::Error },
    #[error("{path} is in use by {holder}; wait for it, or stop it")]
    Held { path: PathBuf, holder: String },
    #[error("{path}, line {line}: {problem}; move the run folder away to start over")]
    Corrupt { path: PathBuf, line: usize, problem: String },
    #[error(transparent)]
    Table(#[from] TableError),
}

impl RunError {
    /// Tells what was being done to which file when the system refused.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RunError {
        let path = path.to_owned();
        move |reason| RunError::Io { action, path, reason }
    }
}

/// One epoch's row.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochRow {
    /// Counted from 1.
    pub epoch: usize,
    pub step: u64,
    pub lr: f64,
    pub train_loss: f64,
    pub train_top1: f64,
    pub train_top5: f64,
    pub val_loss: f64,
    pub val_top1: f64,
    pub val_top5: f64,
    pub epoch_seconds: f64,
    pub images_per_second: f64,
    pub peak_memory_mib: f64,
}

/// The header of `epochs.csv`.
pub const EPOCH_COLUMNS: &str = "epoch,step,lr,train_loss,train_top1,train_top5,val_loss,val_top1,val_top5,\
                                 epoch_seconds,images_per_second,peak_memory_mib";

impl EpochRow {
    /// A row of `epochs.csv`; `None` for anything else.
    pub fn parse(line: &str) -> Option<EpochRow> {
        let cells: Vec<&str> = line.trim_end().split(',').collect();
        let &[epoch, step, ref values @ ..] = cells.as_slice() else { return None };
        let values = values.iter().map(|cell| cell.parse().ok()).collect::<Option<Vec<f64>>>()?;
        let &[lr, train_loss, train_top1, train_top5, val_loss, val_top1, val_top5, seconds, rate, memory] =
            values.as_slice()
        else {
            return None;
        };
        Some(EpochRow {
            epoch: epoch.parse().ok()?,
            step: step.parse().ok()?,
            lr,
            train_loss,
            train_top1,
            train_top5,
            val_loss,
            val_top1,
            val_top5,
            epoch_seconds: seconds,
            images_per_second: rate,
            peak_memory_mib: memory,
        })
    }

    /// The row as it stands in `epochs.csv`, with its line break.
    pub fn line(&self) -> String {
        format!(
            "{},{},{},{},{},{},{},{},{},{:.3},{:.1},{:.0}\n",
            self.epoch,
            self.step,
            significant(self.lr),
            significant(self.train_loss),
            accuracy(self.train_top1),
            accuracy(self.train_top5),
            significant(self.val_loss),
            accuracy(self.val_top1),
            accuracy(self.val_top5),
            self.epoch_seconds,
            self.images_per_second,
            self.peak_memory_mib,
        )
    }
}

/// What the holder of a lock wrote into it.
fn holder(lock: &mut File) -> String {
    let mut name = String::new();
    let _ = lock.read_to_string(&mut name);
    if name.is_empty() { "another process".to_owned() } else { name }
}

/// An open run folder; other processes are kept out until it is dropped.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    // Held for its lock.
    _lock: File,
}

impl RunFolder {
    /// Where an experiment's run lies below a results folder.
    pub fn place(results: &Path, experiment: &Experiment) -> PathBuf {
        RunFolder::place_of(results, &experiment.name, &experiment.key())
    }

    /// The same for an experiment whose key is known.
    pub fn place_of(results: &Path, name: &str, key: &str) -> PathBuf {
        results.join("runs").join(name).join(key)
    }

    /// Who holds a run folder, if anybody does. It may be let go, or taken, in the next moment.
    pub fn holder(path: &Path) -> Option<String> {
        let mut lock = File::open(path.join(".lock")).ok()?;
        match lock.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(holder(&mut lock)),
            _ => None,
        }
    }

    /// Opens the folder of an experiment, making it where it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made or written, or another process holds it.
    pub fn open(results: &Path, experiment: &Experiment) -> Result<RunFolder, RunError> {
        let path = RunFolder::place(results, experiment);
        make_folder(&path).map_err(RunError::io("make", &path))?;
        let lock_path = path.join(".lock");
        let mut lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&lock_path)
            .map_err(RunError::io("write", &lock_path))?;
        let mut taken = lock.try_lock();
        // Somebody who only looks whether the folder is held has it for a moment.
        for _ in 0..3 {
            if matches!(taken, Err(TryLockError::WouldBlock)) {
                std::thread::sleep(std::time::Duration::from_millis(10));
                taken = lock.try_lock();
            }
        }
        match taken {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RunError::Held { path, holder: holder(&mut lock) });
            }
            Err(TryLockError::Error(error)) => return Err(RunError::io("lock", &lock_path)(error)),
        }
        let name = format!("process {}", std::process::id());
        let written = lock.set_len(0).and_then(|()| lock.rewind());
        let written = written.and_then(|()| fault::write_all(&mut lock, name.as_bytes(), &lock_path));
        written.map_err(RunError::io("write", &lock_path))?;
        // Whoever holds the lock is alone: temporary files that lie here were left by a process that was killed.
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(".tmp") {
                let _ = fs::remove_file(entry.path()); // only untidy if it stays
            }
        }
        Ok(RunFolder { path, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file of the run.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Removes everything that a former run left.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn clear(&self) -> Result<(), RunError> {
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
        let path = self.file(name);
        write_whole(&path, text.as_bytes()).map_err(RunError::io("write", &path))
    }

    /// Appends an epoch's row to `epochs.csv` and makes it last.
    ///
    /// # Errors
    /// As the file system says.
    pub fn append_epoch(&self, row: &EpochRow) -> Result<(), RunError> {
        let path = self.file("epochs.csv");
        if !path.exists() {
            self.write("epochs.csv", &format!("{EPOCH_COLUMNS}\n"))?;
        }
        append_synced(&path, row.line().as_bytes()).map_err(RunError::io("write", &path))
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
        let kept = first_epochs(&text, epochs, &path)?;
        if kept == text { Ok(()) } else { self.write("epochs.csv", &kept) }
    }
}

/// The header and the rows of the first `epochs` epochs of an `epochs.csv`; `path` is what errors call it.
///
/// # Errors
/// For a text that lacks one of those rows.
pub fn first_epochs(text: &str, epochs: usize, path: &Path) -> Result<String, RunError> {
    let corrupt = |line: usize, problem: &str| RunError::Corrupt {
        path: path.to_owned(),
        line: line + 1,
        problem: problem.to_owned(),
    };
    let mut kept = String::with_capacity(text.len());
    let mut lines = text.split_inclusive('\n');
    if lines.next().is_none_or(|header| header.trim_end() != EPOCH_COLUMNS) {
        return Err(corrupt(0, "the header is not that of this version"));
    }
    kept.push_str(EPOCH_COLUMNS);
    kept.push('\n');
    for epoch in 1..=epochs {
        let line = lines.next().ok_or_else(|| corrupt(epoch, "a row is missing"))?;
        let values: Vec<&str> = line.trim_end_matches('\n').split(',').collect();
        let numbers = values.iter().all(|value| value.parse::<f64>().is_ok());
        let whole = line.ends_with('\n') && values.len() == EPOCH_COLUMNS.split(',').count() && numbers;
        if !whole || values[0] != epoch.to_string() {
            return Err(corrupt(epoch, &format!("this is not the whole row of epoch {epoch}")));
        }
        kept.push_str(line);
    }
    Ok(kept)
}
