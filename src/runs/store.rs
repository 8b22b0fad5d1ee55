//! A results folder: the paths of runs and sweeps, their records, their locks.
//!
//! ```text
//! results/runs/<name>/<key>/    a run
//! results/sweeps/<name>/        the tables of a sweep
//! results/<anything>/           archived runs, further tables and pictures
//! ```

use super::columns::Column;
use super::error::RunError;
use super::folder::{RunFolder, locked_by};
use super::record::Record;
use crate::config::{Experiment, Key, Point};
use std::fs;
use std::path::{Path, PathBuf};

/// How deep folders are searched. Links may form a loop.
const DEPTH: usize = 6;

/// A results folder, which need not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
}

/// An entry of a results folder, or what a path refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreEntry {
    /// The folder of a run.
    Run(PathBuf),
    /// The folder of a sweep, with its `table.csv`.
    Sweep(PathBuf),
    /// Any CSV file.
    File(PathBuf),
    /// A folder of CSV and SVG files that belong to no run or sweep.
    Loose { folder: PathBuf, files: Vec<PathBuf> },
}

impl StoreEntry {
    pub fn path(&self) -> &Path {
        match self {
            StoreEntry::Run(path)
            | StoreEntry::Sweep(path)
            | StoreEntry::File(path)
            | StoreEntry::Loose { folder: path, .. } => path,
        }
    }
}

impl Store {
    pub fn new(root: impl Into<PathBuf>) -> Store {
        Store { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the run of an experiment.
    pub fn run_folder(&self, name: &str, key: &Key) -> PathBuf {
        self.root.join("runs").join(name).join(key.short())
    }

    /// The folder of the run that a row of a table names; `None` if its name or key is not a plain file name.
    pub fn run_folder_of(&self, row: &Record) -> Option<PathBuf> {
        let plain = |text: &&str| !text.is_empty() && !text.contains(['/', '\\']) && *text != "..";
        let [name, key] = [Column::Name, Column::Key].map(|column| row.get(column).filter(plain));
        Some(self.root.join("runs").join(name?).join(key?))
    }

    /// Locks the folder of an experiment's run, which is made if it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made or written, or is locked by another process.
    pub fn open(&self, experiment: &Experiment) -> Result<RunFolder, RunError> {
        RunFolder::open(self.run_folder(&experiment.name, &experiment.key()))
    }

    /// The record of a point's run; `None` if it has not ended, or the folder has the result of another experiment.
    pub fn record_of(&self, point: &Point) -> Option<Record> {
        Record::read(&self.folder_of(point)).filter(|record| record.is_of(&point.key))
    }

    /// The folder of a point's run.
    pub fn folder_of(&self, point: &Point) -> PathBuf {
        self.run_folder(&point.experiment.name, &point.key)
    }

    /// The process that has locked a point's run, if any.
    pub fn locked_by(&self, point: &Point) -> Option<String> {
        locked_by(&self.folder_of(point))
    }

    /// The folders of all runs but archived ones.
    pub fn runs(&self) -> Vec<PathBuf> {
        folders(&self.root.join("runs")).iter().flat_map(|name| folders(name)).collect()
    }

    /// Whether a run is archived, that is, outside the folder in which `train` looks for it.
    pub fn is_archived(&self, run: &Path) -> bool {
        !run.starts_with(self.root.join("runs"))
    }

    /// Whether this is the folder of a sweep rather than another folder with a `table.csv`.
    pub fn is_sweep(&self, folder: &Path) -> bool {
        folder.parent() == Some(&self.root.join("sweeps"))
    }

    /// The folder of all sweeps.
    pub(super) fn sweeps(&self) -> PathBuf {
        self.root.join("sweeps")
    }
}

/// Finds runs, sweeps and loose files below a folder, sorted by name. What cannot be read is skipped.
pub fn walk(folder: &Path) -> Vec<StoreEntry> {
    let mut found = Vec::new();
    enter(folder, DEPTH, &mut found);
    found
}

fn enter(folder: &Path, depth: usize, found: &mut Vec<StoreEntry>) {
    let has = |file: &str| folder.join(file).is_file();
    // A sweep's folder has a summary.csv, too.
    if has("table.csv") {
        return found.push(StoreEntry::Sweep(folder.to_owned()));
    }
    if has("summary.csv") || has("experiment.toml") {
        return found.push(StoreEntry::Run(folder.to_owned()));
    }
    let below = if depth > 0 { folders(folder) } else { Vec::new() };
    below.iter().for_each(|below| enter(below, depth - 1, found));
    let files = loose_files(folder);
    if !files.is_empty() {
        found.push(StoreEntry::Loose { folder: folder.to_owned(), files });
    }
}

/// The folders in a folder, sorted by name, without hidden ones.
pub fn folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_dir()).collect()
}

/// The CSV and SVG files in a folder, sorted by name, without links.
pub fn loose_files(folder: &Path) -> Vec<PathBuf> {
    let shown = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "csv" || extension == "svg");
    entries(folder).into_iter().filter(|path| shown(path) && path.is_file() && !path.is_symlink()).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let shown = entries.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    let mut paths: Vec<PathBuf> = shown.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_walked_once_and_by_one_rule() {
        let root = tempfile::tempdir().unwrap();
        let file = |path: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        for path in [
            "runs/a/1111111111/summary.csv",
            "runs/a/2222222222/experiment.toml",
            "runs/a/3333333333/.lock",
            "runs/.hidden/4444444444/summary.csv",
            "sweeps/s/table.csv",
            "sweeps/s/summary.csv",
            "bench/table.csv",
            "kept/experiment.toml",
            "tables/b.svg",
            "tables/a.csv",
            "tables/note.txt",
        ] {
            file(path);
        }
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("tables/link.csv")).unwrap();
        let store = Store::new(root.path());
        let path = |name: &str| root.path().join(name);
        let files = vec![path("tables/a.csv"), path("tables/b.svg")];
        assert_eq!(
            walk(store.root()),
            [
                StoreEntry::Sweep(path("bench")),
                StoreEntry::Run(path("kept")),
                StoreEntry::Run(path("runs/a/1111111111")),
                StoreEntry::Run(path("runs/a/2222222222")),
                StoreEntry::Sweep(path("sweeps/s")),
                StoreEntry::Loose { folder: path("tables"), files },
            ]
        );
        assert!(store.is_sweep(&path("sweeps/s")) && !store.is_sweep(&path("bench")));
        assert!(store.is_archived(&path("kept")) && !store.is_archived(&path("runs/a/1111111111")));
        assert_eq!(store.runs().len(), 3);
    }
}
