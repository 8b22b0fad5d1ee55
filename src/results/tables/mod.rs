//! The tables and the chart that compare architectures before anything is trained: `make tables`.

mod architectures;
mod bubbles;

#[cfg(test)]
mod tests;

pub use architectures::architectures;
pub use bubbles::accuracy_against_operations;

use crate::config::Experiment;
use crate::files::{make_folder, write_whole};
use crate::results::RunError;
use std::path::{Path, PathBuf};

/// Writes the table and the chart of the experiments into a folder, which is made where it is missing; gives the files' paths.
///
/// # Errors
/// When a file cannot be written.
pub fn write(experiments: &[Experiment], folder: &Path) -> Result<Vec<PathBuf>, RunError> {
    make_folder(folder).map_err(RunError::io("make", folder))?;
    let [table, chart] = ["architectures.csv", "accuracy-vs-operations.svg"].map(|name| folder.join(name));
    architectures(experiments).write(&table)?;
    let svg = accuracy_against_operations(experiments).svg();
    write_whole(&chart, svg.as_bytes()).map_err(RunError::io("write", &chart))?;
    Ok(vec![table, chart])
}
