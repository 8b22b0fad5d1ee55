//! The table of a study in progress: each row is written as soon as it is computed, and read by a process that resumes.

use super::StudyError;
use crate::files::{append_synced, write_atomic};
use crate::interrupt;
use crate::runs::{RunError, Table, duration};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Computing time after which the rest is estimated.
const TIMED: Duration = Duration::from_secs(1);
/// Seconds below which nobody needs to know.
const WORTH_SAYING: f64 = 10.0;

/// Receives a study's progress: finished rows, all rows, and the label of the last one.
pub trait Observer {
    fn progress(&mut self, done: usize, total: usize, what: &str);
    /// A message for the user.
    fn note(&mut self, _text: &str) {}
}

/// The rows of a study in the order in which they are computed, which depends only on the study and its runs: a process that
/// resumes reads the rows in the file and computes the others.
pub struct Rows<'a> {
    columns: Vec<String>,
    /// Index in the finished table, and cells.
    rows: Vec<(usize, Vec<String>)>,
    known: std::vec::IntoIter<Vec<String>>,
    file: PathBuf,
    /// Where a picture of the rows so far may be written.
    pub(super) picture: Option<PathBuf>,
    total: usize,
    /// Rows that were computed here, and the time that they took.
    timed: (usize, Duration),
    estimated: bool,
    observer: &'a mut dyn Observer,
}

impl<'a> Rows<'a> {
    /// Reads the rows of an earlier process from `file`. An incomplete last line, left by a kill, is dropped.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(super) fn open(file: &Path, observer: &'a mut dyn Observer) -> Result<Rows<'a>, RunError> {
        let mut known = Vec::new();
        if let Ok(text) = fs::read_to_string(file) {
            let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
            if whole.len() < text.len() {
                write_atomic(file, whole.as_bytes()).map_err(RunError::io("write", file))?;
            }
            if !whole.is_empty() {
                known = Table::parse(whole.as_bytes(), file)?.rows;
            }
        }
        let known = known.into_iter();
        Ok(Rows {
            columns: Vec::new(),
            rows: Vec::new(),
            known,
            file: file.to_owned(),
            picture: None,
            total: 0,
            timed: (0, Duration::ZERO),
            estimated: false,
            observer,
        })
    }

    /// Sets the columns and the number of rows; call it once, before the first row.
    pub fn begin(&mut self, columns: &[&str], total: usize) {
        self.columns = columns.iter().map(|&column| column.to_owned()).collect();
        self.total = total;
    }

    /// Writes a picture of the rows so far. A failure is only noted, because it is drawn again at the end.
    pub(super) fn draft(&mut self, svg: &str) {
        let Some(path) = &self.picture else { return };
        if let Err(error) = write_atomic(path, svg.as_bytes()) {
            let text = format!("note: {} cannot be written: {error}", path.display());
            self.observer.note(&text);
        }
    }

    /// Messages for the user.
    pub fn note(&mut self, text: &str) {
        self.observer.note(text);
    }

    /// Adds the next row, which is computed unless an earlier process did. `index` is its position in the finished table.
    ///
    /// # Errors
    /// Errors of `compute`, a file that cannot be written, and [`StudyError::Stopped`] after a signal.
    pub fn row(
        &mut self,
        index: usize,
        what: &str,
        compute: impl FnOnce() -> Result<Vec<String>, StudyError>,
    ) -> Result<(), StudyError> {
        let cells = match self.known.next().filter(|cells| cells.len() == self.columns.len()) {
            Some(cells) => cells,
            None if interrupt::requested() => return Err(StudyError::Stopped),
            None => {
                let start = Instant::now();
                let cells = compute()?;
                self.timed = (self.timed.0 + 1, self.timed.1 + start.elapsed());
                self.write(&cells)?;
                cells
            }
        };
        self.rows.push((index, cells));
        self.observer.progress(self.rows.len(), self.total, what);
        self.estimate();
        Ok(())
    }

    /// Prints once how long the other rows will take, when enough of them were computed.
    fn estimate(&mut self) {
        let (rows, time) = self.timed;
        if self.estimated || time < TIMED {
            return;
        }
        self.estimated = true;
        let left = self.total.saturating_sub(self.rows.len());
        let seconds = time.as_secs_f64() / rows as f64 * left as f64;
        if seconds >= WORTH_SAYING {
            self.note(&format!("{left} of {} rows to go: about {}", self.total, duration(seconds)));
        }
    }

    /// Adds rows that are read rather than computed, in the order of the finished table. They are not written for a process that
    /// resumes, which reads them again.
    pub fn extend(&mut self, lines: Vec<Vec<String>>) {
        self.rows.extend(lines.into_iter().enumerate());
        self.observer.progress(self.rows.len(), self.total, "");
    }

    /// Whether the next row is computed here rather than read.
    pub fn computes(&self) -> bool {
        self.known.len() == 0
    }

    fn write(&self, cells: &[String]) -> Result<(), RunError> {
        let mut text = Table { columns: self.columns.clone(), rows: vec![cells.to_vec()] }.to_csv();
        if !self.rows.is_empty() {
            text = text.split_once('\n').map(|(_, row)| row.to_owned()).unwrap_or_default();
        }
        append_synced(&self.file, text.as_bytes()).map_err(RunError::io("write", &self.file))
    }

    /// The rows so far, in the order of the finished table.
    pub fn table(&self) -> Table {
        let mut rows: Vec<&(usize, Vec<String>)> = self.rows.iter().collect();
        rows.sort_by_key(|(index, _)| *index);
        Table { columns: self.columns.clone(), rows: rows.into_iter().map(|(_, cells)| cells.clone()).collect() }
    }
}

