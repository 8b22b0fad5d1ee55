//! Trained runs by folder or by name.

use super::epoch_table::percent;
use super::precision::PrecisionArgs;
use super::table::{Format, render};
use super::{RESULTS, Shared, Usage, locate, machine};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use strata::config::{Experiment, FoundRun, Machine, nearest};
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

/// The run that `init.from` names, a folder, NAME, NAME/KEY, NAME@latest or NAME@best, with the file of its best weights.
///
/// # Errors
/// Says why there is none, or that there are several.
pub(super) fn weights_of(word: &str) -> Result<FoundRun, String> {
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
    // Its own weights may have come from a run: that it was found when it was trained is enough.
    let machine = Machine { find_run: None, ..machine() };
    let experiment = Experiment::load(&folder.join("experiment.toml"), &[], machine);
    let key = experiment.map_err(|error| error.to_string())?.key();
    let weights = best_weights(folder, &key).map_err(|error| error.to_string())?;
    let below = folder.strip_prefix(store.root().join("runs")).ok();
    let name = below.map_or_else(|| word.to_owned(), |below| below.display().to_string());
    Ok(FoundRun { name, weights: std::path::absolute(weights).map_err(|error| error.to_string())? })
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

/// The error for a name that several runs have: a table of what distinguishes them.
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
    let more = [
        (table.rows.len() - shown.len(), "run", ""),
        (hidden, "key", if hidden == 1 { " differs" } else { " differ" }),
    ];
    for (count, what, verb) in more.into_iter().filter(|(count, ..)| *count > 0) {
        text.push_str(&format!("\n… and {}{verb}", counted(count, &format!("more {what}"))));
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
        let name = &name_of_runs(name, shared);
        let mut folders = store.run_folders(name)?;
        folders.retain(|folder| has_experiment(folder));
        let matching: Vec<PathBuf> = with_keys(name, &folders, shared)?.into_iter().map(Path::to_owned).collect();
        let chosen = choice.of(&matching).map(Path::to_owned);
        return chosen.ok_or_else(|| Usage(format!("no run of `{name}` has a result yet")).into());
    }
    let folders = runs_below(&named);
    if let Some(folder) = resolve_run(run, &folders, shared)? {
        return Ok(folder.to_owned());
    }
    match folders.is_empty() {
        true if named.is_dir() => {
            bail!(Usage(format!("no run in {} has an experiment.toml: `strata train` writes it anew", named.display())))
        }
        true if has_experiment(&store.root().join(run)) => Ok(store.root().join(run)),
        true => match (run_of_file(run, shared)?, locate(run)) {
            (Some(folder), _) => Ok(folder),
            (None, Ok(_)) => bail!(untrained(run, shared)?),
            (None, Err(_)) => bail!(Usage(unknown(run, shared))),
        },
        false => bail!(several_runs(run, &folders, shared)?),
    }
}

/// The run folders of a name that have an experiment, sorted.
fn runs_below(named: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(named).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| has_experiment(path)).collect();
    folders.sort();
    folders
}

/// The run of the experiment file that a word names; `None` if there is no such file, or no such run. The file may have a `name` that
/// is not its own.
///
/// # Errors
/// For a file that cannot be read.
pub(super) fn run_of_file(word: &str, shared: &Shared) -> Result<Option<PathBuf>> {
    if locate(word).is_err() {
        return Ok(None);
    }
    let experiment = shared.experiment(word)?;
    let folder = shared.store().run_folder(&experiment.name, &experiment.key());
    let found = has_experiment(&folder);
    if found {
        tracing::info!("{word} is {}, by the `name` and the settings in the file", folder.display());
    }
    Ok(found.then_some(folder))
}

/// The name that the runs of a word have: that in the experiment file, if the word is the name of a file and not of runs.
fn name_of_runs(word: &str, shared: &Shared) -> String {
    if shared.store().root().join("runs").join(word).is_dir() || locate(word).is_err() {
        return word.to_owned();
    }
    shared.experiment(word).map_or_else(|_| word.to_owned(), |experiment| experiment.name)
}

/// The error for an experiment file whose experiment has not run, with the runs that its name has.
fn untrained(word: &str, shared: &Shared) -> Result<Usage> {
    let name = shared.experiment(word)?.name;
    let others = runs_below(&shared.store().root().join("runs").join(&name));
    let keys = others.iter().filter_map(|folder| Some(format!("{name}/{}", folder.file_name()?.to_str()?)));
    let (keys, count) = (keys.take(3).collect::<Vec<_>>().join(", "), counted(others.len(), "run"));
    let called = Path::new(word).file_stem().is_none_or(|stem| *stem != *name);
    let called = if called { format!(", which has the name `{name}`") } else { String::new() };
    let others = match others.len() {
        0 => String::new(),
        1..=3 => format!("; with other settings there is {keys}"),
        _ => format!("; with other settings there are {count}, such as {keys}"),
    };
    let set: String = shared.set.iter().map(|set| format!(" --set {set}")).collect();
    Ok(Usage(format!("there is no run of `{word}`{called}{others}; train it with `strata train {word}{set}`")))
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

fn unknown(run: &str, shared: &Shared) -> String {
    let entries = std::fs::read_dir(shared.results.join("runs")).into_iter().flatten().flatten();
    let names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    // `mine/KEY`, where the file mine.toml has another name.
    let named = run.split_once('/').map(|(file, rest)| format!("{}/{rest}", name_of_runs(file, shared)));
    let near = named.filter(|named| named != run && has_experiment(&shared.results.join("runs").join(named)));
    let near = near.or_else(|| nearest(run, &names.iter().map(String::as_str).collect::<Vec<_>>()).map(str::to_owned));
    // `NAME@bst`
    let choice = run.rsplit_once('@').filter(|(name, _)| shared.results.join("runs").join(name).is_dir());
    let chosen = choice.map(|(name, word)| match nearest(word, &["latest", "best"]) {
        Some(near) => format!("did you mean `{name}@{near}`?"),
        None => format!("it is {name}@latest or {name}@best"),
    });
    let hint = chosen.or_else(|| near.map(|near| format!("did you mean `{near}`?"))).unwrap_or_else(|| {
        format!(
            "it is a folder such as {}/runs/NAME/KEY, or the NAME of a run made by `strata train`",
            shared.results.display()
        )
    });
    format!("there is no run `{run}`: {hint}")
}
