//! Trained runs by folder or by name.

use super::epoch_table::percent;
use super::precision::PrecisionArgs;
use super::table::{Format, render};
use super::{RESULTS, Shared, Usage, machine};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use strata::config::{Experiment, nearest};
use strata::model::Model;
use strata::runs::{Choice, Record, Store, counted};
use strata::train::{CheckpointError, best_weights};
use tch::Device;

/// A run with its best weights loaded.
pub(super) struct TrainedRun {
    pub folder: PathBuf,
    pub experiment: Experiment,
    pub model: Model,
}

impl TrainedRun {
    /// Loads a run by folder or by name.
    pub(super) fn load(run: &str, precision: PrecisionArgs, shared: &Shared, device: Device) -> Result<TrainedRun> {
        let folder = find(run, shared)?;
        let mut experiment = Experiment::load(&folder.join("experiment.toml"), &[], machine())?;
        let weights = best_weights(&folder, &experiment.key()).map_err(|error| match error {
            CheckpointError::Untrained { .. } if is_kept(&folder, shared) => {
                without_weights(&folder, &experiment).into()
            }
            error => anyhow::Error::from(error),
        })?;
        precision.apply(&mut experiment.train);
        let mut model = build(&experiment, device)?;
        model.load_weights(&weights)?;
        Ok(TrainedRun { folder, experiment, model })
    }
}

/// The file of the best weights of the run that `init.from` names: a folder, NAME, NAME/KEY, NAME@latest or NAME@best.
///
/// # Errors
/// Says why there is none, or that there are several.
pub(super) fn weights_of(word: &str) -> Result<PathBuf, String> {
    let store = Store::new(RESULTS.get().map_or(Path::new("results"), PathBuf::as_path));
    let mut folders = store.run_folders(word).map_err(|error| error.to_string())?;
    folders.retain(|folder| has_experiment(folder));
    let folder = match folders.as_slice() {
        [folder] => folder,
        [] => return Err(format!("there is no run `{word}`: `strata train {word}` makes it")),
        several => {
            let count = several.len();
            return Err(format!("`{word}` has {count} runs; name one as NAME/KEY, {word}@latest or {word}@best"));
        }
    };
    let experiment = Experiment::load(&folder.join("experiment.toml"), &[], machine());
    let key = experiment.map_err(|error| error.to_string())?.key();
    let weights = best_weights(folder, &key).map_err(|error| error.to_string())?;
    std::path::absolute(weights).map_err(|error| error.to_string())
}

/// Builds the network of an experiment on a device, in channels-last format as for training.
pub(super) fn build(experiment: &Experiment, device: Device) -> Result<Model> {
    let mut model = Model::build(&experiment.network, device, experiment.seed, experiment.train.rewrites)?;
    model.use_channels_last()?;
    Ok(model)
}

/// Whether a word names a run rather than an experiment file.
pub(super) fn is_run(run: &str, results: &Path) -> bool {
    has_experiment(Path::new(run))
        || results.join("runs").join(run).is_dir()
        || has_experiment(&results.join(run))
        || Choice::split(run).is_some()
}

/// The one run of a name whose experiment has the keys of `--set`; of several, which may be points of sweeps, that of the
/// experiment file of this name. `None` if several are left.
///
/// # Errors
/// When no run has these keys.
pub(super) fn resolve_run<'a>(name: &str, folders: &'a [PathBuf], shared: &Shared) -> Result<Option<&'a Path>> {
    let matching = with_keys(name, folders, shared)?;
    if let [one] = &matching[..] {
        return Ok(Some(one));
    }
    let key = shared.experiment(name).ok().map(|experiment| experiment.key());
    Ok(key.and_then(|key| matching.into_iter().find(|folder| folder.ends_with(key.short()))))
}

