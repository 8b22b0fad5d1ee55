//! A CSV file in memory: named columns of text cells.

use super::columns::Column;
use super::error::{RunError, TableError};
use super::format::{csv_cell, from_csv_cell};
use crate::files::write_atomic;
use std::collections::HashSet;
use std::fs;
use std::iter;
use std::path::Path;

/// Larger files are refused: they are probably not tables, and would exhaust memory.
const MAX_BYTES: u64 = 256 << 20;

/// A run has some hundred keys. The limit bounds the time of looking columns up by name.
pub(crate) const MAX_COLUMNS: usize = 10_000;

/// The limit bounds the memory: a cell takes 24 bytes even if it is empty.
pub(crate) const MAX_CELLS: usize = 20_000_000;

/// Columns and rows; every row has a cell for every column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// Blank lines at a position. The reader skips them, but gives the position of the first as that of the next record.
fn blank_lines(text: &[u8], at: &csv::Position) -> u64 {
    let rest = text.get(at.byte() as usize..).unwrap_or_default();
    rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).filter(|&&byte| byte == b'\n').count() as u64
}

impl Table {
    pub fn new(columns: &[&str]) -> Table {
        Table { columns: columns.iter().map(|&column| column.to_owned()).collect(), rows: Vec::new() }
    }

    /// Reads a CSV file. The delimiter is a comma, a semicolon or a tab, whichever the header has; a column without a name is
    /// called `column_1`, `column_2`, … by its position.
    ///
    /// # Errors
    /// When the file is not a table; the message names the line.
    pub fn read(path: &Path) -> Result<Table, TableError> {
        let io = |reason| TableError::Io { path: path.to_owned(), reason };
        let bytes = fs::metadata(path).map_err(io)?.len();
        if bytes > MAX_BYTES {
            let problem = format!("a file of {} MiB is not a table of results", bytes >> 20);
            return Err(TableError::Broken { path: path.to_owned(), line: 1, problem });
        }
        Table::parse(&fs::read(path).map_err(io)?, path)
    }

    /// Parses the bytes of a CSV file; `path` is named in errors.
    pub fn parse(text: &[u8], path: &Path) -> Result<Table, TableError> {
        let broken = |line: u64, problem: String| TableError::Broken { path: path.to_owned(), line, problem };
        if text.contains(&0) {
            return Err(broken(1, "this is not a text file".to_owned()));
        }
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter(text)).trim(csv::Trim::All).from_reader(text);
        let at_line = |error: csv::Error| {
            let line = error.position().map_or(1, |at| at.line() + blank_lines(text, at));
            let problem = match error.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    format!("this line has {len} cells, the header has {expected_len}")
                }
                csv::ErrorKind::Utf8 { .. } => "this is not UTF-8".to_owned(),
                _ => error.to_string(),
            };
            broken(line, problem)
        };
        let count = reader.headers().map_err(at_line)?.len();
        if count > MAX_COLUMNS {
            return Err(broken(1, format!("the header has {count} columns; a table has at most {MAX_COLUMNS}")));
        }
        let mut columns: Vec<String> =
            reader.headers().map_err(at_line)?.iter().map(|name| from_csv_cell(name).to_owned()).collect();
        // A byte order mark is not part of a name, even after blanks.
        if let Some(first) = columns.first_mut() {
            *first = first.trim_start_matches(|mark: char| mark == '\u{feff}' || mark.is_whitespace()).to_owned();
        }
        if columns.iter().all(String::is_empty) {
            return Err(broken(1, "there is no header: the first line names the columns".to_owned()));
        }
        // A column of row numbers often has no name.
        let mut taken: HashSet<String> = columns.iter().filter(|name| !name.is_empty()).cloned().collect();
        for (index, column) in columns.iter_mut().enumerate().filter(|(_, column)| column.is_empty()) {
            *column = format!("column_{}", index + 1);
            while !taken.insert(column.clone()) {
                column.push('_');
            }
        }
        let mut seen = HashSet::new();
        if let Some(twice) = columns.iter().find(|column| !seen.insert(column.as_str())) {
            return Err(broken(1, format!("there are two columns `{twice}`")));
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            if rows.len() * count >= MAX_CELLS {
                let problem = format!("a table has at most {MAX_CELLS} cells");
                return Err(broken(record.map_err(at_line)?.position().map_or(1, csv::Position::line), problem));
            }
            rows.push(record.map_err(at_line)?.iter().map(|cell| from_csv_cell(cell).to_owned()).collect());
        }
        Ok(Table { columns, rows })
    }

    /// The index of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// Whether Strata wrote it of runs, wherever it was copied.
    pub(crate) fn is_of_runs(&self) -> bool {
        let columns = [Column::Name, Column::Key, Column::Status, Column::Seed];
        columns.iter().all(|column| self.column(column.name()).is_some())
    }

    /// The finite numbers in a column of some rows; other cells are skipped.
    pub fn numbers(&self, column: usize, rows: &[usize]) -> Vec<f64> {
        let cell = |&row: &usize| self.rows.get(row)?.get(column)?.parse::<f64>().ok();
        rows.iter().filter_map(cell).filter(|number| number.is_finite()).collect()
    }

    /// Inserts a column `source` with the path of the table, unless there is one.
    pub fn add_source(&mut self, path: &Path) {
        if self.column("source").is_none() {
            self.columns.insert(0, "source".to_owned());
            self.rows.iter_mut().for_each(|row| row.insert(0, path.display().to_string()));
        }
    }

    pub fn to_csv(&self) -> String {
        // A single column whose name has another delimiter would be read as several.
        let other_mark = self.columns.len() == 1 && self.columns.iter().any(|column| column.contains([';', '\t']));
        let quotes = if other_mark { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let mut writer = csv::WriterBuilder::new().quote_style(quotes).from_writer(Vec::new());
        // Writing to memory does not fail.
        for record in iter::once(&self.columns).chain(&self.rows) {
            let _ = writer.write_record(record.iter().map(|cell| csv_cell(cell).into_owned()));
        }
        String::from_utf8_lossy(&writer.into_inner().unwrap_or_default()).into_owned()
    }

    /// Writes the table atomically.
    pub fn write(&self, path: &Path) -> Result<(), RunError> {
        write_atomic(path, self.to_csv().as_bytes()).map_err(RunError::io("write", path))
    }
}

