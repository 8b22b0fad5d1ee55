//! What a column of results is: a setting that was chosen, a result that came out, a circumstance.
//!
//! Strata's own columns are known. Those of foreign tables are judged by their names and cells: `val_acc` with numbers in
//! it is a result, `optimizer` and whatever else is a setting.

use super::table::Table;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Name,
    /// The file that a row is from.
    Source,
    /// What a run of ours computed in follows from its experiment.
    Precision,
    Seed,
    Status,
    Setting,
    /// Follows from the settings: parameters, multiply-adds.
    Cost,
    /// Epochs that were run: a setting in foreign tables, an outcome in ours.
    Epochs,
    Result,
    /// `expect.…`, a published result.
    Expected,
    /// Shown only when asked for.
    Circumstance,
}

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

/// Words that may follow: `acc_val`, `error rate`, `top 1`, `memory_mib`.
const ENDINGS: [&str; 25] = [
    "1", "5", "average", "avg", "best", "eval", "epoch", "final", "gib", "high", "low", "max", "mean", "mib", "min",
    "ms", "n", "pct", "percent", "rate", "s", "std", "test", "train", "val",
];

/// Words of results that are better when they are lower.
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

/// Functions over epochs begin the names of the columns they give.
pub const FUNCTIONS: [&str; 6] = ["max", "min", "final", "first", "mean", "epoch of"];

/// The kind of every column.
pub fn kinds(table: &Table) -> Vec<Kind> {
    table.columns.iter().enumerate().map(|(index, name)| kind(table, index, name)).collect()
}

fn kind(table: &Table, index: usize, name: &str) -> Kind {
    match name {
        "name" => Kind::Name,
        "source" => Kind::Source,
        "seed" => Kind::Seed,
        "status" => Kind::Status,
        "params" | "macs" | "activations" => Kind::Cost,
        "epochs" => Kind::Epochs,
        "precision" => Kind::Precision,
        // `n` counts the runs of a line in tables of means.
        "n" | "key" | "best_epoch" | "test_correct" | "test_total" | "seconds" | "device" | "git" | "started"
        | "sha256" => Kind::Circumstance,
        _ if name.starts_with("expect.") => Kind::Expected,
        _ if FUNCTIONS
            .iter()
            .any(|function| name.split_once(function).is_some_and(|(a, b)| a.is_empty() && b.starts_with(' '))) =>
        {
            Kind::Result
        }
        _ if is_key(name) => Kind::Setting,
        _ if is_measured(name) && numeric(table, index) => Kind::Result,
        _ => Kind::Setting,
    }
}

/// A key of our experiment files: these are settings whatever they are called.
fn is_key(name: &str) -> bool {
    let table = name.split('.').next().unwrap_or_default();
    name.contains('.') && ["data", "model", "train", "scaling"].contains(&table)
}

/// The last word that says something names a measured value: `val_acc` does, `loss_weight` and `top_k` do not.
fn is_measured(name: &str) -> bool {
    let words: Vec<String> = words(name).filter(|word| !word.is_empty()).collect();
    let mut telling = words.iter().rev().map(String::as_str).skip_while(|word| ENDINGS.contains(word));
    telling.next().is_some_and(|word| RESULTS.contains(&word))
}

fn words(name: &str) -> impl Iterator<Item = String> + '_ {
    name.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase)
}

fn numeric(table: &Table, column: usize) -> bool {
    table.rows.iter().all(|row| row[column].is_empty() || row[column].parse::<f64>().is_ok())
}

/// Whether a smaller value of this column is the better one.
pub fn lower_is_better(column: &str) -> bool {
    words(column).any(|word| LOWER.contains(&word.as_str()))
}

/// Whether the column holds fractions of right answers, which are written with four digits at least.
pub fn is_accuracy(column: &str) -> bool {
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
        let columns = ["train.loss", "metrics.loss", "loss", "max val_top1", "maximum", "expect.test_top1", "macs"];
        let mut table = Table::new(&columns);
        table.rows.push(vec!["1".to_owned(); columns.len()]);
        use Kind::{Cost, Expected, Result, Setting};
        assert_eq!(kinds(&table), [Setting, Result, Result, Result, Setting, Expected, Cost]);
        table.rows[0][2] = "cross_entropy".to_owned();
        assert_eq!(kinds(&table)[2], Setting, "a loss that is a word was chosen");
    }
}
