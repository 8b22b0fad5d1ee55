//! Functions over a run's epochs as columns: `max val_top1`, `final train_loss`, `epoch of max val_top1`.

use super::{CompareError, suggested, unknown_column};
use crate::config::nearest;
use crate::runs::roles::{FUNCTIONS, is_accuracy};
use crate::runs::{EpochRow, Epochs, Records, accuracy, significant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fold {
    Max,
    Min,
    Final,
    First,
    Mean,
    EpochOfMax,
    EpochOfMin,
}

/// A function of a column of `epochs.csv`.
#[derive(Clone, Debug, PartialEq)]
struct Function {
    fold: Fold,
    column: String,
}

/// Parses a function; `None` for the name of a column.
fn parse(text: &str) -> Result<Option<Function>, CompareError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (fold, column) = match words.as_slice() {
        ["max", column] => (Fold::Max, column),
        ["min", column] => (Fold::Min, column),
        ["final", column] => (Fold::Final, column),
        ["first", column] => (Fold::First, column),
        ["mean", column] => (Fold::Mean, column),
        ["epoch", "of", "max", column] => (Fold::EpochOfMax, column),
        ["epoch", "of", "min", column] => (Fold::EpochOfMin, column),
        [function, column] if is_epoch_column(column) => {
            let hint = match nearest(function, &FUNCTIONS) {
                Some(near) => format!("did you mean `{near} {column}`?"),
                None => "functions are max, min, final, first, mean, epoch of max, epoch of min".to_owned(),
            };
            return Err(CompareError::Function { text: text.to_owned(), hint });
        }
        _ => return Ok(None),
    };
    if !is_epoch_column(column) {
        let hint = match suggested(column, EpochRow::COLUMNS) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("epochs.csv has {}", EpochRow::COLUMNS.join(", ")),
        };
        return Err(CompareError::Function { text: text.to_owned(), hint });
    }
    Ok(Some(Function { fold, column: (*column).to_owned() }))
}

fn is_epoch_column(name: &str) -> bool {
    EpochRow::COLUMNS.contains(&name)
}

/// Adds a column for each function among `names`. Names of existing columns are ignored.
///
/// # Errors
/// When a name is neither a column nor a function, or the `epochs.csv` of a run cannot be read.
pub(super) fn add_columns<'a>(records: &mut Records, names: impl Iterator<Item = &'a str>) -> Result<(), CompareError> {
    let mut functions: Vec<(&str, Function)> = Vec::new();
    for name in names {
        if records.column(name).is_some() || functions.iter().any(|(known, _)| *known == name) {
            continue;
        }
        match parse(name)? {
            Some(function) => functions.push((name, function)),
            None => return Err(unknown_column(records, name)),
        }
    }
    if functions.is_empty() {
        return Ok(());
    }
    let folder = |row: usize| records.origin(row).folder.as_deref();
    let epochs = |row: usize| folder(row).map_or(Ok(None), Epochs::find);
    let epochs: Vec<Option<Epochs>> = (0..records.rows.len()).map(epochs).collect::<Result<_, _>>()?;
    for (name, function) in functions {
        let cells = epochs.iter().map(|epochs| function.text(epochs.as_deref().unwrap_or_default())).collect();
        records.add_column(name.to_owned(), cells);
    }
    Ok(())
}

impl Function {
    /// The cell; empty without epochs.
    fn text(&self, epochs: &[EpochRow]) -> String {
        let value = |row: &EpochRow| row.get(&self.column).unwrap_or(f64::NAN);
        let finite = || epochs.iter().filter(|row| value(row).is_finite());
        // The first of equals, as for the best epoch of a run.
        let max = || finite().rev().max_by(|a, b| value(a).total_cmp(&value(b)));
        let min = || finite().min_by(|a, b| value(a).total_cmp(&value(b)));
        let number = match self.fold {
            Fold::Max => max().map(value),
            Fold::Min => min().map(value),
            Fold::Final => epochs.last().map(value),
            Fold::First => epochs.first().map(value),
            Fold::Mean => {
                let count = finite().count();
                (count > 0).then(|| finite().map(value).sum::<f64>() / count as f64)
            }
            Fold::EpochOfMax => return max().map(|row| row.epoch.to_string()).unwrap_or_default(),
            Fold::EpochOfMin => return min().map(|row| row.epoch.to_string()).unwrap_or_default(),
        };
        let written = if is_accuracy(&self.column) { accuracy } else { significant };
        number.map(written).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs() -> Vec<EpochRow> {
        let row = |epoch: usize, val_top1: f64, val_loss: f64| EpochRow {
            epoch,
            step: 10 * epoch as u64,
            lr: 0.1,
            train_loss: 1.0,
            train_top1: 0.5,
            train_top5: 0.9,
            val_loss,
            val_top1,
            val_top5: 1.0,
            epoch_seconds: 1.0,
            images_per_second: 100.0,
            peak_memory_mib: 1.0,
        };
        vec![row(1, 0.5, 2.0), row(2, 0.75, f64::NAN), row(3, 0.75, 1.0), row(4, 0.25, 1.5)]
    }

    #[test]
    fn functions_over_epochs() {
        let text = |text: &str| parse(text).unwrap().unwrap().text(&epochs());
        assert_eq!(text("max val_top1"), "0.750000");
        assert_eq!(text("epoch of max val_top1"), "2", "the first of equals");
        assert_eq!([text("min val_loss"), text("epoch of min val_loss"), text("mean val_loss")], ["1", "3", "1.5"]);
        assert_eq!([text("final step"), text("first  val_top1")], ["40", "0.500000"]);
        assert_eq!(parse("max val_top1").unwrap().unwrap().text(&[]), "");
    }

    #[test]
    fn a_typo_gets_the_nearest_name() {
        let message = |text: &str| parse(text).unwrap_err().to_string();
        assert!(message("max val_topl").contains("did you mean `val_top1`?"));
        assert!(message("maxi val_top1").contains("did you mean `max val_top1`?"));
        assert!(message("kurtosis val_top1").contains("functions are max, min"));
        assert_eq!(parse("train.lr").unwrap(), None);
    }
}
