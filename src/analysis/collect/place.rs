//! What a path or a name stands for.

use super::CollectError;
use crate::config::nearest;
use crate::runs::TableError;
use std::fs;
use std::path::{Path, PathBuf};

/// Something with rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The folder of a run.
    Run(PathBuf),
    /// The folder of a sweep, with its `table.csv`.
    Sweep(PathBuf),
    /// Any CSV file.
    File(PathBuf),
}

impl Found {
    pub fn path(&self) -> &Path {
        match self {
            Found::Run(path) | Found::Sweep(path) | Found::File(path) => path,
        }
    }
}

/// Why a folder gives no row.
pub const NO_RUN: &str =
    "there is no run and no sweep below (a run has summary.csv or experiment.toml, a sweep table.csv)";

/// Folders in folders; deeper than any results folder, and an end to links that lead back.
const DEPTH: usize = 6;

/// All runs and sweeps below the results folder.
///
/// # Errors
/// When there is none.
pub fn everything(results: &Path, found: &mut Vec<Found>) -> Result<(), CollectError> {
    walk(results, DEPTH, found);
    if found.is_empty() {
        let hint = "`strata train FILE` makes a run, --results DIR looks elsewhere";
        return Err(CollectError::Missing(format!("there is no run below {}: {hint}", results.display())));
    }
    Ok(())
}

/// What one word of the command line stands for: a file, a folder, a pattern, or a name below the results folder.
///
/// # Errors
/// When it stands for nothing; the nearest name is told.
pub fn find(path: &str, results: &Path, found: &mut Vec<Found>) -> Result<(), CollectError> {
    let given = Path::new(path);
    if given.is_file() {
        found.push(file(given)?);
        return Ok(());
    }
    if given.is_dir() {
        return below(given, found);
    }
    if path.contains(['*', '?', '[']) {
        return pattern(path, found);
    }
    // A sweep comes first: its points may be called like it, among other runs of that name.
    let places = [results.join("sweeps").join(path), results.join("runs").join(path), results.join(path)];
    match places.iter().find(|place| !path.is_empty() && place.is_dir()) {
        Some(place) => below(place, found),
        None => Err(CollectError::Missing(unknown(path, results))),
    }
}

/// Runs and sweeps below a folder. A shell that expands `results/*` names folders without any, such as `results/tables`.
fn below(path: &Path, found: &mut Vec<Found>) -> Result<(), CollectError> {
    let before = found.len();
    walk(path, DEPTH, found);
    if found.len() == before {
        tracing::warn!("{} is passed over: {NO_RUN}", path.display());
    }
    Ok(())
}

fn file(path: &Path) -> Result<Found, CollectError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default();
    if name == "summary.csv" && folder.join("experiment.toml").is_file() {
        return Ok(Found::Run(folder.to_owned()));
    }
    if name == "table.csv" && folder.parent().is_some_and(|parent| parent.ends_with("sweeps")) {
        return Ok(Found::Sweep(folder.to_owned()));
    }
    if path.extension().is_some_and(|extension| extension == "toml" || extension == "json") {
        let hint = "compare takes run folders, sweep folders, names of them, and CSV files";
        return Err(CollectError::Missing(format!("{} is no table: {hint}", path.display())));
    }
    Ok(Found::File(path.to_owned()))
}

fn pattern(pattern: &str, found: &mut Vec<Found>) -> Result<(), CollectError> {
    let paths = glob::glob(pattern)
        .map_err(|error| CollectError::Missing(format!("`{pattern}` is not a pattern: {}", error.msg)))?;
    let before = found.len();
    for path in paths {
        let path = path.map_err(|error| TableError::Io { path: error.path().to_owned(), reason: error.into() })?;
        if path.is_dir() {
            walk(&path, DEPTH, found);
        } else if path.extension().is_some_and(|extension| extension == "csv") {
            found.push(file(&path)?);
        }
    }
    if found.len() > before {
        return Ok(());
    }
    Err(CollectError::Missing(format!("no run, sweep or CSV file matches `{pattern}`")))
}

/// Runs and sweeps in a folder, by name. What cannot be entered is passed over.
fn walk(folder: &Path, depth: usize, found: &mut Vec<Found>) {
    // A sweep's folder has a summary.csv too: that of its groups.
    if folder.join("table.csv").is_file() {
        return found.push(Found::Sweep(folder.to_owned()));
    }
    if folder.join("summary.csv").is_file() || folder.join("experiment.toml").is_file() {
        return found.push(Found::Run(folder.to_owned()));
    }
    if depth == 0 {
        return;
    }
    let mut below: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    below.sort();
    for path in below {
        walk(&path, depth - 1, found);
    }
}

fn unknown(path: &str, results: &Path) -> String {
    let mut names = Vec::new();
    for folder in [results.join("runs"), results.join("sweeps"), results.to_owned()] {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir());
        names.extend(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    }
    names.retain(|name| !["runs", "sweeps", "tables"].contains(&name.as_str()));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hint = match nearest(path, &names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "a path is a run folder, a folder of runs, a sweep folder, a CSV file, or a name below {}",
            results.display()
        ),
    };
    format!("there is nothing called `{path}`: {hint}")
}
