//! Reads everything in a results folder: runs, archived results, sweeps, other tables and pictures.

use crate::runs::{Column, Record, Records, RunError, Store, StoreEntry, Table, loose_files, walk};
use std::fs;
use std::ops::Deref;
use std::path::PathBuf;

/// The contents of a results folder.
#[derive(Debug, Default)]
pub struct Contents {
    /// Runs below `runs/`, the newest first.
    pub runs: Vec<StoredRun>,
    /// Runs elsewhere.
    pub archived: Vec<StoredRun>,
    pub sweeps: Vec<StoredSweep>,
    pub files: Vec<LooseFiles>,
    /// What could not be read.
    pub notes: Vec<String>,
}

/// A run's folder and its record. Dereferences to the record.
#[derive(Debug)]
pub struct StoredRun {
    pub folder: PathBuf,
    record: Record,
}

impl Deref for StoredRun {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

/// A sweep's folder and its points.
#[derive(Debug)]
pub struct StoredSweep {
    pub name: String,
    pub folder: PathBuf,
    pub points: Records,
}

/// A folder of tables and pictures that belong to no run.
#[derive(Debug)]
pub struct LooseFiles {
    pub folder: PathBuf,
    pub tables: Vec<(PathBuf, Table)>,
    pub pictures: Vec<PathBuf>,
}

/// Reads a results folder. What is broken in it becomes a note.
///
/// # Errors
/// When the folder itself cannot be read.
pub fn gather(store: &Store) -> Result<Contents, RunError> {
    fs::read_dir(store.root()).map_err(RunError::io("read", store.root()))?;
    let mut contents = Contents::default();
    for found in walk(store.root()) {
        match found {
            StoreEntry::Run(folder) => match Record::load(&folder) {
                Ok(record) => match store.is_archived(&folder) {
                    true => contents.archived.push(StoredRun { folder, record }),
                    false => contents.runs.push(StoredRun { folder, record }),
                },
                Err(error) => contents.notes.push(error.to_string()),
            },
            StoreEntry::Sweep(folder) if store.is_sweep(&folder) => {
                match Records::from_csv(&folder.join("table.csv"), false) {
                    Ok(points) => {
                        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                        contents.sweeps.push(StoredSweep { name, folder, points });
                    }
                    Err(error) => contents.notes.push(error.to_string()),
                }
            }
            // Elsewhere `table.csv` is a name like any other.
            StoreEntry::Sweep(folder) => contents.add_files(loose_files(&folder), folder),
            StoreEntry::Loose { folder, files } => contents.add_files(files, folder),
            StoreEntry::File(_) => {}
        }
    }
    contents
        .runs
        .sort_by(|a, b| b.text(Column::Started).cmp(a.text(Column::Started)).then_with(|| a.folder.cmp(&b.folder)));
    Ok(contents)
}

impl Contents {
    fn add_files(&mut self, paths: Vec<PathBuf>, folder: PathBuf) {
        let mut files = LooseFiles { folder, tables: Vec::new(), pictures: Vec::new() };
        for path in paths {
            match path.extension().is_some_and(|extension| extension == "csv") {
                false => files.pictures.push(path),
                true => match Table::read(&path) {
                    Ok(table) => files.tables.push((path, table)),
                    Err(error) => self.notes.push(error.to_string()),
                },
            }
        }
        if !files.tables.is_empty() || !files.pictures.is_empty() {
            self.files.push(files);
        }
    }
}