/// The runs whose experiment has the keys of `--set`.
fn with_keys<'a>(name: &str, folders: &'a [PathBuf], shared: &Shared) -> Result<Vec<&'a Path>> {
    let (mut matching, mut problem) = (Vec::new(), None);
    for folder in folders {
        match has_keys(folder, &shared.set) {
            Ok(true) => matching.push(folder.as_path()),
            Ok(false) => {}
            // Some of the networks may not know the key.
            Err(error) => problem = Some(error),
        }
    }
    match problem {
        Some(problem) if matching.is_empty() => Err(problem),
        None if matching.is_empty() && !folders.is_empty() => {
            bail!(Usage(format!("no run of `{name}` has {}; `strata train` makes one", shared.set.join(" and "))))
        }
        _ => Ok(matching),
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

/// Most runs of a name that are listed, and most keys that differ between them.
const LISTED: usize = 20;
const KEYS: usize = 5;

/// The error for a name that several runs have: a table of what tells them apart.
pub(super) fn several_runs(name: &str, folders: &[PathBuf], shared: &Shared) -> Result<Usage> {
    let mut table = shared.store().differences(folders);
    let (fixed, keys) = (["run", "started", "status", "val_top1"].len(), table.columns.len());
    let hidden = keys.saturating_sub(fixed + KEYS);
    if hidden > 0 {
        table.columns.drain(1 + KEYS..1 + KEYS + hidden);
        table.rows.iter_mut().for_each(|row| drop(row.drain(1 + KEYS..1 + KEYS + hidden)));
    }
    let mut header: Vec<&str> = table.columns.iter().map(String::as_str).collect();
    header.pop();
    header.push("validation Top-1");
    for cell in table.rows.iter_mut().filter_map(|row| row.last_mut()) {
        *cell = cell.parse().map_or_else(|_| String::new(), percent);
    }
    let shown = &table.rows[..table.rows.len().min(LISTED)];
    let mut text = format!("`{name}` has several runs; name one of them, or take {name}@latest or {name}@best:\n");
    text.push_str(render(Format::Table, &header, shown)?.trim_end());
    let more = [(table.rows.len() - shown.len(), "run"), (hidden, "differing key")];
    for (count, what) in more.into_iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!("\n… and {}", counted(count, what)));
    }
    Ok(Usage(text))
}

/// The folder of a run: a path, NAME/KEY, NAME@latest, NAME@best, or the name of one run.
pub(super) fn find(run: &str, shared: &Shared) -> Result<PathBuf> {
    let store = shared.store();
    let named = store.root().join("runs").join(run);
    for path in [PathBuf::from(run), named.clone()] {
        if has_experiment(&path) {
            if !shared.set.is_empty() {
                bail!(Usage(format!("`{run}` is a single run: --set selects among the runs of a name")));
            }
            return Ok(path);
        }
    }
    if let (Some((name, choice)), false) = (Choice::split(run), named.is_dir()) {
        let mut folders = store.run_folders(name)?;
        folders.retain(|folder| has_experiment(folder));
        let matching: Vec<PathBuf> = with_keys(name, &folders, shared)?.into_iter().map(Path::to_owned).collect();
        let chosen = choice.of(&matching).map(Path::to_owned);
        return chosen.ok_or_else(|| Usage(format!("no run of `{name}` has a result yet")).into());
    }
    let entries = std::fs::read_dir(&named).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| has_experiment(path)).collect();
    folders.sort();
    if let Some(folder) = resolve_run(run, &folders, shared)? {
        return Ok(folder.to_owned());
    }
    match folders.is_empty() {
        true if named.is_dir() => {
            bail!(Usage(format!("no run in {} has an experiment.toml: `strata train` writes it anew", named.display())))
        }
        true if has_experiment(&store.root().join(run)) => Ok(store.root().join(run)),
        true => bail!(Usage(unknown(run, &shared.results))),
        false => bail!(several_runs(run, &folders, shared)?),
    }
}

/// Whether a folder is a finished run outside of those that `train` writes: its tables were copied there to be kept.
fn is_kept(folder: &Path, shared: &Shared) -> bool {
    shared.store().is_archived(folder) && Record::read(folder).is_some_and(|record| record.is_final())
}

/// The error for a result that is kept in git, which has tables but no weights.
fn without_weights(folder: &Path, experiment: &Experiment) -> Usage {
    let path = folder.join("experiment.toml").display().to_string();
    let named = super::experiment(&experiment.name, &[]).is_ok_and(|named| named.key() == experiment.key());
    let file = if named { &experiment.name } else { &path };
    let folder = folder.display();
    Usage(format!(
        "{folder} has no weights: results in git are kept without them; `strata train {file}` trains it again"
    ))
}

fn has_experiment(folder: &Path) -> bool {
    folder.join("experiment.toml").is_file()
}

fn unknown(run: &str, results: &Path) -> String {
    let entries = std::fs::read_dir(results.join("runs")).into_iter().flatten().flatten();
    let names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let hint = match nearest(run, &names.iter().map(String::as_str).collect::<Vec<_>>()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "it is a folder such as {}/runs/NAME/KEY, or the NAME of a run made by `strata train`",
            results.display()
        ),
    };
    format!("there is no run `{run}`: {hint}")
}
