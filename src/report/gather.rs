//! Finds everything in a results folder: runs, kept results, sweeps, further tables and pictures.

use crate::analysis::collect::{CollectError, run_row};
use crate::runs::{self, Record, RunError, Store, Table, loose_files, walk};
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

/// Looks through a results folder.
///
/// # Errors
/// When the folder itself cannot be read; what is broken in it becomes a note.
pub fn gather(store: &Store) -> Result<Found, RunError> {
    fs::read_dir(store.root()).map_err(RunError::io("read", store.root()))?;
    let mut found = Found::default();
    for here in walk(store.root()) {
        match here {
            runs::Found::Run(folder) => match run(&folder) {
                Ok(run) if store.is_archived(&folder) => found.kept.push(run),
                Ok(run) => found.runs.push(run),
                Err(error) => found.notes.push(error.to_string()),
            },
            runs::Found::Sweep(folder) if store.is_sweep(&folder) => match Table::read(&folder.join("table.csv")) {
                Ok(table) => {
                    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    found.sweeps.push(Sweep { name, folder, table });
                }
                Err(error) => found.notes.push(error.to_string()),
            },
            // A table of that name elsewhere is one among others.
            runs::Found::Sweep(folder) => found.add_shelf(loose_files(&folder), folder),
            runs::Found::Loose { folder, files } => found.add_shelf(files, folder),
            runs::Found::File(_) => {}
        }
    }
    found.runs.sort_by(|a, b| b.text("started").cmp(a.text("started")).then_with(|| a.folder.cmp(&b.folder)));
    Ok(found)
}

impl Found {
    fn add_shelf(&mut self, files: Vec<PathBuf>, folder: PathBuf) {
        let mut shelf = Shelf { folder, tables: Vec::new(), pictures: Vec::new() };
        for path in files {
            match path.extension().is_some_and(|extension| extension == "csv") {
                false => shelf.pictures.push(path),
                true => match Table::read(&path) {
                    Ok(table) => shelf.tables.push((path, table)),
                    Err(error) => self.notes.push(error.to_string()),
                },
            }
        }
        if !shelf.tables.is_empty() || !shelf.pictures.is_empty() {
            self.shelves.push(shelf);
        }
    }
}

/// Reads a run; one that goes on, or was killed, has no summary yet.
fn run(folder: &Path) -> Result<Run, CollectError> {
    let Table { columns, mut rows } = run_row(folder)?;
    let row = rows.pop().unwrap_or_default();
    Ok(Run { folder: folder.to_owned(), record: columns.into_iter().zip(row).collect() })
}
