//! Errors of run folders and tables.

use std::io;
use std::path::{Path, PathBuf};

/// Why a run folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(
        "cannot {action} {path}: {reason}; is the results folder there and writable? (--results DIR takes another)"
    )]
    Io { action: &'static str, path: PathBuf, reason: io::Error },
    #[error("{path} is locked by {holder}; wait for it, or stop it")]
    Held { path: PathBuf, holder: String },
    #[error(
        "{path} was removed or replaced during the run: nothing more is written there; `strata train` starts the run \
         again"
    )]
    Lost { path: PathBuf },
    #[error("{path} was removed or changed by another program during the run: the run stops")]
    TableChanged { path: PathBuf },
    #[error("{path}, line {line}: {problem}; move the run folder away to start over")]
    Corrupt { path: PathBuf, line: usize, problem: String },
    #[error(
        "{folder} has the tables of {other}, another sweep of the same name as {file}: rename one of the files, or use \
         another results folder (--results DIR); if the file was only moved, remove {folder}/sweep.json"
    )]
    OtherSweep { folder: PathBuf, file: PathBuf, other: PathBuf },
    #[error(transparent)]
    Table(#[from] TableError),
}

impl RunError {
    /// Wraps an I/O error with the action and the path.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RunError {
        let path = path.to_owned();
        move |reason| RunError::Io { action, path, reason }
    }
}

/// Why a file cannot be read as a table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("cannot read {}: {reason}", .path.display())]
    Io { path: PathBuf, reason: io::Error },
    #[error("{}, line {line}: {problem}", .path.display())]
    Broken { path: PathBuf, line: u64, problem: String },
}
