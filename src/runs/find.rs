//! Finds runs, sweeps and tables by path, pattern or name.

use super::choice::Choice;
use super::error::TableError;
use super::store::{Store, StoreEntry, folders, walk};
use super::table::Table;
use crate::config::nearest;
use crate::input_error::IsInputError;
use std::path::{Path, PathBuf};

/// Why nothing was found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error("{0}")]
    Missing(String),
    #[error(transparent)]
    Table(#[from] TableError),
}

/// Said of a folder without runs and sweeps.
pub const NO_RUN: &str = "there is no run or sweep below (a run has summary.csv or experiment.toml, a sweep table.csv)";

impl IsInputError for FindError {}

impl Store {
    /// All runs and sweeps.
    ///
    /// # Errors
    /// When there are none.
    pub fn everything(&self) -> Result<Vec<StoreEntry>, FindError> {
        let found = rows_below(self.root());
        if found.is_empty() {
            let hint = "`strata train FILE` makes a run, --results DIR looks elsewhere";
            return Err(FindError::Missing(format!("there is no run below {}: {hint}", self.root().display())));
        }
        Ok(found)
    }

    /// Finds what a word of the command line refers to: a file, a folder, a pattern, the name of a run or sweep in the results
    /// folder, or one run of a name as `NAME@latest` or `NAME@best`.
    ///
    /// # Errors
    /// When there is none; the message has the nearest name.
    pub fn find(&self, word: &str) -> Result<Vec<StoreEntry>, FindError> {
        let path = Path::new(word);
        if path.is_file() {
            return Ok(vec![file(path)?]);
        }
        if path.is_dir() {
            return Ok(below(path));
        }
        if word.contains(['*', '?', '[']) {
            return pattern(word);
        }
        // A sweep is preferred to runs of its name, which may be its points.
        let root = self.root();
        let candidates = [self.sweeps().join(word), root.join("runs").join(word), root.join(word)];
        match candidates.iter().find(|folder| !word.is_empty() && folder.is_dir()) {
            Some(folder) => Ok(below(folder)),
            None => match Choice::split(word) {
                Some((name, choice)) => Ok(vec![StoreEntry::Run(self.chosen(name, choice)?)]),
                None => Err(FindError::Missing(self.unknown(word))),
            },
        }
    }

    /// The folders of all runs that a word of the command line refers to; for a sweep, those of its points.
    ///
    /// # Errors
    /// When the word refers to nothing, or a sweep's table cannot be read.
    pub fn run_folders(&self, word: &str) -> Result<Vec<PathBuf>, FindError> {
        let mut folders = Vec::new();
        for found in self.find(word)? {
            match found {
                StoreEntry::Run(folder) => folders.push(folder),
                StoreEntry::Sweep(folder) => {
                    folders.extend(self.sweep_runs(&folder)?);
                }
                StoreEntry::File(_) | StoreEntry::Loose { .. } => {}
            }
        }
        Ok(folders)
    }

    /// The run folders of the points of a sweep; a point that has not run has none.
    ///
    /// # Errors
    /// When the sweep's table cannot be read.
    pub fn sweep_runs(&self, sweep: &Path) -> Result<Vec<PathBuf>, TableError> {
        let table = Table::read(&sweep.join("table.csv"))?;
        let points = (0..table.rows.len()).filter_map(|row| self.run_folder_of(&table.record(row)));
        Ok(points.filter(|point| point.is_dir()).collect())
    }

    fn chosen(&self, name: &str, choice: Choice) -> Result<PathBuf, FindError> {
        let folders = self.run_folders(name)?;
        let chosen = choice.of(&folders).map(Path::to_owned);
        chosen.ok_or_else(|| FindError::Missing(format!("no run of `{name}` has a result yet")))
    }

    fn unknown(&self, word: &str) -> String {
        if word.contains('@') {
            return format!("there is nothing called `{word}`: one run of a name is NAME@latest or NAME@best");
        }
        // Experiments of the repository that have not run.
        for (folder, command) in [("", "train"), ("sweeps/", "sweep")] {
            let file = Path::new("experiments").join(format!("{folder}{word}.toml"));
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            // A file written by `strata show` has the name of the experiment that it came from.
            let name = text.parse::<toml::Table>().ok().and_then(|table| Some(table.get("name")?.as_str()?.to_owned()));
            return match name.filter(|name| command == "train" && name != word) {
                Some(name) => {
                    let has_run = self.root().join("runs").join(&name).is_dir();
                    let remedy = match has_run {
                        true => format!("its results are those of `{name}`"),
                        false => format!("it has not run yet: `strata train {word}` runs it"),
                    };
                    format!("there is no run called `{word}`: {} has `name = \"{name}\"`, {remedy}", file.display())
                }
                None => format!("`{word}` has not run yet: `strata {command} {folder}{word}` runs it"),
            };
        }
        let root = self.root();
        let known: Vec<_> =
            [root.join("runs"), self.sweeps(), root.to_owned()].iter().flat_map(|path| folders(path)).collect();
        let names = known.iter().filter_map(|path| path.file_name()?.to_str());
        let names: Vec<&str> = names.filter(|name| !["runs", "sweeps", "tables"].contains(name)).collect();
        let hint = match nearest(word, &names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "a path is a run folder, a folder of runs, a sweep folder, a CSV file, or a name below {}",
                root.display()
            ),
        };
        format!("there is nothing called `{word}`: {hint}")
    }
}

/// The runs and sweeps below a folder.
fn rows_below(folder: &Path) -> Vec<StoreEntry> {
    walk(folder).into_iter().filter(|found| !matches!(found, StoreEntry::Loose { .. })).collect()
}

/// The runs and sweeps below a folder, with a warning if there are none: a shell expands `results/*` to `results/tables`, too.
fn below(path: &Path) -> Vec<StoreEntry> {
    let found = rows_below(path);
    if found.is_empty() {
        tracing::warn!("{} is skipped: {NO_RUN}", path.display());
    }
    found
}

fn file(path: &Path) -> Result<StoreEntry, FindError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default();
    if name == "summary.csv" && folder.join("experiment.toml").is_file() {
        return Ok(StoreEntry::Run(folder.to_owned()));
    }
    if name == "table.csv" && folder.parent().is_some_and(|parent| parent.ends_with("sweeps")) {
        return Ok(StoreEntry::Sweep(folder.to_owned()));
    }
    if path.extension().is_some_and(|extension| extension == "toml" || extension == "json") {
        let hint = "compare takes run folders, sweep folders, names of them, and CSV files";
        return Err(FindError::Missing(format!("{} is not a table: {hint}", path.display())));
    }
    Ok(StoreEntry::File(path.to_owned()))
}

fn pattern(pattern: &str) -> Result<Vec<StoreEntry>, FindError> {
    let paths = glob::glob(pattern)
        .map_err(|error| FindError::Missing(format!("`{pattern}` is not a pattern: {}", error.msg)))?;
    let mut found = Vec::new();
    for path in paths {
        let path = path.map_err(|error| TableError::Io { path: error.path().to_owned(), reason: error.into() })?;
        if path.is_dir() {
            found.extend(rows_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "csv") {
            found.push(file(&path)?);
        }
    }
    match found.is_empty() {
        true => Err(FindError::Missing(format!("no run, sweep or CSV file matches `{pattern}`"))),
        false => Ok(found),
    }
}
