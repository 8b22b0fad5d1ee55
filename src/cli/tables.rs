//! `strata tables`

use super::{Done, Shared, Usage, experiment};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use strata::analysis::architectures;
use strata::config::Experiment;
use strata::figures::accuracy_against_operations;
use strata::files::write_output;

/// Tables and a chart that compare the architectures of a folder: cost, published accuracy
///
/// Writes architectures.csv and accuracy-vs-operations.svg. Nothing is trained: costs are counted, accuracies are those that
/// the experiments' [expect] tables quote.
#[derive(Args)]
pub(crate) struct Tables {
    /// The folder of experiment files
    #[arg(long, value_name = "FOLDER", default_value = "experiments/imagenet")]
    experiments: PathBuf,
    /// The folder to write to; tables/ in the results folder without this option
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

pub(crate) fn run(command: &Tables, shared: &Shared) -> Result<Done> {
    let experiments = load(&command.experiments, &shared.set)?;
    let out = command.out.clone().unwrap_or_else(|| shared.results.join("tables"));
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let table = architectures(&experiments).to_csv();
    let chart = accuracy_against_operations(&experiments).svg();
    for (name, text) in [("architectures.csv", table), ("accuracy-vs-operations.svg", chart)] {
        let path = out.join(name);
        write_output(&path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
        super::wrote(&path);
    }
    Ok(Done::Well)
}

/// Every experiment of a folder, by name.
fn load(folder: &Path, overrides: &[String]) -> Result<Vec<Experiment>> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| Usage(format!("cannot read the folder {}: {error}", folder.display())))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read the folder {}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        bail!(Usage(format!("there is no experiment file in {}", folder.display())));
    }
    paths.sort();
    paths.iter().map(|path| experiment(path, overrides)).collect()
}
