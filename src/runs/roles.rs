//! The role of a column. Strata's own columns are known ([`Column`]); those of foreign tables are judged by their names and
//! cells: `val_acc` with numbers in it is a result, `optimizer` and anything else is a setting.

use super::columns::{Column, ColumnRole};

/// Words that name a measured value.
const RESULTS: [&str; 28] = [
    "acc",
    "accuracy",
    "auc",
    "bleu",
    "correct",
    "err",
    "error",
    "f1",
    "latency",
    "loss",
    "map",
    "mae",
    "memory",
    "mse",
    "perplexity",
    "ppl",
    "psnr",
    "recall",
    "rmse",
    "score",
    "second",
    "seconds",
    "speed",
    "throughput",
    "time",
    "top",
    "top1",
    "top5",
];

/// Words that may follow the name of a measured value: `acc_val`, `error rate`, `top 1`, `memory_mib`.
const ENDINGS: [&str; 25] = [
    "1", "5", "average", "avg", "best", "eval", "epoch", "final", "gib", "high", "low", "max", "mean", "mib", "min",
    "ms", "n", "pct", "percent", "rate", "s", "std", "test", "train", "val",
];

/// Words that name values for which lower is better.
const LOWER: [&str; 14] = [
    "err",
    "error",
    "latency",
    "loss",
    "mae",
    "memory",
    "mse",
    "perplexity",
    "ppl",
    "rmse",
    "seconds",
    "time",
    "macs",
    "params",
];

/// Functions over epochs, which are the first words of the columns they produce.
pub(crate) const FUNCTIONS: [&str; 6] = ["max", "min", "final", "first", "mean", "epoch of"];

/// The role of a column of this name; `cells` are its texts.
pub(crate) fn role_of<'a>(name: &str, mut cells: impl Iterator<Item = &'a str>) -> ColumnRole {
    if let Some(role) = Column::named(name).map(Column::role).filter(|role| *role != ColumnRole::Result) {
        return role;
    }
    let is_function =
        || FUNCTIONS.iter().any(|function| name.strip_prefix(function).is_some_and(|rest| rest.starts_with(' ')));
    match name {
        "source" => ColumnRole::Source,
        "activations" => ColumnRole::Cost,
        // The number of runs of a row, in tables of means.
        "n" => ColumnRole::Environment,
        _ if name.starts_with("expect.") => ColumnRole::Expected,
        _ if is_function() => ColumnRole::Result,
        _ if is_key(name) => ColumnRole::Setting,
        _ if is_measured(name) && cells.all(|cell| cell.is_empty() || cell.parse::<f64>().is_ok()) => {
            ColumnRole::Result
        }
        _ => ColumnRole::Setting,
    }
}

/// Whether this is a key of an experiment file; these are settings, whatever they are called.
fn is_key(name: &str) -> bool {
    let table = name.split('.').next().unwrap_or_default();
    name.contains('.') && ["data", "model", "train", "init", "scaling"].contains(&table)
}

/// Whether the last meaningful word names a measured value: it does in `val_acc`, not in `loss_weight` or `top_k`.
fn is_measured(name: &str) -> bool {
    let words: Vec<String> = words(name).filter(|word| !word.is_empty()).collect();
    let mut telling = words.iter().rev().map(String::as_str).skip_while(|word| ENDINGS.contains(word));
    telling.next().is_some_and(|word| RESULTS.contains(&word))
}

fn words(name: &str) -> impl Iterator<Item = String> + '_ {
    name.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase)
}

pub(crate) fn lower_is_better(column: &str) -> bool {
    words(column).any(|word| LOWER.contains(&word.as_str()))
}

/// Whether the column holds accuracies as fractions, which are written with four digits at least.
pub(crate) fn is_accuracy(column: &str) -> bool {
    (column.ends_with("top1") || column.ends_with("top5")) && !column.starts_with("epoch of ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_columns_are_judged_by_their_last_telling_word() {
        for name in
            ["val_acc", "acc/val", "Test Error (%)", "error rate", "top-1", "val_top1", "train loss", "memory_mib"]
        {
            assert!(is_measured(name), "{name}");
        }
        for name in ["lr", "loss_weight", "top_k", "time_steps", "val", "max depth", "score threshold", "", "%"] {
            assert!(!is_measured(name), "{name}");
        }
    }

    #[test]
    fn keys_of_experiments_are_settings_whatever_they_are_called() {
        use ColumnRole::{Cost, Expected, Result, Setting};
        let number = |name: &str| role_of(name, ["1"].into_iter());
        let columns = ["train.loss", "metrics.loss", "loss", "max val_top1", "maximum", "expect.test_top1", "macs"];
        assert_eq!(columns.map(number), [Setting, Result, Result, Result, Setting, Expected, Cost]);
        assert_eq!(role_of("loss", ["cross_entropy"].into_iter()), Setting, "a loss that is a word was chosen");
    }
}
