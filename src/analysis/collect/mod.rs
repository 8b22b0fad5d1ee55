//! One table from whatever a person points at: run folders, sweeps, folders of them, CSV files from elsewhere.
//!
//! The [`Store`] finds what a path or a name stands for, [`read`] turns each find into rows, and here the rows are joined on
//! equal column names. A run that is reached twice counts once.

mod read;

#[cfg(test)]
mod tests;

use crate::IsInputError;
use crate::runs::table::{MAX_CELLS, MAX_COLUMNS};
use crate::runs::{FindError, Found, NO_RUN, RunError, Store, Table, TableError};
pub use read::run as run_row;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// Why there is no table.
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
    Epochs(#[from] RunError),
}

impl IsInputError for CollectError {}

/// Rows from many places.
#[derive(Clone, Debug, Default)]
pub struct Collection {
    pub table: Table,
    /// For each row of the table, where it came from.
    pub origins: Vec<RowOrigin>,
}

/// Where a row came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowOrigin {
    /// The run's folder, where there is one: its `epochs.csv` may be read.
    pub folder: Option<PathBuf>,
    /// The row has every key of its experiment, as a run's summary does.
    pub complete: bool,
    /// The row is about a run of Strata: `name` and `key` say which.
    pub ours: bool,
}

/// Every run that the paths stand for; without paths, everything below the results folder.
///
/// # Errors
/// For a path that stands for nothing, and for a file that cannot be read, with its line.
pub fn collect(paths: &[String], store: &Store) -> Result<Collection, CollectError> {
    let mut found = if paths.is_empty() { store.everything()? } else { Vec::new() };
    for path in paths {
        found.extend(store.find(path)?);
    }
    if found.is_empty() {
        return Err(FindError::Missing(format!("{}: {NO_RUN}", paths.join(", "))).into());
    }
    // A path and a pattern may lead to one place.
    let mut seen = HashSet::new();
    found.retain(|found| seen.insert(std::fs::canonicalize(found.path()).unwrap_or_else(|_| found.path().to_owned())));
    // Among several tables each row says which one it is from; runs have names.
    let tables = found.iter().filter(|found| !matches!(found, Found::Run(_))).count();
    let tell = tables > 1 && !paths.is_empty();
    let mut joined = Joined::default();
    for found in &found {
        match found {
            Found::Run(folder) => {
                let origin = RowOrigin { folder: Some(folder.clone()), complete: true, ours: true };
                let row = read::run(folder)?;
                joined.add(row.columns, row.rows.into_iter().map(|row| (row, origin.clone())));
            }
            Found::Sweep(folder) => joined.add_table(read::sweep(folder, store, tell)?),
            Found::File(path) => joined.add_table(read::file(path, tell)?),
            Found::Loose { .. } => {}
        }
        joined.check_size()?;
    }
    Ok(joined.finish())
}

/// Rows being joined: `columns` says where each named column stands.
#[derive(Default)]
struct Joined {
    collection: Collection,
    columns: HashMap<String, usize>,
    /// Name, key and seed of a run → its row.
    runs: HashMap<[String; 3], usize>,
}

impl Joined {
    fn add_table(&mut self, collection: Collection) {
        self.add(collection.table.columns, collection.table.rows.into_iter().zip(collection.origins));
    }

    /// Every row gets a cell for every column in the end, so that tables which are small by themselves may be large together.
    fn check_size(&self) -> Result<(), CollectError> {
        let Table { columns, rows } = &self.collection.table;
        let (columns, rows) = (columns.len(), rows.len());
        if columns > MAX_COLUMNS || columns * rows > MAX_CELLS {
            return Err(CollectError::TooLarge { rows, columns });
        }
        Ok(())
    }

    fn add(&mut self, columns: Vec<String>, rows: impl Iterator<Item = (Vec<String>, RowOrigin)>) {
        let places: Vec<usize> = columns
            .into_iter()
            .map(|column| {
                *self.columns.entry(column).or_insert_with_key(|column| {
                    self.collection.table.columns.push(column.clone());
                    self.collection.table.columns.len() - 1
                })
            })
            .collect();
        for (cells, origin) in rows {
            let mut row = vec![String::new(); self.collection.table.columns.len()];
            for (cell, &place) in cells.into_iter().zip(&places) {
                row[place] = cell;
            }
            self.push(row, origin);
        }
    }

    fn push(&mut self, row: Vec<String>, origin: RowOrigin) {
        let Collection { table, origins } = &mut self.collection;
        let cell = |name: &str| self.columns.get(name).and_then(|&place| row.get(place)).cloned().unwrap_or_default();
        let identity = ["name", "key", "seed"].map(cell);
        if origin.ours && !identity[1].is_empty() {
            match self.runs.entry(identity) {
                Entry::Vacant(place) => drop(place.insert(table.rows.len())),
                Entry::Occupied(place) => {
                    let first = *place.get();
                    merge(&mut table.rows[first], &mut origins[first], row, origin);
                    return;
                }
            }
        }
        table.rows.push(row);
        origins.push(origin);
    }

    /// Every row gets a cell for every column.
    fn finish(mut self) -> Collection {
        let width = self.collection.table.columns.len();
        for row in &mut self.collection.table.rows {
            row.resize(width, String::new());
        }
        self.collection
    }
}

/// The row that says more stays; what only the other one says is added.
fn merge(row: &mut Vec<String>, origin: &mut RowOrigin, mut other: Vec<String>, mut other_origin: RowOrigin) {
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
