use crate::config::ConfigError;
use crate::runs::RunError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a run was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot write {}: {reason}", path.display())]
    Write { path: PathBuf, reason: io::Error },
}

impl ExportError {
    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> ExportError {
        move |reason| ExportError::Write { path: path.to_owned(), reason }
    }
}
