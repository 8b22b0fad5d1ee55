//! Access to a study's table for its picture.

use crate::runs::Table;

/// A selection of rows of a table.
#[derive(Clone)]
pub(super) struct Selection<'t> {
    table: &'t Table,
    rows: Vec<usize>,
}

impl<'t> Selection<'t> {
    pub(super) fn new(table: &'t Table) -> Selection<'t> {
        Selection { table, rows: (0..table.rows.len()).collect() }
    }

    fn cell(&self, row: usize, column: &str) -> &'t str {
        self.table.column(column).map_or("", |column| self.table.rows[row][column].as_str())
    }

    /// The rows with these values in these columns.
    pub(super) fn matching(&self, wanted: &[(&str, &str)]) -> Selection<'t> {
        let matches = |&&row: &&usize| wanted.iter().all(|(column, value)| self.cell(row, column) == *value);
        Selection { table: self.table, rows: self.rows.iter().filter(matches).copied().collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The distinct values of a column, in order of appearance.
    pub(super) fn values(&self, column: &str) -> Vec<String> {
        let mut values: Vec<String> = Vec::new();
        for &row in &self.rows {
            let value = self.cell(row, column);
            if values.iter().all(|known| known != value) {
                values.push(value.to_owned());
            }
        }
        values
    }

    /// A value for each row.
    pub(super) fn each<'s, T>(&'s self, value: impl Fn(Selection<'t>) -> T + 's) -> impl Iterator<Item = T> + 's {
        self.rows.iter().map(move |&row| value(Selection { table: self.table, rows: vec![row] }))
    }

    /// A point for each row, from two columns of numbers.
    pub(super) fn points(&self, x: &str, y: &str) -> Vec<[f64; 2]> {
        self.each(|row| [row.number(x), row.number(y)]).collect()
    }

    /// The cell of the first row.
    pub(super) fn text(&self, column: &str) -> &'t str {
        self.rows.first().map_or("", |&row| self.cell(row, column))
    }

    /// The number in the first row; NaN if there is none.
    pub(super) fn number(&self, column: &str) -> f64 {
        self.text(column).parse().unwrap_or(f64::NAN)
    }

    pub(super) fn numbers(&self, column: &str) -> Vec<f64> {
        self.rows.iter().map(|&row| self.cell(row, column).parse().unwrap_or(f64::NAN)).collect()
    }
}
