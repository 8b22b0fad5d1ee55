//! Trained runs by folder or by name.

use super::precision::PrecisionArgs;
use super::{Shared, Usage, machine};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use strata::config::{Experiment, nearest};
use strata::model::Model;
use strata::train::best_weights;
use tch::Device;

/// A run with its best weights loaded.
pub struct TrainedRun {
    pub folder: PathBuf,
    pub experiment: Experiment,
    pub model: Model,
}

impl TrainedRun {
    /// Loads the run that a folder or a name stands for.
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

/// The one run of a name that has the keys that `--set` asks for; of several, which may be points of sweeps, that of the
/// experiment file of this name.
///
/// # Errors
/// When no run has these keys.
pub fn meant<'a>(name: &str, folders: &'a [PathBuf], shared: &Shared) -> Result<Option<&'a Path>> {
    let (mut fitting, mut problem) = (Vec::new(), None);
    for folder in folders {
        match has_keys(folder, &shared.set) {
            Ok(true) => fitting.push(folder.as_path()),
            Ok(false) => {}
            // Of networks of several kinds some may not know the key.
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

/// Whether a run's experiment is the same with these keys set.
fn has_keys(folder: &Path, set: &[String]) -> Result<bool> {
    if set.is_empty() {
        return Ok(true);
    }
    let path = folder.join("experiment.toml");
    let [as_it_is, changed] = [&[], set].map(|set| Experiment::load(&path, set, machine()));
    Ok(as_it_is?.key() == changed?.key())
}

/// The folder of a run: given as such, as NAME/KEY, or as the name of one run.
fn find(run: &str, shared: &Shared) -> Result<PathBuf> {
    let results = &shared.results;
    let named = results.join("runs").join(run);
    for path in [PathBuf::from(run), named.clone()] {
        if path.join("experiment.toml").is_file() {
            if !shared.set.is_empty() {
                bail!(Usage(format!("`{run}` is one run: --set chooses among those of an experiment's name")));
            }
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
    if let Some(meant) = meant(run, &keys, shared)? {
        return Ok(meant.to_owned());
    }
    match keys.as_slice() {
        [] if named.is_dir() => {
            bail!(Usage(format!("no run in {} has an experiment.toml: `strata train` writes it anew", named.display())))
        }
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
