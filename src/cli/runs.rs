//! Trained runs by folder or by name.

use super::arithmetic::Arithmetic;
use super::{Shared, Usage, machine};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use strata::config::{Experiment, nearest};
use strata::model::Model;
use strata::train::best_weights;
use tch::Device;

/// A run with its best weights loaded.
pub struct TrainedRun {
    pub experiment: Experiment,
    pub model: Model,
}

impl TrainedRun {
    /// Loads the run that a folder or a name stands for.
    pub fn load(run: &str, arithmetic: Arithmetic, shared: &Shared, device: Device) -> Result<TrainedRun> {
        let folder = find(run, shared)?;
        let mut experiment = Experiment::load(&folder.join("experiment.toml"), &[], machine())?;
        arithmetic.apply(&mut experiment.train);
        let weights = best_weights(&folder)?;
        let mut model = build(&experiment, device)?;
        model.load_weights(&weights)?;
        Ok(TrainedRun { experiment, model })
    }
}

/// The network of an experiment on a device, laid out as it is for training.
pub fn build(experiment: &Experiment, device: Device) -> Result<Model> {
    let mut model = Model::build(&experiment.network, device, experiment.seed, experiment.train.rewrites)?;
    model.use_channels_last()?;
    Ok(model)
}

/// Whether this stands for a run rather than for an experiment file.
pub fn is_run(run: &str, results: &Path) -> bool {
    Path::new(run).join("experiment.toml").is_file() || results.join("runs").join(run).is_dir()
}

/// The one run of a name; of several, which may be points of sweeps, that of the experiment file of this name.
pub fn meant<'a>(name: &str, folders: &'a [PathBuf], shared: &Shared) -> Option<&'a Path> {
    if let [one] = folders {
        return Some(one);
    }
    let key = shared.experiment(name).ok()?.key();
    folders.iter().find(|folder| folder.ends_with(&key)).map(PathBuf::as_path)
}

/// The folder of a run: given as such, as NAME/KEY, or as the name of one run.
fn find(run: &str, shared: &Shared) -> Result<PathBuf> {
    let results = &shared.results;
    let named = results.join("runs").join(run);
    for path in [PathBuf::from(run), named.clone()] {
        if path.join("experiment.toml").is_file() {
            return Ok(path);
        }
    }
    let mut keys: Vec<PathBuf> = std::fs::read_dir(&named)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("experiment.toml").is_file())
        .collect();
    keys.sort();
    if let Some(meant) = meant(run, &keys, shared) {
        return Ok(meant.to_owned());
    }
    match keys.as_slice() {
        [] => {
            let names: Vec<String> = std::fs::read_dir(results.join("runs"))
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            let hint = match nearest(run, &names.iter().map(String::as_str).collect::<Vec<_>>()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "it is a folder such as {}/runs/NAME/KEY, or the NAME of a run made by `strata train`",
                    results.display()
                ),
            };
            bail!(Usage(format!("there is no run `{run}`: {hint}")))
        }
        several => {
            let list: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            bail!(Usage(format!("`{run}` has several runs; name one of them:\n  {}", list.join("\n  "))))
        }
    }
}
