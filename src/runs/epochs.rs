//! `epochs.csv`: the table of a run, a row an epoch. All that read it go through [`row_of`].

use super::error::RunError;
use super::format::{accuracy, significant};
use std::path::Path;
use std::str::SplitInclusive;

/// One epoch's row.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochRow {
    /// Counted from 1.
    pub epoch: usize,
    pub step: u64,
    pub lr: f64,
    pub train_loss: f64,
    pub train_top1: f64,
    pub train_top5: f64,
    pub val_loss: f64,
    pub val_top1: f64,
    pub val_top5: f64,
    pub epoch_seconds: f64,
    pub images_per_second: f64,
    pub peak_memory_mib: f64,
}

/// The header of `epochs.csv`.
pub const EPOCH_COLUMNS: &str = "epoch,step,lr,train_loss,train_top1,train_top5,val_loss,val_top1,val_top5,\
                                 epoch_seconds,images_per_second,peak_memory_mib";

impl EpochRow {
    /// A row of `epochs.csv`; `None` for anything else.
    pub fn parse(line: &str) -> Option<EpochRow> {
        let cells: Vec<&str> = line.trim_end().split(',').collect();
        let &[epoch, step, ref values @ ..] = cells.as_slice() else { return None };
        let values = values.iter().map(|cell| cell.parse().ok()).collect::<Option<Vec<f64>>>()?;
        let &[lr, train_loss, train_top1, train_top5, val_loss, val_top1, val_top5, seconds, rate, memory] =
            values.as_slice()
        else {
            return None;
        };
        Some(EpochRow {
            epoch: epoch.parse().ok()?,
            step: step.parse().ok()?,
            lr,
            train_loss,
            train_top1,
            train_top5,
            val_loss,
            val_top1,
            val_top5,
            epoch_seconds: seconds,
            images_per_second: rate,
            peak_memory_mib: memory,
        })
    }

    /// The row as it stands in `epochs.csv`, with its line break.
    pub fn line(&self) -> String {
        format!(
            "{},{},{},{},{},{},{},{},{},{:.3},{:.1},{:.0}\n",
            self.epoch,
            self.step,
            significant(self.lr),
            significant(self.train_loss),
            accuracy(self.train_top1),
            accuracy(self.train_top5),
            significant(self.val_loss),
            accuracy(self.val_top1),
            accuracy(self.val_top5),
            self.epoch_seconds,
            self.images_per_second,
            self.peak_memory_mib,
        )
    }
}

/// The rows of a run's `epochs.csv`; a run that goes on may be writing the last of them, which is then left out.
///
/// # Errors
/// When the file cannot be read, or something other than a row stands before its last line.
pub fn read_epochs(folder: &Path) -> Result<Vec<EpochRow>, RunError> {
    let path = folder.join("epochs.csv");
    let text = std::fs::read_to_string(&path).map_err(RunError::io("read", &path))?;
    parse_epochs(&text, &path)
}

/// The rows in the text of an `epochs.csv`; `path` is what errors call it.
///
/// # Errors
/// As [`read_epochs`].
pub fn parse_epochs(text: &str, path: &Path) -> Result<Vec<EpochRow>, RunError> {
    let mut lines = lines(text, path)?.peekable();
    let mut rows = Vec::new();
    while let Some(line) = lines.next() {
        match row_of(rows.len() + 1, line, path) {
            Ok(row) => rows.push(row),
            Err(_) if lines.peek().is_none() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(rows)
}

/// The header and the rows of the first `epochs` epochs of an `epochs.csv`, whatever stands behind them; `path` is what
/// errors call it.
///
/// # Errors
/// For a text that lacks one of those rows.
pub fn first_epochs(text: &str, epochs: usize, path: &Path) -> Result<String, RunError> {
    let mut lines = lines(text, path)?;
    let mut kept = format!("{EPOCH_COLUMNS}\n");
    for epoch in 1..=epochs {
        let line = lines.next().ok_or_else(|| corrupt(path, epoch + 1, "a row is missing"))?;
        row_of(epoch, line, path)?;
        kept.push_str(line);
    }
    Ok(kept)
}

/// The lines behind the header.
fn lines<'a>(text: &'a str, path: &Path) -> Result<SplitInclusive<'a, char>, RunError> {
    let mut lines = text.split_inclusive('\n');
    match lines.next() {
        Some(header) if header.trim_end() == EPOCH_COLUMNS => Ok(lines),
        _ => Err(corrupt(path, 1, "the header is not that of this version")),
    }
}

/// The row of an epoch. A line without its end may lack digits too.
fn row_of(epoch: usize, line: &str, path: &Path) -> Result<EpochRow, RunError> {
    let row = EpochRow::parse(line).filter(|row| row.epoch == epoch && line.ends_with('\n'));
    row.ok_or_else(|| corrupt(path, epoch + 1, &format!("this is not the whole row of epoch {epoch}")))
}

fn corrupt(path: &Path, line: usize, problem: &str) -> RunError {
    RunError::Corrupt { path: path.to_owned(), line, problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "0.1,2.3,0.1,0.5,2.2,0.2,0.6,0.090,1614.8,134";

    fn table(rows: &[&str]) -> String {
        format!("{EPOCH_COLUMNS}\n{}", rows.concat())
    }

    /// What one of them takes for rows the other does too; a step of 0.5 used to go on from and could not be drawn.
    #[test]
    fn a_run_goes_on_from_the_rows_that_can_be_drawn_and_from_no_others() {
        let path = Path::new("epochs.csv");
        let good = format!("1,2,{ROW}\n");
        let broken = [
            format!("2,0.5,{ROW}\n"),
            format!("1.5,4,{ROW}\n"),
            format!("1,4,{ROW}\n"),
            format!("3,4,{ROW}\n"),
            format!("2,-4,{ROW}\n"),
            format!("2,4,{ROW},1\n"),
            format!("2,4,{}\n", &ROW[..ROW.len() - 4]),
            "\n".to_owned(),
        ];
        for second in &broken {
            // The third row shows that the second is not merely left out as the last.
            let text = table(&[&good, second, &good.replacen('1', "3", 1)]);
            assert!(parse_epochs(&text, path).is_err(), "{second}");
            assert!(first_epochs(&text, 2, path).is_err(), "{second}");
            assert_eq!(first_epochs(&text, 1, path).unwrap(), table(&[&good]), "{second}");
        }
        let text = table(&[&good, &good.replacen('1', "2", 1)]);
        assert_eq!(first_epochs(&text, 2, path).unwrap(), text);
        let rows = parse_epochs(&text, path).unwrap();
        assert_eq!(rows.iter().map(|row| row.epoch).collect::<Vec<_>>(), [1, 2]);
        // A row without its end is none yet.
        assert_eq!(parse_epochs(text.trim_end(), path).unwrap(), rows[..1]);
        assert!(first_epochs(text.trim_end(), 2, path).is_err());
    }
}
