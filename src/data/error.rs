//! Errors of datasets: each message names the file and the remedy.

use super::prepared::PreparedFormat;
use crate::input_error::IsInputError;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// A dataset that cannot be fetched, read or used. Each message names the file or address and the remedy; the cause is part
/// of the message, so `source()` is not set and nothing is printed twice.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// No dataset has this name.
    #[error("unknown dataset '{name}'{hint}; the datasets are {known}")]
    Unknown { name: String, hint: String, known: String },
    /// The dataset has not been fetched.
    #[error("dataset {name} is not in {}; run `strata fetch {name}`", .folder.display())]
    Missing { name: String, folder: PathBuf },
    /// No smaller copies of the images were made.
    #[error("the images are not prepared: {} is not there; run `strata fetch {fetch} --prepare {size} --form {form}`", .folder.display())]
    NotPrepared { folder: PathBuf, fetch: String, size: usize, form: PreparedFormat },
    /// A file (or what came from an address) is not what it should be.
    #[error("{file}: {problem}; {remedy}")]
    Corrupt { file: String, problem: String, remedy: String },
    /// The operating system returned an error.
    #[error("cannot {action} {}: {reason}", .path.display())]
    Io { action: &'static str, path: PathBuf, reason: std::io::Error },
    /// Every way of fetching a dataset failed.
    #[error("{name} could not be fetched. Tried:{}\n{remedy}", .attempts.iter().map(|a| format!("\n  - {a}")).collect::<String>())]
    Fetch { name: String, attempts: Vec<String>, remedy: String },
    /// The images may not be passed on: the user must get them.
    #[error(
        "the {name} images cannot be downloaded automatically, because the licence is granted to individuals: {remedy}"
    )]
    Licence { name: String, remedy: String },
    /// A dataset that is sound but not what the experiment needs.
    #[error("{name}: {problem}")]
    Unfit { name: String, problem: String },
    /// The system grants no more threads.
    #[error(
        "cannot start a thread that reads images: {0}; raise the limit on processes or on memory (ulimit -u, ulimit -v)"
    )]
    Thread(std::io::Error),
    /// Neither XDG_CACHE_HOME nor HOME is an absolute path.
    #[error("no cache folder: set XDG_CACHE_HOME or HOME to an absolute path")]
    NoCacheFolder,
}

impl IsInputError for DataError {}

impl DataError {
    /// For `map_err`: the path and what was being done to it ("read", "write", …).
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> DataError {
        move |reason| DataError::Io { action, path: path.to_owned(), reason }
    }

    pub(super) fn corrupt(file: impl Display, problem: impl Into<String>, remedy: impl Into<String>) -> DataError {
        DataError::Corrupt { file: file.to_string(), problem: problem.into(), remedy: remedy.into() }
    }

    /// A damaged file of an installed dataset: fetching verifies the checksums and replaces what is broken.
    pub(super) fn damaged(file: &Path, problem: impl Into<String>, dataset: &str) -> DataError {
        DataError::corrupt(file.display(), problem, format!("run `strata fetch {dataset}` to bring it again"))
    }
}
