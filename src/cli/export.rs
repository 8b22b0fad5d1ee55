//! `strata export`

use super::export_onnx::{self, OnnxExport};
use super::{Done, Shared, Usage, machine, wrote};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use strata::emit;
use strata::export::{ExportedRun, Tracker};
use strata::runs::{Store, StoreEntry};

/// Export networks to ONNX, and runs to TensorBoard, MLflow or Weights & Biases
///
/// For trackers, settings, epochs and results are read from the files of the runs. Exporting again replaces what was written
/// before.
#[derive(Args)]
#[command(after_help = "Examples:
  strata export tensorboard resnet20 plain20     tensorboard --logdir tensorboard
  strata export mlflow degradation               every run of a sweep
  strata export wandb results/runs               wandb sync wandb/offline-run-*
  strata export onnx resnet20 -o resnet20.onnx   a trained network; with --weights, that of an experiment file")]
pub(crate) struct Export {
    /// Format or program to export to
    #[arg(value_name = "FORMAT")]
    tracker: Name,
    /// Run folders, sweeps, or names of either [default: all runs of the results folder]; for onnx one run, or an experiment file
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// Folder to write to [default: tensorboard, mlruns or wandb]; for onnx the file [default: NAME.onnx]
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// For onnx: the weights of the experiment file, under the network's parameter names
    #[arg(long, value_name = "W.safetensors")]
    weights: Option<PathBuf>,
    /// For onnx: the input's channels, height and width [default: the experiment's]
    #[arg(long, value_name = "CxHxW")]
    input: Option<String>,
}

impl Export {
    /// Whether it reads an experiment, whose keys can be set.
    pub(super) fn reads_experiment(&self) -> bool {
        matches!(self.tracker, Name::Onnx)
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// The network for ONNX runtimes (opset 17)
    Onnx,
    /// Event files
    #[value(name = "tensorboard")]
    TensorBoard,
    /// A file store, for `mlflow migrate-filestore` or MLFLOW_ALLOW_FILE_STORE=true
    Mlflow,
    /// Offline runs, for `wandb sync`
    Wandb,
}

pub(crate) fn run(command: &Export, shared: &Shared) -> Result<Done> {
    let Export { tracker, runs, output, weights, input } = command;
    let (tracker, usual) = match tracker {
        Name::Onnx => {
            let (output, weights, input) = (output.as_deref(), weights.as_deref(), input.as_deref());
            return export_onnx::run(&OnnxExport { runs, output, weights, input }, shared);
        }
        Name::TensorBoard => (Tracker::TensorBoard, "tensorboard"),
        Name::Mlflow => (Tracker::Mlflow, "mlruns"),
        Name::Wandb => (Tracker::Wandb, "wandb"),
    };
    if weights.is_some() || input.is_some() {
        bail!(Usage("--weights and --input are options of `strata export onnx`".to_owned()));
    }
    let output = output.clone().unwrap_or_else(|| PathBuf::from(usual));
    let store = shared.store();
    let folders = folders(runs, &store)?;
    if folders.is_empty() {
        bail!(Usage("none of these is a run, or a sweep whose runs are here; of a sweep in git only its tables are, and `strata sweep` \
                     trains its runs".to_owned()));
    }
    for folder in &folders {
        let path = tracker.write(&ExportedRun::read(folder, machine())?, &output)?;
        wrote(&path);
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
            StoreEntry::Run(folder) => folders.push(folder),
            StoreEntry::Sweep(folder) => folders.extend(store.sweep_runs(&folder)?),
            StoreEntry::File(path) => {
                bail!(Usage(format!("{} is a table; export takes runs and sweeps", path.display())))
            }
            StoreEntry::Loose { .. } => {}
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
