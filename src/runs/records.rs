//! Many runs: rows with the role of each column and the status of each row.

use super::columns::{Column, ColumnRole};
use super::error::TableError;
use super::roles::role_of;
use super::status::Status;
use super::table::Table;
use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// Where a row came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// The folder of the run, where there is one: its `epochs.csv` may be read.
    pub folder: Option<PathBuf>,
    /// The row has every key of its experiment, as a run's summary does.
    pub complete: bool,
    /// The row is about a run of Strata, which `name` and `key` identify.
    pub ours: bool,
}

/// Rows of runs, of sweeps and of tables from other programs, which share their columns. Dereferences to the [`Table`].
#[derive(Clone, Debug, Default)]
pub struct Records {
    table: Table,
    /// One for each row.
    origins: Vec<Origin>,
    /// One for each column.
    roles: Vec<ColumnRole>,
    status: Option<usize>,
}

impl Deref for Records {
    type Target = Table;

    fn deref(&self) -> &Table {
        &self.table
    }
}

impl From<Table> for Records {
    fn from(table: Table) -> Records {
        let ours = table.is_of_runs();
        let origins = vec![Origin { ours, ..Origin::default() }; table.rows.len()];
        Records::new(table, origins)
    }
}

impl Records {
    /// `origins` has an entry for each row.
    pub fn new(table: Table, origins: Vec<Origin>) -> Records {
        let mut records = Records { status: table.column(Column::Status.name()), table, origins, roles: Vec::new() };
        records.roles = (0..records.columns.len()).map(|column| records.judge(column)).collect();
        records
    }

    /// Reads any CSV file. With `with_source` a column `source` names the file, unless the table has such a column.
    pub fn from_csv(path: &Path, with_source: bool) -> Result<Records, TableError> {
        let mut table = Table::read(path)?;
        if with_source {
            table.add_source(path);
        }
        Ok(Records::from(table))
    }

    pub fn into_parts(self) -> (Table, Vec<Origin>) {
        (self.table, self.origins)
    }

    pub fn origin(&self, row: usize) -> &Origin {
        &self.origins[row]
    }

    pub fn role(&self, column: usize) -> ColumnRole {
        self.roles[column]
    }

    fn judge(&self, column: usize) -> ColumnRole {
        role_of(&self.columns[column], self.rows.iter().map(|row| row[column].as_str()))
    }

    pub fn cell(&self, row: usize, column: usize) -> &str {
        &self.rows[row][column]
    }

    /// The cell in a column; empty where there is no such column.
    pub fn text(&self, row: usize, column: Column) -> &str {
        self.column(column.name()).map_or("", |column| self.cell(row, column))
    }

    /// `None` for a row without a status, and for a status of another program.
    pub fn status(&self, row: usize) -> Option<Status> {
        Status::parse(self.cell(row, self.status?))
    }

    /// Whether comparisons average over the row: it is done, or nothing is said of its status.
    pub fn counts(&self, row: usize) -> bool {
        self.status.is_none_or(|column| self.cell(row, column).is_empty()) || self.is_done(row)
    }

    /// Whether the run is done. In a table without statuses every run is.
    pub fn is_done(&self, row: usize) -> bool {
        self.status.is_none() || self.status(row) == Some(Status::Done)
    }

    /// Rows that agree in these columns, in the order of the first row of each group.
    pub fn groups(&self, columns: &[usize]) -> Vec<Vec<usize>> {
        let key = |&row: &usize| columns.iter().map(|&column| self.cell(row, column)).collect::<Vec<_>>();
        group_by(0..self.rows.len(), key).into_iter().map(|(_, rows)| rows).collect()
    }

    /// Appends a column; `cells` has an entry for each row.
    pub fn add_column(&mut self, name: String, cells: Vec<String>) {
        self.table.columns.push(name);
        for (row, cell) in self.table.rows.iter_mut().zip(cells) {
            row.push(cell);
        }
        self.roles.push(self.judge(self.roles.len()));
    }
}

/// Groups items by a key, in the order of the first item of each group.
pub fn group_by<T, K: Hash + Eq + Clone>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> K,
) -> Vec<(K, Vec<T>)> {
    let mut indices = HashMap::new();
    let mut groups: Vec<(K, Vec<T>)> = Vec::new();
    for item in items {
        let key = key(&item);
        let index = *indices.entry(key.clone()).or_insert(groups.len());
        match groups.get_mut(index) {
            Some((_, group)) => group.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_differ_in_the_seed_alone_are_one_group() {
        let mut table = Table::new(&["depth", "seed", "top1"]);
        for (depth, seed, top1) in [("8", "0", "0.5"), ("14", "0", ""), ("8", "1", "0.7"), ("14", "1", "NaN")] {
            table.rows.push([depth, seed, top1].map(str::to_owned).to_vec());
        }
        let records = Records::from(table);
        let groups = records.groups(&[0]);
        assert_eq!(groups, [vec![0, 2], vec![1, 3]]);
        assert_eq!(records.numbers(2, &groups[0]), [0.5, 0.7]);
        assert!(records.numbers(2, &groups[1]).is_empty());
        assert_eq!(records.to_csv().lines().nth(2), Some("14,0,"));
    }

    #[test]
    fn a_row_without_a_status_counts_but_is_not_done() {
        let mut table = Table::new(&["status"]);
        table.rows = ["done", "", "failed", "ok"].map(|status| vec![status.to_owned()]).to_vec();
        let records = Records::from(table);
        assert_eq!([0, 1, 2, 3].map(|row| records.counts(row)), [true, true, false, false]);
        assert_eq!([0, 1, 2, 3].map(|row| records.is_done(row)), [true, false, false, false]);
        let without = Records::from(Table { columns: vec!["x".to_owned()], rows: vec![vec!["1".to_owned()]] });
        assert!(without.counts(0) && without.is_done(0));
    }
}
