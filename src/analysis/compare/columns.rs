//! Which columns a comparison shows: those that differ, and of many settings those that the name does not tell.

use super::group::counts;
use super::view::View;
use crate::runs::Status;
use crate::runs::roles::Kind;
use std::collections::HashMap;

/// More settings than this are cut to those that the name does not tell.
const MANY: usize = 12;

impl View<'_> {
    fn rows(&self) -> impl Iterator<Item = &Vec<String>> {
        self.judged.iter().map(|&row| &self.collection.table.rows[row])
    }

    fn differs(&self, column: usize) -> bool {
        let mut cells = self.rows().map(|row| row[column].as_str());
        let first = cells.next();
        cells.any(|cell| Some(cell) != first)
    }

    /// Whether known cells differ: of points that have not run, the outcome is not known.
    fn differs_where_known(&self, column: usize) -> bool {
        let mut cells = self.rows().map(|row| row[column].as_str()).filter(|cell| !cell.is_empty());
        let first = cells.next();
        cells.any(|cell| Some(cell) != first)
    }

    /// Whether a run has not ended: then it matters how far it is.
    fn unfinished(&self) -> bool {
        let status = self.collection.table.column("status");
        status.is_some_and(|status| self.rows().any(|row| Status::parse(&row[status]).is_some_and(Status::is_open)))
    }

    /// The settings that differ; where they are many, those that the name does not tell.
    pub fn settings(&mut self) -> Vec<usize> {
        let all = 0..self.kinds.len();
        let differing: Vec<usize> =
            all.filter(|&column| self.kinds[column] == Kind::Setting && self.differs(column)).collect();
        let Some(name) = self.collection.table.column("name").filter(|_| differing.len() > MANY) else {
            return differing;
        };
        let told: Vec<usize> = differing.iter().copied().filter(|&column| !self.follows(column, name)).collect();
        let hidden = differing.len() - told.len();
        if hidden > 0 && self.request.columns.is_none() && !self.request.all && !self.request.plain {
            self.notes
                .push(format!("{hidden} settings that follow from the name are not shown; --all shows every column"));
        }
        told
    }

    /// Whether rows of the same name have the same cell. A row that lacks it (a sweep's table holds few) says nothing.
    fn follows(&self, column: usize, name: usize) -> bool {
        let mut cells = HashMap::new();
        self.rows()
            .filter(|row| !row[column].is_empty())
            .all(|row| *cells.entry(row[name].as_str()).or_insert(row[column].as_str()) == row[column])
    }

    /// The columns that tell the lines apart, which are shown beside those that were asked for.
    fn telling(&self, settings: &[usize]) -> Vec<usize> {
        let table = &self.collection.table;
        let by = self.request.by.as_ref();
        let by = by.map(|by| by.iter().filter_map(|column| table.column(column)).collect::<Vec<_>>());
        let seed = table.column("seed").filter(|_| self.request.runs);
        let varied: Vec<usize> = by.unwrap_or_else(|| settings.iter().copied().chain(seed).collect());
        let varied: Vec<usize> = varied.into_iter().filter(|&column| self.differs(column)).collect();
        // Programs have no use for a name that stands in every row.
        let name = table.column("name").filter(|&name| !self.request.plain || varied.is_empty() && self.differs(name));
        name.into_iter().chain(varied.into_iter().filter(|&column| Some(column) != name)).collect()
    }

    /// The columns that are shown, in their order.
    pub fn columns(&self, settings: &[usize], metric: Option<usize>) -> Vec<usize> {
        let table = &self.collection.table;
        if let Some(columns) = &self.request.columns {
            let asked: Vec<usize> = columns.iter().filter_map(|column| table.column(column)).collect();
            let mut shown = self.telling(settings);
            shown.retain(|column| !asked.contains(column));
            shown.extend(asked);
            return shown;
        }
        let shown = |column: usize| match (self.request.all, self.kinds[column]) {
            (_, Kind::Name) | (true, _) => true,
            (_, Kind::Setting) => match self.request.plain {
                true => self.differs(column),
                false => settings.contains(&column),
            },
            (_, Kind::Seed) => self.request.runs && self.differs(column),
            (_, Kind::Status) => self.rows().any(|row| !counts(&row[column])) || self.differs(column),
            (_, Kind::Result) => Some(column) == metric || self.lines.len() == 1 || self.differs(column),
            (_, Kind::Circumstance) => self.request.runs && table.columns[column] == "key",
            (_, Kind::Expected) => false,
            (_, Kind::Epochs) => self.differs_where_known(column) || self.unfinished(),
            (_, Kind::Cost | Kind::Precision) => self.differs_where_known(column),
            (_, Kind::Source) => self.differs(column),
        };
        let order = [
            Kind::Source,
            Kind::Name,
            Kind::Status,
            Kind::Setting,
            Kind::Precision,
            Kind::Seed,
            Kind::Cost,
            Kind::Epochs,
            Kind::Result,
            Kind::Circumstance,
            Kind::Expected,
        ];
        let mut columns: Vec<usize> = (0..self.kinds.len()).filter(|&column| shown(column)).collect();
        columns.sort_by_key(|&column| {
            (order.iter().position(|kind| *kind == self.kinds[column]), table.columns[column] == "key")
        });
        columns
    }
}
