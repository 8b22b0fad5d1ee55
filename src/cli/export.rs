//! `strata export`

use super::{Done, Shared, Usage, machine, print};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use strata::emit;
use strata::export::{ExportedRun, Tracker};
use strata::runs::{Found, Store};

/// Export runs to TensorBoard, MLflow or Weights & Biases
///
/// Settings, epochs and results are read from the files of the runs. Exporting a run again replaces what was written before.
#[derive(Args)]
#[command(after_help = "Examples:
  strata export tensorboard resnet20 plain20     tensorboard --logdir tensorboard
  strata export mlflow degradation               every run of a sweep
  strata export wandb results/runs               wandb sync wandb/offline-run-*")]
pub(crate) struct Export {
    /// Program to export to
    #[arg(value_name = "TRACKER")]
    tracker: Name,
    /// Run folders, sweeps, or names of either [default: all runs of the results folder]
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// Folder to write to [default: tensorboard, mlruns or wandb]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// Event files
    #[value(name = "tensorboard")]
    TensorBoard,
    /// A file store, for `mlflow migrate-filestore` or MLFLOW_ALLOW_FILE_STORE=true
    Mlflow,
    /// Offline runs, for `wandb sync`
    Wandb,
}

pub(crate) fn run(command: &Export, shared: &Shared) -> Result<Done> {
    let (tracker, usual) = match command.tracker {
        Name::TensorBoard => (Tracker::TensorBoard, "tensorboard"),
        Name::Mlflow => (Tracker::Mlflow, "mlruns"),
        Name::Wandb => (Tracker::Wandb, "wandb"),
    };
    let output = command.output.clone().unwrap_or_else(|| PathBuf::from(usual));
    let store = shared.store();
    let folders = folders(&command.runs, &store)?;
    if folders.is_empty() {
        bail!(Usage("none of these is a run or a sweep with finished runs".to_owned()));
    }
    for folder in &folders {
        let path = tracker.write(&ExportedRun::read(folder, machine())?, &output)?;
        print(&format!("{}\n", path.display()))?;
    }
    Ok(Done::Well)
}

/// The folders of the runs that the words stand for, each once.
fn folders(words: &[String], store: &Store) -> Result<Vec<PathBuf>> {
    let mut found = match words {
        [] => store.everything()?,
        _ => Vec::new(),
    };
    for word in words {
        found.extend(store.find(word)?);
    }
    let mut folders = Vec::new();
    for found in found {
        match found {
            Found::Run(folder) => folders.push(folder),
            Found::Sweep(folder) => folders.extend(store.sweep_runs(&folder)?),
            Found::File(path) => bail!(Usage(format!("{} is a table; export takes runs and sweeps", path.display()))),
            Found::Loose { .. } => {}
        }
    }
    let (mut runs, without): (Vec<_>, Vec<_>) =
        folders.into_iter().partition(|folder| folder.join("experiment.toml").is_file());
    for folder in &without {
        emit(format_args!("note: {} is skipped: it has no experiment.toml", folder.display()));
    }
    runs.sort();
    runs.dedup();
    Ok(runs)
}
