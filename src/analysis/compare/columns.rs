//! Selects the columns that a comparison shows: those that differ, and of many settings those that the name does not imply.

use super::view::ComparisonView;
use crate::runs::{Column, ColumnRole, Status};
use std::collections::HashMap;

/// With more settings than this, those that follow from the name are hidden.
const MANY: usize = 12;

impl ComparisonView<'_> {
    fn rows(&self) -> impl Iterator<Item = &Vec<String>> {
        self.judged.iter().map(|&row| &self.records.rows[row])
    }

    fn differs(&self, column: usize) -> bool {
        let mut cells = self.rows().map(|row| row[column].as_str());
        let first = cells.next();
        cells.any(|cell| Some(cell) != first)
    }

    /// Whether non-empty cells differ; the results of points that have not run are empty.
    fn differs_where_known(&self, column: usize) -> bool {
        let mut cells = self.rows().map(|row| row[column].as_str()).filter(|cell| !cell.is_empty());
        let first = cells.next();
        cells.any(|cell| Some(cell) != first)
    }

    /// Whether a run has not ended, so that its number of epochs matters.
    fn has_open_runs(&self) -> bool {
        self.judged.iter().any(|&row| self.records.status(row).is_some_and(Status::is_open))
    }

    /// The settings that differ; of many, those that do not follow from the name.
    pub(super) fn settings(&mut self) -> Vec<usize> {
        let all = 0..self.records.columns.len();
        let differing: Vec<usize> =
            all.filter(|&column| self.records.role(column) == ColumnRole::Setting && self.differs(column)).collect();
        let Some(name) = self.records.column(Column::Name.name()).filter(|_| differing.len() > MANY) else {
            return differing;
        };
        let shown: Vec<usize> = differing.iter().copied().filter(|&column| !self.follows(column, name)).collect();
        let hidden = differing.len() - shown.len();
        if hidden > 0 && self.request.columns.is_none() && !self.request.all && !self.request.plain {
            self.notes.push(format!("{hidden} settings that follow from the name are hidden (use --all)"));
        }
        shown
    }

    /// Whether rows of the same name have the same cell, empty ones aside: a sweep's table has few of the settings.
    fn follows(&self, column: usize, name: usize) -> bool {
        let mut cells = HashMap::new();
        self.rows()
            .filter(|row| !row[column].is_empty())
            .all(|row| *cells.entry(row[name].as_str()).or_insert(row[column].as_str()) == row[column])
    }

    /// The columns that distinguish the lines, which are shown along with requested columns.
    fn distinguishing(&self, settings: &[usize]) -> Vec<usize> {
        let table = self.records;
        let by = self.request.by.as_ref();
        let by = by.map(|by| by.iter().filter_map(|column| table.column(column)).collect::<Vec<_>>());
        let seed = table.column(Column::Seed.name()).filter(|_| self.request.runs);
        let varied: Vec<usize> = by.unwrap_or_else(|| settings.iter().copied().chain(seed).collect());
        let varied: Vec<usize> = varied.into_iter().filter(|&column| self.differs(column)).collect();
        // A name that is the same in every row is useless to programs.
        let name = table
            .column(Column::Name.name())
            .filter(|&name| !self.request.plain || varied.is_empty() && self.differs(name));
        name.into_iter().chain(varied.into_iter().filter(|&column| Some(column) != name)).collect()
    }

    /// The columns that are shown, in their order.
    pub(super) fn columns(&self, settings: &[usize], metric: Option<usize>) -> Vec<usize> {
        let table = self.records;
        if let Some(columns) = &self.request.columns {
            let asked: Vec<usize> = columns.iter().filter_map(|column| table.column(column)).collect();
            let mut shown = self.distinguishing(settings);
            shown.retain(|column| !asked.contains(column));
            shown.extend(asked);
            return shown;
        }
        let shown = |column: usize| match (self.request.all, self.records.role(column)) {
            (_, ColumnRole::Name) | (true, _) => true,
            (_, ColumnRole::Setting) => match self.request.plain {
                true => self.differs(column),
                false => settings.contains(&column),
            },
            (_, ColumnRole::Seed) => self.request.runs && self.differs(column),
            (_, ColumnRole::Status) => self.judged.iter().any(|&row| !self.records.counts(row)) || self.differs(column),
            (_, ColumnRole::Result) => Some(column) == metric || self.lines.len() == 1 || self.differs(column),
            (_, ColumnRole::Environment) => self.request.runs && table.columns[column] == Column::Key.name(),
            (_, ColumnRole::Expected) => false,
            (_, ColumnRole::Epochs) => self.differs_where_known(column) || self.has_open_runs(),
            (_, ColumnRole::Cost | ColumnRole::Precision) => self.differs_where_known(column),
            (_, ColumnRole::Source) => self.differs(column),
        };
        let mut columns: Vec<usize> = (0..table.columns.len()).filter(|&column| shown(column)).collect();
        // The metric that was asked for precedes other results; programs get the columns in one order.
        let asked = metric.filter(|_| self.request.metric.is_some() && !self.request.plain);
        columns.sort_by_key(|&column| {
            (self.records.role(column), Some(column) != asked, table.columns[column] == Column::Key.name())
        });
        columns
    }
}
