//! Joins run folders, sweeps and CSV files into one table, on equal column names. A run that is reached twice counts once.

#[cfg(test)]
mod tests;

use crate::input_error::IsInputError;
use crate::runs::read::unfinished_status;
use crate::runs::table::{MAX_CELLS, MAX_COLUMNS};
use crate::runs::{Column, FindError, NO_RUN, Origin, Record, Records, RunError, Store, StoreEntry, Table, TableError};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Why runs cannot be joined.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(
        "together these are {rows} rows of {columns} columns; one table has at most {MAX_COLUMNS} columns and {MAX_CELLS} cells: compare fewer at once"
    )]
    TooLarge { rows: usize, columns: usize },
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Run(#[from] RunError),
}

impl IsInputError for CollectError {}

/// Collects all runs that the paths stand for; without paths, all below the results folder.
///
/// # Errors
/// When a path stands for nothing, or a file cannot be read; the message names the line.
pub fn collect(paths: &[String], store: &Store) -> Result<Records, CollectError> {
    let mut found = if paths.is_empty() { store.everything()? } else { Vec::new() };
    for path in paths {
        found.extend(store.find(path)?);
    }
    if found.is_empty() {
        return Err(FindError::Missing(format!("{}: {NO_RUN}", paths.join(", "))).into());
    }
    // A path and a pattern may lead to the same folder.
    let mut seen = HashSet::new();
    found.retain(|found| seen.insert(std::fs::canonicalize(found.path()).unwrap_or_else(|_| found.path().to_owned())));
    leave_out_other_tables(&mut found, paths)?;
    // Among several tables a column says which one each row is from; runs have names.
    let tables = found.iter().filter(|found| !matches!(found, StoreEntry::Run(_))).count();
    let with_source = tables > 1 && !paths.is_empty();
    let mut joined = Joined::default();
    for found in &found {
        match found {
            StoreEntry::Run(folder) => {
                let origin = Origin { folder: Some(folder.clone()), complete: true, ours: true };
                joined.add_record(&Record::load(folder)?, origin);
            }
            StoreEntry::Sweep(folder) => joined.add_sweep(folder, store, with_source)?,
            StoreEntry::File(path) => {
                let (table, origins) = Records::from_csv(path, with_source)?.into_parts();
                joined.add(table.columns, table.rows.into_iter().zip(origins));
            }
            StoreEntry::Loose { .. } => {}
        }
        joined.check_size()?;
    }
    Ok(joined.finish())
}

/// Drops tables below a folder that are not of runs, such as a benchmark's: their columns would be those of every run, and empty.
/// A table that a path names stays.
fn leave_out_other_tables(found: &mut Vec<StoreEntry>, paths: &[String]) -> Result<(), CollectError> {
    let mut kept = Vec::new();
    for table in found.drain(..) {
        let is_named = paths.iter().any(|path| Path::new(path) == table.path());
        if let (StoreEntry::Sweep(folder), false) = (&table, is_named) {
            let path = folder.join("table.csv");
            if !Table::read(&path)?.is_of_runs() {
                tracing::debug!("{} is left out: it is not a table of runs (name the file to see it)", path.display());
                continue;
            }
        }
        kept.push(table);
    }
    *found = kept;
    Ok(())
}

/// A table that grows by rows with columns of their own.
#[derive(Default)]
struct Joined {
    table: Table,
    origins: Vec<Origin>,
    /// The index of each column.
    columns: HashMap<String, usize>,
    /// The row of each run, by name, key and seed.
    runs: HashMap<[String; 3], usize>,
}

impl Joined {
    fn add_record(&mut self, record: &Record, origin: Origin) {
        let (columns, row) = record.iter().map(|(column, cell)| (column.to_owned(), cell.to_owned())).unzip();
        self.add(columns, [(row, origin)].into_iter());
    }

