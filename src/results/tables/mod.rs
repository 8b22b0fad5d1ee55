//! The tables and the chart that compare architectures before anything is trained: `make tables`.

mod architectures;
mod bubbles;
mod googlenet;
mod inception;

#[cfg(test)]
mod tests;

pub use architectures::architectures;
pub use bubbles::accuracy_against_operations;
pub use googlenet::googlenet_layers;
pub use inception::inception_cost;

use crate::arch::network::{NetworkError, StochasticDepth};
use crate::arch::rows::Row;
use crate::arch::{Network, Plan, Style};
use crate::config::Experiment;
use crate::files::write_whole;
use std::path::{Path, PathBuf};

/// Why the tables could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("cannot write {}: {source}", .path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Csv(#[from] csv::Error),
    #[error("a table's own network: {0}")]
    Network(#[from] NetworkError),
    #[error("a table's own network: {0}")]
    Preset(#[from] crate::arch::presets::PresetError),
}

/// A table as it is written: every cell a text.
pub struct Table {
    pub header: Vec<&'static str>,
    pub lines: Vec<Vec<String>>,
}

impl Table {
    /// # Errors
    /// When a line has not as many cells as the header.
    pub fn to_csv(&self) -> Result<Vec<u8>, TableError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.header)?;
        for line in &self.lines {
            writer.write_record(line)?;
        }
        writer.into_inner().map_err(|error| TableError::Csv(error.into_error().into()))
    }
}

/// Writes all tables of the experiments into a folder, which is made where it is missing; gives the files' paths.
///
/// # Errors
/// When a file cannot be written.
pub fn write(experiments: &[Experiment], folder: &Path) -> Result<Vec<PathBuf>, TableError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| TableError::Write { path, source }
    };
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    let files = [
        ("architectures.csv", architectures(experiments).to_csv()?),
        ("googlenet-layers.csv", googlenet_layers()?.to_csv()?),
        ("inception-cost.csv", inception_cost()?.to_csv()?),
        ("accuracy-vs-operations.svg", accuracy_against_operations(experiments).svg().into_bytes()),
    ];
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        write_whole(&path, &bytes).map_err(failed(&path))?;
        written.push(path);
    }
    Ok(written)
}

/// A network from rows in the plain style.
fn network(rows: Vec<Row>, style: Style, input: [usize; 3], classes: usize) -> Result<Network, NetworkError> {
    Network::new(Plan { rows, style, stochastic_depth: StochasticDepth::default(), input, classes })
}
