//! What a tree or a CSV file names, before any file is read.

use std::path::PathBuf;

/// A split that folders or a column assign images to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SplitName {
    Train,
    Validation,
    Test,
}

/// Splits, labels and paths relative to `root`.
pub(super) struct Scanned {
    pub root: PathBuf,
    pub classes: Vec<String>,
    pub files: Vec<(Option<SplitName>, usize, String)>,
}