/// Observes nothing.
#[cfg(test)]
pub(super) struct Unseen;

#[cfg(test)]
impl Observer for Unseen {
    fn progress(&mut self, _: usize, _: usize, _: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only what is computed here counts: rows that an earlier process computed take no time.
    #[test]
    fn the_time_of_a_study_is_estimated_once() {
        #[derive(Default)]
        struct Notes(Vec<String>);
        impl Observer for Notes {
            fn progress(&mut self, _: usize, _: usize, _: &str) {}
            fn note(&mut self, text: &str) {
                self.0.push(text.to_owned());
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let said = |total: usize, millis: u64| {
            let mut notes = Notes::default();
            let file = folder.path().join(format!(".{total}.rows"));
            fs::write(&file, "number\n0\n").unwrap();
            let mut rows = Rows::open(&file, &mut notes).unwrap();
            rows.begin(&["number"], total);
            for index in 0..4 {
                rows.row(index, "", || {
                    std::thread::sleep(Duration::from_millis(millis));
                    Ok(vec![index.to_string()])
                })
                .unwrap();
            }
            notes.0
        };
        // Two rows of 0.6 s and more were computed, the first was read.
        let notes = said(1003, 600);
        assert!(notes.len() == 1 && notes[0].starts_with("1000 of 1003 rows to go: about 1"), "{notes:?}");
        assert!(notes[0].ends_with(" min"), "{notes:?}");
        assert!(said(5, 600).is_empty(), "a second is no time");
        assert!(said(1004, 1).is_empty(), "not enough to know");
    }

    /// Killed after two of four rows and in the middle of the third, a study computes the last two.
    #[test]
    fn rows_that_are_written_are_not_computed_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".x.rows");
        let mut computed = Vec::new();
        let study = |rows: usize, computed: &mut Vec<usize>| {
            let mut unseen = Unseen;
            let mut table = Rows::open(&file, &mut unseen).unwrap();
            table.begin(&["number", "text"], 4);
            for index in 0..rows {
                table
                    .row(4 - index, "", || {
                        computed.push(index);
                        Ok(vec![index.to_string(), "a,b".to_owned()])
                    })
                    .unwrap();
            }
            table.table().to_csv()
        };
        study(2, &mut computed);
        append_synced(&file, b"2,\"a").unwrap();
        let table = study(4, &mut computed);
        assert_eq!(computed, [0, 1, 2, 3]);
        assert_eq!(table, "number,text\n3,\"a,b\"\n2,\"a,b\"\n1,\"a,b\"\n0,\"a,b\"\n");
        assert_eq!(study(4, &mut computed), table);
        assert_eq!(computed.len(), 4, "a third process has nothing to compute");
    }
}
