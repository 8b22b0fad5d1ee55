//! Tables by the step, on request: `steps.csv` with losses (`train.log_every`), `gradients.csv` with norms
//! (`train.log_gradients`).

use super::error::RunError;
use super::folder::RunFolder;
use super::format::significant;
use super::table::Table;
use crate::files::append_synced;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// A table with one or more rows for every N-th step.
#[derive(Clone, Copy, Debug)]
pub struct StepFile {
    pub name: &'static str,
    /// The header; the first column is the step.
    columns: &'static str,
}

/// Losses.
pub const STEPS: StepFile = StepFile { name: "steps.csv", columns: "step,epoch,lr,loss" };
/// Norms by row of the network.
pub const GRADIENTS: StepFile =
    StepFile { name: "gradients.csv", columns: "step,epoch,position,row,gradient_norm,weight_norm,update_norm" };

/// How long rows are buffered: a sync in every step would take longer than the step of a small network.
const DELAY: Duration = Duration::from_secs(1);

/// A step table of a run that is being written.
#[derive(Debug)]
pub struct StepLog<'a> {
    folder: &'a RunFolder,
    file: StepFile,
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

impl StepRow {
    /// As a line of [`STEPS`].
    pub fn line(&self) -> String {
        let StepRow { step, epoch, lr, loss } = self;
        format!("{step},{epoch},{},{}\n", significant(*lr), significant(*loss))
    }
}

/// One row of `gradients.csv`: the norms of one row of the network at one step.
#[derive(Clone, Debug)]
pub struct GradientRow<'a> {
    /// Counted from 1 over the run.
    pub step: u64,
    /// Counted from 1.
    pub epoch: usize,
    /// Number of the row in the network, counted from 1.
    pub position: usize,
    /// The row's label.
    pub row: &'a str,
    /// L2 norms over all learned parameters of the row: the gradient before clipping, the weights before the update, the update.
    pub norms: [f64; 3],
}

impl GradientRow<'_> {
    /// As a line of [`GRADIENTS`].
    pub fn line(&self) -> String {
        let GradientRow { step, epoch, position, row, norms } = self;
        let position_columns = [step.to_string(), epoch.to_string(), position.to_string(), (*row).to_owned()];
        // A row's name may have a comma in it.
        let columns = position_columns.into_iter().chain(norms.map(significant)).collect();
        Table { columns, rows: Vec::new() }.to_csv()
    }
}

impl StepLog<'_> {
    /// Opens the table of a run that resumes after `steps` steps; later rows are of steps that will be repeated, and
    /// are removed. `None` where `every` is 0.
    ///
    /// # Errors
    /// When the table cannot be read or written, or has another header.
    pub fn open(folder: &RunFolder, file: StepFile, every: usize, steps: u64) -> Result<Option<StepLog<'_>>, RunError> {
        let path = folder.file(file.name);
        let found = match fs::read(&path) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(RunError::io("read", &path)(error)),
        };
        let kept = match &found {
            Some(text) => first_steps(text, file, steps, &path)?,
            None => format!("{}\n", file.columns),
        };
        if found.as_ref() != Some(&kept) && (found.is_some() || every > 0) {
            folder.write(file.name, &kept)?;
        }
        let log = StepLog { folder, file, every: every as u64, rows: String::new(), flushed: Instant::now() };
        Ok((every > 0).then_some(log))
    }

    /// Whether a step has rows.
    pub fn is_due(&self, step: u64) -> bool {
        step.is_multiple_of(self.every)
    }

    /// Buffers the lines of a step, all of them at once.
    ///
    /// # Errors
    /// When the buffered rows cannot be written.
    pub fn add(&mut self, lines: &str) -> Result<(), RunError> {
        self.rows.push_str(lines);
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
        let path = self.folder.file(self.file.name);
        append_synced(&path, self.rows.as_bytes()).map_err(RunError::io("write", &path))?;
        self.rows.clear();
        Ok(())
    }
}

/// The header and the whole rows of the first `steps` steps.
fn first_steps(text: &str, file: StepFile, steps: u64, path: &Path) -> Result<String, RunError> {
    let mut lines = text.split_inclusive('\n');
    if lines.next().map(str::trim_end) != Some(file.columns) {
        let problem = "the header is not that of this version".to_owned();
        return Err(RunError::Corrupt { path: path.to_owned(), line: 1, problem });
    }
    let mut kept = format!("{}\n", file.columns);
    let mut last = 0;
    for line in lines {
        let step = line.split(',').next().and_then(|cell| cell.parse::<u64>().ok());
        match step.filter(|&step| step >= last && step <= steps && line.ends_with('\n')) {
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
        let header = STEPS.columns;
        let kept = |rows: &str, steps| first_steps(&format!("{header}\n{rows}"), STEPS, steps, Path::new("steps.csv"));
        let rows = "2,1,0.1,2.3\n4,2,0.1,2.2\n6,2,0.1,2.1\n";
        for (text, steps, count) in
            [(rows, 6, 3), (rows, 5, 2), (rows, 0, 0), (rows.trim_end(), 9, 2), ("2,1,0.1", 9, 0)]
        {
            let kept = kept(text, steps).unwrap();
            assert_eq!(kept.lines().count(), 1 + count, "{text}");
            assert!(format!("{header}\n{rows}").starts_with(&kept));
        }
        assert!(first_steps("step,loss\n", STEPS, 3, Path::new("steps.csv")).is_err());
        let row = GradientRow { step: 4, epoch: 1, position: 2, row: "a, b", norms: [1.0, 0.5, 2.5e-7] };
        let table = format!("{}\n{}{}", GRADIENTS.columns, row.line(), GradientRow { position: 3, ..row }.line());
        assert!(table.contains("4,1,2,\"a, b\",1,0.5,2.50000e-7\n"), "{table}");
        assert_eq!(
            first_steps(&table, GRADIENTS, 4, Path::new("gradients.csv")).unwrap(),
            table,
            "a step has several rows"
        );
    }
}
