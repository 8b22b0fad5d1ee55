//! `epochs.csv`, the table of a run with a row for each epoch.

use super::error::RunError;
use super::format::{accuracy, significant};
use std::ops::Deref;
use std::path::Path;
use std::str::SplitInclusive;

macro_rules! epoch_row {
    ($($(#[$doc:meta])* $column:ident: $number:ty => $write:expr,)*) => {
        /// The row of one epoch.
        #[derive(Clone, Debug, PartialEq)]
        pub struct EpochRow { $($(#[$doc])* pub $column: $number,)* }

        impl EpochRow {
            pub const COLUMNS: &'static [&'static str] = &[$(stringify!($column)),*];

            /// Reads a line of `epochs.csv`; `None` for anything else.
            pub fn parse(line: &str) -> Option<EpochRow> {
                let mut cells = line.trim_end().split(',');
                let row = EpochRow { $($column: cells.next()?.parse().ok()?,)* };
                cells.next().is_none().then_some(row)
            }

            /// The line in `epochs.csv`, with its line break.
            pub fn line(&self) -> String {
                [$($write(self.$column)),*].join(",") + "\n"
            }

            /// The number in a column; `None` where there is no such column.
            pub fn get(&self, column: &str) -> Option<f64> {
                match column {
                    $(stringify!($column) => Some(self.$column as f64),)*
                    _ => None,
                }
            }
        }
    };
}

epoch_row! {
    /// Counted from 1.
    epoch: usize => count,
    step: u64 => count,
    lr: f64 => significant,
    train_loss: f64 => significant,
    train_top1: f64 => accuracy,
    train_top5: f64 => accuracy,
    val_loss: f64 => significant,
    val_top1: f64 => accuracy,
    val_top5: f64 => accuracy,
    epoch_seconds: f64 => decimals::<3>,
    images_per_second: f64 => decimals::<1>,
    peak_memory_mib: f64 => decimals::<0>,
}

fn count(number: impl ToString) -> String {
    number.to_string()
}

fn decimals<const DIGITS: usize>(number: f64) -> String {
    format!("{number:.DIGITS$}")
}

/// The rows of an `epochs.csv`, which begin with epoch 1 and leave none out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Epochs(pub(crate) Vec<EpochRow>);

impl Deref for Epochs {
    type Target = [EpochRow];

    fn deref(&self) -> &[EpochRow] {
        &self.0
    }
}

impl FromIterator<EpochRow> for Epochs {
    fn from_iter<T: IntoIterator<Item = EpochRow>>(rows: T) -> Epochs {
        Epochs(rows.into_iter().collect())
    }
}

impl Epochs {
    /// The first line of `epochs.csv`, without its line break.
    pub fn header() -> String {
        EpochRow::COLUMNS.join(",")
    }

    /// Reads the `epochs.csv` of a run. A last row that is incomplete, because it is being written or its writer was killed,
    /// is ignored.
    ///
    /// # Errors
    /// When the file cannot be read, or something other than a row precedes its last line.
    pub fn read(run: &Path) -> Result<Epochs, RunError> {
        let path = run.join("epochs.csv");
        let text = std::fs::read_to_string(&path).map_err(RunError::io("read", &path))?;
        Epochs::parse(&text, &path)
    }

    /// Reads the `epochs.csv` of a run like [`Epochs::read`]; `None` for a run that has none yet.
    pub fn find(run: &Path) -> Result<Option<Epochs>, RunError> {
        if run.join("epochs.csv").is_file() { Epochs::read(run).map(Some) } else { Ok(None) }
    }

    /// Parses the text of an `epochs.csv`; `path` is named in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Epochs, RunError> {
        let mut lines = lines(text, path)?.peekable();
        let mut rows = Vec::new();
        while let Some(line) = lines.next() {
            match row_of(rows.len() + 1, line, path) {
                Ok(row) => rows.push(row),
                Err(_) if lines.peek().is_none() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Epochs(rows))
    }

    /// The text of an `epochs.csv` up to the row of epoch `epochs`, whatever follows; `path` is named in errors.
    ///
    /// # Errors
    /// When one of these rows is missing or damaged.
    pub fn prefix(text: &str, epochs: usize, path: &Path) -> Result<String, RunError> {
        let mut lines = lines(text, path)?;
        let mut prefix = Epochs::header() + "\n";
        for epoch in 1..=epochs {
            let line = lines.next().ok_or_else(|| corrupt(path, epoch + 1, "a row is missing"))?;
            row_of(epoch, line, path)?;
            prefix.push_str(line);
        }
        Ok(prefix)
    }

    /// The epoch with the highest validation Top-1, the first of equals.
    pub fn best(&self) -> Option<&EpochRow> {
        self.iter().rev().max_by(|a, b| a.val_top1.total_cmp(&b.val_top1))
    }
}

/// The lines after the header.
fn lines<'a>(text: &'a str, path: &Path) -> Result<SplitInclusive<'a, char>, RunError> {
    let mut lines = text.split_inclusive('\n');
    match lines.next() {
        Some(header) if header.trim_end() == Epochs::header() => Ok(lines),
        _ => Err(corrupt(path, 1, "the header is not that of this version")),
    }
}

/// Parses the row of an epoch. A line without a line break may lack digits, too.
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
        format!("{}\n{}", Epochs::header(), rows.concat())
    }

    /// Both readers accept the same rows. A run with a step of 0.5 in its table used to be resumable but not drawable.
    #[test]
    fn resuming_and_drawing_accept_the_same_rows() {
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
            // A third row, because a broken last one is ignored.
            let text = table(&[&good, second, &good.replacen('1', "3", 1)]);
            assert!(Epochs::parse(&text, path).is_err(), "{second}");
            assert!(Epochs::prefix(&text, 2, path).is_err(), "{second}");
            assert_eq!(Epochs::prefix(&text, 1, path).unwrap(), table(&[&good]), "{second}");
        }
        let text = table(&[&good, &good.replacen('1', "2", 1)]);
        assert_eq!(Epochs::prefix(&text, 2, path).unwrap(), text);
        let rows = Epochs::parse(&text, path).unwrap();
        assert_eq!(rows.iter().map(|row| row.epoch).collect::<Vec<_>>(), [1, 2]);
        // A row without its line break is incomplete.
        assert_eq!(Epochs::parse(text.trim_end(), path).unwrap()[..], rows[..1]);
        assert!(Epochs::prefix(text.trim_end(), 2, path).is_err());
    }
    #[test]
    fn an_incomplete_last_row_is_ignored_and_other_damage_is_an_error() {
        let rows = "1,5,0.1,2,0.2,0.5,2.1,0.21,0.5,1.0,100.0,0\n2,10,0.1,1,0.4,0.5,1.1,0.41,0.5,1.0,100.0,0\n";
        let parse = |text: &str| Epochs::parse(text, Path::new("epochs.csv")).map_err(|error| error.to_string());
        let whole = parse(&table(&[rows])).unwrap();
        assert_eq!((whole.len(), whole[1].step, whole[1].val_top1), (2, 10, 0.41));
        for cut in ["3,15", "3,15,0.1,1,0.4,0.5,1.1,0.41,0.5,1.0,100.0,0", "x\n"] {
            assert_eq!(parse(&table(&[rows, cut])).unwrap(), whole, "{cut}");
        }
        let broken = parse(&table(&["3,15\n", rows])).unwrap_err();
        assert!(broken.contains("epochs.csv, line 2: "), "{broken}");
        assert!(parse("a,b\n").unwrap_err().contains("line 1"));
        assert_eq!(whole.best().map(|row| row.get("val_top1")), Some(Some(0.41)));
    }
}