/// The first of these delimiters that divides the header into several cells.
fn delimiter(text: &[u8]) -> u8 {
    const MARKS: [u8; 3] = [b',', b';', b'\t'];
    let cells =
        |mark: &u8| csv::ReaderBuilder::new().delimiter(*mark).from_reader(text).headers().map_or(0, |h| h.len());
    MARKS.into_iter().find(|mark| cells(mark) > 1).unwrap_or(MARKS[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A delimiter inside a quoted name, perhaps with a line break, used to be taken for that of the table.
    #[test]
    fn headers_survive_reading_and_writing() {
        for (text, columns) in [
            ("a;b;c,\n1,2\n", &["a;b;c", "column_2"][..]),
            (",a\n1,2\n", &["column_1", "a"]),
            (",column_1\n1,2\n", &["column_1_", "column_1"]),
            ("a;b\n1;2\n", &["a", "b"]),
            ("a\tb\n1\t2\n", &["a", "b"]),
            ("\"a,b\";c\n1;2\n", &["a,b", "c"]),
            ("\"a;b\"\n1\n", &["a;b"]),
            ("\"a;\"\"b\"\"\nc,\"\n1\n", &["a;\"b\"\nc,"]),
            ("a\"b;c\n1;2\n", &["a\"b", "c"]),
            (" \u{feff} a,b\n1,2\n", &["a", "b"]),
            ("\u{feff}\"a,b\";c\n1;2\n", &["a,b", "c"]),
            ("\na;b\n1;2\n", &["a", "b"]),
        ] {
            let table = Table::parse(text.as_bytes(), Path::new("x.csv")).unwrap();
            assert_eq!(table.columns, columns, "{text:?}");
            let again = Table::parse(table.to_csv().as_bytes(), Path::new("again.csv")).unwrap();
            assert_eq!(again.columns, columns, "{text:?}");
        }
    }

    /// The line in the message used to be that of the first blank line before the broken one.
    #[test]
    fn errors_name_the_broken_line_after_blank_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        for (text, line) in [
            ("a,b\n1,2\n1\n", 3),
            ("a,b\n1,2\n\n\n1\n", 5),
            ("a,b\r\n\r\n1,2\r\n\r\n1\r\n", 5),
            ("a,b\n\n\"x\ny\",2\n\n1", 6),
        ] {
            fs::write(&path, text).unwrap();
            let error = Table::read(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("line {line}: this line has 1 cells")), "{text:?}: {error}");
        }
    }

    /// Comparing the names of a million columns took hours.
    #[test]
    fn a_table_of_too_many_columns_or_cells_is_refused() {
        let read = |text: String| Table::parse(text.as_bytes(), Path::new("x.csv"));
        let wide = |columns: usize| format!("{}\n", vec!["a"; columns].join(","));
        let error = read(wide(1_000_000)).unwrap_err().to_string();
        assert_eq!(error, "x.csv, line 1: the header has 1000000 columns; a table has at most 10000");
        let unnamed = read(format!("a{}\n", ",".repeat(MAX_COLUMNS - 1))).unwrap();
        assert_eq!(unnamed.columns.last().unwrap(), "column_10000");
        let long = format!("{}{}", unnamed.to_csv(), format!("{}\n", ",".repeat(MAX_COLUMNS - 1)).repeat(2001));
        let error = read(long).unwrap_err().to_string();
        assert_eq!(error, "x.csv, line 2002: a table has at most 20000000 cells");
    }
}
