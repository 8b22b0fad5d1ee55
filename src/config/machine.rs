//! What an experiment file asks of the machine that reads it.

use std::path::PathBuf;

/// Properties of the machine that `auto` in a file depends on, and the runs that it has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    /// bf16 is computed by the processor itself.
    pub native_bf16: bool,
    /// The number of ranks that this process is one of; 0 stands for 1.
    pub ranks: usize,
    /// Finds the weights of a run that `init.from` names; the error says why there are none. Without it no run is found.
    pub find_run: Option<FindRun>,
}

/// From a run as it is written on the command line to its best weights.
pub type FindRun = fn(&str) -> Result<FoundRun, String>;

/// A run that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRun {
    /// What names this run and no other: NAME/KEY.
    pub name: String,
    /// The file of its best weights.
    pub weights: PathBuf,
}
