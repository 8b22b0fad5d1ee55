//! `steps.csv`: the loss of every N-th training step, on request (`train.log_every`).

use super::error::RunError;
use super::folder::RunFolder;
use super::format::significant;
use crate::files::append_synced;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// The header of `steps.csv`.
pub const STEP_COLUMNS: &str = "step,epoch,lr,loss";

/// How long rows are buffered: a sync in every step would take longer than the step of a small network.
const DELAY: Duration = Duration::from_secs(1);

/// The step table of a run that is being written.
#[derive(Debug)]
pub struct StepLog<'a> {
    folder: &'a RunFolder,
    every: u64,
    /// Rows that are not in the file yet.
    rows: String,
    flushed: Instant,
}

/// One row of `steps.csv`.
#[derive(Clone, Copy, Debug)]
pub struct StepRow {
    /// Counted from 1 over the run.
    pub step: u64,
    /// Counted from 1.
    pub epoch: usize,
    pub lr: f64,
    /// Mean over the batch, of the network's own head.
    pub loss: f64,
}

impl StepLog<'_> {
    /// Opens the table of a run that resumes after `steps` steps; later rows are of steps that will be repeated, and
    /// are removed. `None` where `every` is 0.
    ///
    /// # Errors
    /// When the table cannot be read or written, or has another header.
    pub fn open(folder: &RunFolder, every: usize, steps: u64) -> Result<Option<StepLog<'_>>, RunError> {
        let path = folder.file("steps.csv");
        let found = match fs::read(&path) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(RunError::io("read", &path)(error)),
        };
        let kept = match &found {
            Some(text) => first_steps(text, steps, &path)?,
            None => format!("{STEP_COLUMNS}\n"),
        };
        if found.as_ref() != Some(&kept) && (found.is_some() || every > 0) {
            folder.write("steps.csv", &kept)?;
        }
        let log = StepLog { folder, every: every as u64, rows: String::new(), flushed: Instant::now() };
        Ok((every > 0).then_some(log))
    }

    /// Buffers the row of a step, if it is one that is logged.
    ///
    /// # Errors
    /// When the buffered rows cannot be written.
    pub fn add(&mut self, row: StepRow) -> Result<(), RunError> {
        if !row.step.is_multiple_of(self.every) {
            return Ok(());
        }
        let StepRow { step, epoch, lr, loss } = row;
        self.rows.push_str(&format!("{step},{epoch},{},{}\n", significant(lr), significant(loss)));
        if self.flushed.elapsed() < DELAY { Ok(()) } else { self.flush() }
    }

    /// Appends the buffered rows and syncs the file. Must come before a checkpoint of their steps.
    ///
    /// # Errors
    /// When they cannot be written, or the folder is no longer the run's.
    pub fn flush(&mut self) -> Result<(), RunError> {
        self.flushed = Instant::now();
        if self.rows.is_empty() {
            return Ok(());
        }
        self.folder.check_held()?;
        let path = self.folder.file("steps.csv");
        append_synced(&path, self.rows.as_bytes()).map_err(RunError::io("write", &path))?;
        self.rows.clear();
        Ok(())
    }
}

/// The header and the whole rows of the first `steps` steps.
fn first_steps(text: &str, steps: u64, path: &Path) -> Result<String, RunError> {
    let mut lines = text.split_inclusive('\n');
    if lines.next().map(str::trim_end) != Some(STEP_COLUMNS) {
        let problem = "the header is not that of this version".to_owned();
        return Err(RunError::Corrupt { path: path.to_owned(), line: 1, problem });
    }
    let mut kept = format!("{STEP_COLUMNS}\n");
    let mut last = 0;
    for line in lines {
        let step = line.split(',').next().and_then(|cell| cell.parse::<u64>().ok());
        match step.filter(|&step| step > last && step <= steps && line.ends_with('\n')) {
            Some(step) => last = step,
            None => break,
        }
        kept.push_str(line);
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_behind_the_checkpoint_and_torn_rows_are_removed() {
        let kept = |rows: &str, steps| first_steps(&format!("{STEP_COLUMNS}\n{rows}"), steps, Path::new("steps.csv"));
        let rows = "2,1,0.1,2.3\n4,2,0.1,2.2\n6,2,0.1,2.1\n";
        for (text, steps, count) in
            [(rows, 6, 3), (rows, 5, 2), (rows, 0, 0), (rows.trim_end(), 9, 2), ("2,1,0.1", 9, 0)]
        {
            let kept = kept(text, steps).unwrap();
            assert_eq!(kept.lines().count(), 1 + count, "{text}");
            assert!(format!("{STEP_COLUMNS}\n{rows}").starts_with(&kept));
        }
        assert!(first_steps("step,loss\n", 3, Path::new("steps.csv")).is_err());
    }
}
