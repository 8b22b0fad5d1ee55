//! Finds everything in a results folder: runs, kept results, sweeps, further tables and pictures.

use crate::results::curves::{read_epochs, read_table};
use crate::results::run_folder::RunError;
use crate::results::summary::{flatten, read_summary};
use crate::results::table::Table;
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// What a results folder holds.
#[derive(Debug, Default)]
pub struct Found {
    /// Below `runs/`.
    pub runs: Vec<Run>,
    /// Elsewhere: what a person put aside to keep.
    pub kept: Vec<Run>,
    pub sweeps: Vec<Sweep>,
    pub shelves: Vec<Shelf>,
    /// What could not be read.
    pub notes: Vec<String>,
}

/// A run and the columns of its `summary.csv`, or as much of them as a run that has not ended can tell.
#[derive(Debug)]
pub struct Run {
    pub folder: PathBuf,
    pub columns: BTreeMap<String, String>,
}

/// A sweep's folder.
#[derive(Debug)]
pub struct Sweep {
    pub name: String,
    pub folder: PathBuf,
    pub table: Table,
}

/// A folder with tables and pictures that belong to no run.
#[derive(Debug)]
pub struct Shelf {
    pub folder: PathBuf,
    pub tables: Vec<(PathBuf, Table)>,
    pub pictures: Vec<PathBuf>,
}

/// Folders are entered no deeper than this.
const DEEPEST: usize = 6;

impl Run {
    /// A column's text; empty where it is missing.
    pub fn text(&self, column: &str) -> &str {
        self.columns.get(column).map_or("", String::as_str)
    }

    pub fn number(&self, column: &str) -> Option<f64> {
        self.text(column).parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// Keys of the experiment and their values, without name and seed.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.columns.iter().filter(|(key, _)| key.contains('.')).map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// Looks through a results folder.
///
/// # Errors
/// When the folder itself cannot be read; what is broken in it becomes a note.
pub fn gather(results: &Path) -> Result<Found, RunError> {
    fs::read_dir(results).map_err(RunError::io("read", results))?;
    let mut found = Found::default();
    enter(results, results, 0, &mut found);
    found.runs.sort_by(|a, b| b.text("started").cmp(a.text("started")).then_with(|| a.folder.cmp(&b.folder)));
    Ok(found)
}

fn enter(results: &Path, folder: &Path, depth: usize, found: &mut Found) {
    let experiment = folder.join("experiment.toml");
    let in_sweeps = folder.parent() == Some(&results.join("sweeps"));
    if experiment.is_file() || folder.join("summary.csv").is_file() && !in_sweeps {
        let kept = !folder.starts_with(results.join("runs"));
        match run(folder) {
            Ok(run) if kept => found.kept.push(run),
            Ok(run) => found.runs.push(run),
            Err(problem) => found.notes.push(problem),
        }
        return;
    }
    if in_sweeps && folder.join("table.csv").is_file() {
        match read_table(&folder.join("table.csv")) {
            Ok(table) => {
                let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                found.sweeps.push(Sweep { name, folder: folder.to_owned(), table });
            }
            Err(error) => found.notes.push(error.to_string()),
        }
        return;
    }
    let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut shelf = Shelf { folder: folder.to_owned(), tables: Vec::new(), pictures: Vec::new() };
    for entry in entries {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !hidden && depth < DEEPEST => enter(results, &path, depth + 1, found),
            Ok(kind) if kind.is_file() && !hidden => match path.extension().and_then(|extension| extension.to_str()) {
                Some("csv") => match read_table(&path) {
                    Ok(table) => shelf.tables.push((path, table)),
                    Err(error) => found.notes.push(error.to_string()),
                },
                Some("svg") => shelf.pictures.push(path),
                _ => {}
            },
            _ => {}
        }
    }
    if !shelf.tables.is_empty() || !shelf.pictures.is_empty() {
        found.shelves.push(shelf);
    }
}

/// Reads a run; one that goes on, or was killed, has no summary yet.
fn run(folder: &Path) -> Result<Run, String> {
    let mut columns = match read_summary(folder) {
        Some(columns) => columns,
        None => unfinished(folder)?,
    };
    let ended = columns.get("status").is_some_and(|status| status == "done" || status == "diverged");
    if !ended && held(folder) {
        columns.insert("status".to_owned(), "running".to_owned());
    }
    Ok(Run { folder: folder.to_owned(), columns })
}

/// What experiment and epochs tell of a run without summary.
fn unfinished(folder: &Path) -> Result<BTreeMap<String, String>, String> {
    let path = folder.join("experiment.toml");
    let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let table: toml::Table = text.parse().map_err(|error| format!("{}: {error}", path.display()))?;
    let mut columns = Vec::new();
    flatten("", &toml::Value::Table(table), &mut columns);
    let mut columns: BTreeMap<String, String> = columns.into_iter().collect();
    columns.insert("key".to_owned(), folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
    columns.insert("status".to_owned(), "interrupted".to_owned());
    // Before the first epoch has ended there is no such file.
    let rows = read_epochs(folder).unwrap_or_default();
    columns.insert("epochs".to_owned(), rows.len().to_string());
    if let Some(best) = rows.iter().max_by(|a, b| a.val_top1.total_cmp(&b.val_top1)) {
        columns.insert("best_epoch".to_owned(), best.epoch.to_string());
        columns.insert("val_top1".to_owned(), best.val_top1.to_string());
    }
    Ok(columns)
}

/// Whether a process works on the run.
fn held(folder: &Path) -> bool {
    File::open(folder.join(".lock")).is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