    /// Adds the points of a sweep, each with what its run folder knows.
    fn add_sweep(&mut self, folder: &Path, store: &Store, with_source: bool) -> Result<(), CollectError> {
        let path = folder.join("table.csv");
        let mut table = Table::read(&path)?;
        if with_source {
            table.add_source(&path);
        }
        self.add(table.columns.clone(), [].into_iter());
        // The runs are in the results folder that the sweep is in.
        let sweeps = folder.parent().filter(|parent| parent.ends_with("sweeps"));
        let store = Store::new(sweeps.and_then(Path::parent).unwrap_or(store.root()));
        for row in 0..table.rows.len() {
            let mut point = table.record(row);
            let run = store.run_folder_of(&point).filter(|run| run.is_dir());
            if let Some(run) = &run {
                catch_up(&mut point, run)?;
            }
            self.add_record(&point, Origin { folder: run, complete: false, ours: true });
        }
        Ok(())
    }

    /// Every row gets a cell for every column, so that tables which are small each may be large together.
    fn check_size(&self) -> Result<(), CollectError> {
        let (columns, rows) = (self.table.columns.len(), self.table.rows.len());
        if columns > MAX_COLUMNS || columns * rows > MAX_CELLS {
            return Err(CollectError::TooLarge { rows, columns });
        }
        Ok(())
    }

    fn add(&mut self, columns: Vec<String>, rows: impl Iterator<Item = (Vec<String>, Origin)>) {
        let index = |column: String| {
            *self.columns.entry(column).or_insert_with_key(|column| {
                self.table.columns.push(column.clone());
                self.table.columns.len() - 1
            })
        };
        let indices: Vec<usize> = columns.into_iter().map(index).collect();
        for (cells, origin) in rows {
            let mut row = vec![String::new(); self.table.columns.len()];
            for (cell, &index) in cells.into_iter().zip(&indices) {
                row[index] = cell;
            }
            self.push(row, origin);
        }
    }

    fn push(&mut self, row: Vec<String>, origin: Origin) {
        let cell = |column: Column| {
            self.columns.get(column.name()).and_then(|&index| row.get(index)).cloned().unwrap_or_default()
        };
        let identity = [Column::Name, Column::Key, Column::Seed].map(cell);
        if origin.ours && !identity[1].is_empty() {
            match self.runs.entry(identity) {
                Entry::Vacant(entry) => drop(entry.insert(self.table.rows.len())),
                Entry::Occupied(entry) => {
                    let first = *entry.get();
                    merge(&mut self.table.rows[first], &mut self.origins[first], row, origin);
                    return;
                }
            }
        }
        self.table.rows.push(row);
        self.origins.push(origin);
    }

    fn finish(mut self) -> Records {
        let width = self.table.columns.len();
        self.table.rows.iter_mut().for_each(|row| row.resize(width, String::new()));
        Records::new(self.table, self.origins)
    }
}

/// Completes a sweep's point by its run. The table lags behind: a sweep writes it when a point ends, and not when it is killed.
/// What the table says of a run without an end, such as that it failed, stays.
fn catch_up(point: &mut Record, run: &Path) -> Result<(), RunError> {
    let known = ["summary.csv", "experiment.toml"].iter().any(|file| run.join(file).is_file());
    if point.get(Column::Status).is_some() && !point.is_final() && known {
        let record = Record::load(run)?;
        // The result of another experiment may have been copied there.
        if record.same_experiment(point) {
            point.update(&record, record.is_final());
        }
    }
    if point.get(Column::Status) == Some("") {
        point.set(Column::Status, unfinished_status(run).name());
    }
    point.load_expected(run)
}

/// Keeps the more complete of two rows of a run, and fills its empty cells from the other.
fn merge(row: &mut Vec<String>, origin: &mut Origin, mut other: Vec<String>, mut other_origin: Origin) {
    if other_origin.complete && !origin.complete {
        std::mem::swap(row, &mut other);
        std::mem::swap(origin, &mut other_origin);
    }
    row.resize(row.len().max(other.len()), String::new());
    for (cell, other) in row.iter_mut().zip(other) {
        if cell.is_empty() {
            *cell = other;
        }
    }
    if origin.folder.is_none() {
        origin.folder = other_origin.folder;
    }
}
