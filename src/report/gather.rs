//! Finds everything in a results folder: runs, kept results, sweeps, further tables and pictures.

use crate::analysis::collect::{CollectError, run_row};
use crate::runs::{Record, RunError, Table};
use std::fs;
use std::ops::Deref;
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

/// A run's folder and its record, or as much of that as a run without an end can tell.
#[derive(Debug)]
pub struct Run {
    pub folder: PathBuf,
    pub record: Record,
}

impl Deref for Run {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
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
            Err(error) => found.notes.push(error.to_string()),
        }
        return;
    }
    if in_sweeps && folder.join("table.csv").is_file() {
        match Table::read(&folder.join("table.csv")) {
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
                Some("csv") => match Table::read(&path) {
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
fn run(folder: &Path) -> Result<Run, CollectError> {
    let Table { columns, mut rows } = run_row(folder)?;
    let row = rows.pop().unwrap_or_default();
    Ok(Run { folder: folder.to_owned(), record: columns.into_iter().zip(row).collect() })
}
