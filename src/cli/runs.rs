//! Trained runs by folder or by name.

use super::precision::PrecisionArgs;
use super::{Shared, Usage, machine};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use strata::config::{Experiment, nearest};
use strata::model::Model;
use strata::runs::folders;
use strata::train::best_weights;
use tch::Device;

/// A run with its best weights loaded.
pub struct TrainedRun {
    pub folder: PathBuf,
    pub experiment: Experiment,
    pub model: Model,
}

impl TrainedRun {
    /// Loads the run given as a folder or by name.
    pub fn load(run: &str, arithmetic: PrecisionArgs, shared: &Shared, device: Device) -> Result<TrainedRun> {
        let folder = find(run, shared)?;
        let mut experiment = Experiment::load(&folder.join("experiment.toml"), &[], machine())?;
        let weights = best_weights(&folder, &experiment.key())?;
        arithmetic.apply(&mut experiment.train);
        let mut model = build(&experiment, device)?;
        model.load_weights(&weights)?;
        Ok(TrainedRun { folder, experiment, model })
    }
}

/// Builds the network of an experiment on a device, in channels-last format as for training.
pub fn build(experiment: &Experiment, device: Device) -> Result<Model> {
    let mut model = Model::build(&experiment.network, device, experiment.seed, experiment.train.rewrites)?;
    model.use_channels_last()?;
    Ok(model)
}

/// Whether this is a run rather than an experiment file.
pub fn is_run(run: &str, results: &Path) -> bool {
    Path::new(run).join("experiment.toml").is_file() || results.join("runs").join(run).is_dir()
}

/// Selects among the runs of a name the only one with the keys given by `--set`. Of several, which may be points of sweeps, it is
/// that of the experiment file of this name, if any.
///
/// # Errors
/// When no run has these keys.
pub fn resolve_run<'a>(name: &str, folders: &'a [PathBuf], shared: &Shared) -> Result<Option<&'a Path>> {
    let (mut fitting, mut problem) = (Vec::new(), None);
    for folder in folders {
        match has_keys(folder, &shared.set) {
            Ok(true) => fitting.push(folder.as_path()),
            Ok(false) => {}
            // Some of the networks may not know the key.
            Err(error) => problem = Some(error),
        }
    }
    match (&fitting[..], problem) {
        ([], Some(problem)) => Err(problem),
        ([], None) if !folders.is_empty() => {
            bail!(Usage(format!("no run of `{name}` has {}; `strata train` makes one", shared.set.join(" and "))))
        }
        ([one], _) => Ok(Some(one)),
        _ => {
            let key = shared.experiment(name).ok().map(|experiment| experiment.key());
            Ok(key.and_then(|key| fitting.into_iter().find(|folder| folder.ends_with(key.short()))))
        }
    }
}

/// Whether setting these keys does not change a run's experiment.
fn has_keys(folder: &Path, set: &[String]) -> Result<bool> {
    if set.is_empty() {
        return Ok(true);
    }
    let path = folder.join("experiment.toml");
    let [original, changed] = [&[], set].map(|set| Experiment::load(&path, set, machine()));
    Ok(original?.key() == changed?.key())
}

/// Finds the folder of a run given as a folder, as NAME/KEY, or by a name with one run.
fn find(run: &str, shared: &Shared) -> Result<PathBuf> {
    let results = &shared.results;
    let named = results.join("runs").join(run);
    for path in [PathBuf::from(run), named.clone()] {
        if path.join("experiment.toml").is_file() {
            if !shared.set.is_empty() {
                bail!(Usage(format!("`{run}` is a single run: --set selects among the runs of a name")));
            }
            return Ok(path);
        }
    }
    let keys: Vec<PathBuf> =
        folders(&named).into_iter().filter(|path| path.join("experiment.toml").is_file()).collect();
    if let Some(folder) = resolve_run(run, &keys, shared)? {
        return Ok(folder.to_owned());
    }
    match keys.as_slice() {
        [] if named.is_dir() => {
            bail!(Usage(format!("no run in {} has an experiment.toml: `strata train` writes it", named.display())))
        }
        [] => {
            let runs = folders(&results.join("runs"));
            let names: Vec<&str> = runs.iter().filter_map(|run| run.file_name()?.to_str()).collect();
            let hint = match nearest(run, &names) {
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
