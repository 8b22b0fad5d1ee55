//! What an experiment file asks of the machine that reads it.

use std::path::PathBuf;

/// Properties of the machine that `auto` in a file depends on, and the runs that it has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    /// Whether the processor computes bf16 natively.
    pub native_bf16: bool,
    /// Number of ranks that train together; 0 means 1.
    pub ranks: usize,
    /// Finds the weights of the run in `init.from`; the error is a message. With `None` no run is found.
    pub find_run: Option<FindRun>,
}

/// Maps a run, as named on the command line, to its best weights.
pub type FindRun = fn(&str) -> Result<FoundRun, String>;

/// A run that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRun {
    /// The unique name of the run: NAME/KEY.
    pub name: String,
    /// The file of its best weights.
    pub weights: PathBuf,
}
