//! The differences between two runs or experiments: keys, rows of the network, cost, environment, results.

use crate::config::Experiment;
use crate::runs::record::flatten;
use crate::runs::roles::lower_is_better;
use crate::runs::{Column, ColumnFormat, ColumnRole, Record, significant};
use similar::{Algorithm, DiffOp, capture_diff_slices};

/// One of the two runs or experiments.
pub struct Side {
    /// The run's folder or the experiment's file.
    pub title: String,
    pub experiment: Experiment,
    /// Empty for an experiment that has not run.
    pub record: Record,
    /// The content of `run.json`; null where there is none.
    pub environment: serde_json::Value,
}

/// Differences of one kind; no lines if there are none.
#[derive(Clone, Debug, PartialEq)]
pub struct DiffSection {
    pub title: &'static str,
    pub lines: Vec<DiffLine>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum DiffLine {
    /// Name, both values, and the difference.
    Values([String; 4]),
    /// A row of both networks, for context.
    Both(String),
    Removed(String),
    Added(String),
    /// The number of hidden equal rows.
    Skipped(usize),
}

/// Compares two runs or experiments.
pub fn diff(a: &Side, b: &Side) -> Vec<DiffSection> {
    vec![
        DiffSection { title: "experiment", lines: keys(a, b) },
        DiffSection { title: "network", lines: network(&rows(&a.experiment), &rows(&b.experiment)) },
        DiffSection { title: "cost", lines: cost(a, b) },
        DiffSection { title: "environment", lines: environment(a, b) },
        DiffSection { title: "results", lines: results(a, b) },
    ]
}

/// Keys that differ, without the rows of the network, which have a section of their own.
fn keys(a: &Side, b: &Side) -> Vec<DiffLine> {
    let keys = |side: &Side| {
        let mut columns = Vec::new();
        flatten("", &toml::Value::Table(side.experiment.to_toml()), &mut columns);
        columns.retain(|(key, _)| key != "model.rows");
        columns
    };
    differing(&keys(a), &keys(b), |_, _, _| String::new())
}

/// Pairs that differ, in the order of `a`, followed by those that only `b` has.
fn differing(
    a: &[(String, String)],
    b: &[(String, String)],
    change: impl Fn(&str, &str, &str) -> String,
) -> Vec<DiffLine> {
    let value = |pairs: &[(String, String)], key: &str| {
        pairs.iter().find(|(known, _)| known == key).map_or_else(|| "–".to_owned(), |(_, value)| value.clone())
    };
    let new = b.iter().filter(|(key, _)| !a.iter().any(|(known, _)| known == key));
    a.iter()
        .chain(new)
        .map(|(key, _)| (key, value(a, key), value(b, key)))
        .filter(|(_, a, b)| a != b)
        .map(|(key, a, b)| {
            let change = change(key, &a, &b);
            DiffLine::Values([key.clone(), a, b, change])
        })
        .collect()
}

/// The rows of a network as written, each with its output shape.
fn rows(experiment: &Experiment) -> Vec<String> {
    let table = experiment.to_toml_rows();
    let rows = table.get("model").and_then(|model| model.get("rows")).and_then(toml::Value::as_array);
    let text = |row: &toml::Value| {
        let mut columns = Vec::new();
        flatten("", row, &mut columns);
        let word = |(key, value): &(String, String)| if key == "op" { value.clone() } else { format!("{key}={value}") };
        columns.iter().map(word).collect::<Vec<_>>().join(" ")
    };
    let rows = rows.into_iter().flatten().map(text);
    rows.zip(&experiment.network.rows).map(|(row, nodes)| format!("{row} → {}", nodes.output)).collect()
}

/// Rows that differ, each change with one equal row before and after it.
fn network(a: &[String], b: &[String]) -> Vec<DiffLine> {
    let operations = capture_diff_slices(Algorithm::Myers, a, b);
    if operations.iter().all(|operation| matches!(operation, DiffOp::Equal { .. })) {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for (index, operation) in operations.iter().enumerate() {
        let (old, new) = (&a[operation.old_range()], &b[operation.new_range()]);
        if !matches!(operation, DiffOp::Equal { .. }) {
            // Equally many rows most likely correspond one to one.
            if old.len() == new.len() {
                let pairs = old.iter().zip(new);
                lines.extend(
                    pairs.flat_map(|(old, new)| [DiffLine::Removed(old.clone()), DiffLine::Added(new.clone())]),
                );
            } else {
                lines.extend(old.iter().cloned().map(DiffLine::Removed));
                lines.extend(new.iter().cloned().map(DiffLine::Added));
            }
            continue;
        }
        let before = usize::from(index > 0).min(old.len());
        let after = usize::from(index + 1 < operations.len()).min(old.len() - before);
        lines.extend(old[..before].iter().cloned().map(DiffLine::Both));
        if old.len() > before + after {
            lines.push(DiffLine::Skipped(old.len() - before - after));
        }
        lines.extend(old[old.len() - after..].iter().cloned().map(DiffLine::Both));
    }
    lines
}

fn cost(a: &Side, b: &Side) -> Vec<DiffLine> {
    let counts = |side: &Side| {
        let (network, cost) = (&side.experiment.network, side.experiment.network.cost());
        [
            ("depth", network.depth() as u64),
            ("parameters", cost.params),
            ("multiply-adds", cost.macs),
            ("activations", cost.activations),
        ]
        .map(|(name, count)| (name.to_owned(), count.to_string()))
    };
    let percent = |_: &str, a: &str, b: &str| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) if a > 0.0 => format!("{:+.1} %", 100.0 * (b / a - 1.0)),
        _ => String::new(),
    };
    differing(&counts(a), &counts(b), percent)
}

/// The fields of `run.json` without times, which always differ, and outcome.
fn environment(a: &Side, b: &Side) -> Vec<DiffLine> {
    let values = |side: &Side| -> Vec<(String, String)> {
        let Some(map) = side.environment.as_object() else { return Vec::new() };
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(words) => words
                .iter()
                .map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned))
                .collect::<Vec<_>>()
                .join(" "),
            other => other.to_string(),
        };
        let is_shown = |key: &&String| !matches!(key.as_str(), "started" | "finished" | "outcome");
        map.keys().filter(is_shown).map(|key| (key.clone(), text(&map[key]))).collect()
    };
    let (a, b) = (values(a), values(b));
    // Archived results have no `run.json`.
    if a.is_empty() || b.is_empty() { Vec::new() } else { differing(&a, &b, |_, _, _| String::new()) }
}

fn results(a: &Side, b: &Side) -> Vec<DiffLine> {
    let is_shown = |column: &Column| match column.role() {
        ColumnRole::Status | ColumnRole::Epochs | ColumnRole::Result => true,
        _ => matches!(column, Column::BestEpoch | Column::Seconds),
    };
    if a.record.is_empty() && b.record.is_empty() {
        return Vec::new();
    }
    let values = |side: &Side| -> Vec<(String, String)> {
        let text = |column: Column| side.record.get(column).filter(|value| !value.is_empty()).unwrap_or("–");
        let value = |column: Column| match (column.format(), text(column).parse::<f64>()) {
            (ColumnFormat::Accuracy, Ok(fraction)) => format!("{:.2} %", 100.0 * fraction),
            _ => text(column).to_owned(),
        };
        let columns = Column::ALL.iter().copied().filter(is_shown);
        columns.map(|column| (column.name().to_owned(), value(column))).collect()
    };
    let change = |column: &str, a: &str, b: &str| {
        let number = |text: &str| text.trim_end_matches(" %").parse::<f64>();
        let (Ok(a), Ok(b), unit) = (number(a), number(b), if a.ends_with('%') { " points" } else { "" }) else {
            return String::new();
        };
        let is_result = Column::named(column).is_some_and(|column| column.role() == ColumnRole::Result);
        let word = match (is_result, (b < a) == lower_is_better(column)) {
            (false, _) => "",
            (_, true) => ", better",
            (_, false) => ", worse",
        };
        let sign = if b > a { "+" } else { "" };
        format!("{sign}{}{unit}{word}", significant(((b - a) * 1e9).round() / 1e9))
    };
    differing(&values(a), &values(b), change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Machine;

    fn side(depth: usize, lr: f64, top1: &str) -> Side {
        let text = format!(
            "[data]\ndataset = 'synthetic'\nvalidation = 400\n[model]\npreset = 'resnet'\nlayout = 'cifar'\ndepth = {depth}\n[train]\nepochs = 1\nlr = {lr}\n"
        );
        Side {
            title: "test".to_owned(),
            experiment: Experiment::parse("test.toml", &text, "test", &[], Machine::default()).unwrap(),
            record: [("val_top1".to_owned(), top1.to_owned())].into_iter().collect(),
            environment: serde_json::json!({ "threads": depth, "started": top1, "command": ["strata", "train"] }),
        }
    }

    #[test]
    fn only_differences_are_listed() {
        let sections = diff(&side(8, 0.1, "0.5"), &side(14, 0.05, "0.75"));
        let values = |index: usize| -> Vec<String> {
            let texts = sections[index].lines.iter().filter_map(|line| match line {
                DiffLine::Values(texts) => Some(texts.join(" ").trim_end().to_owned()),
                _ => None,
            });
            texts.collect()
        };
        assert_eq!(values(0), ["model.depth 8 14", "train.lr 0.1 0.05"]);
        assert_eq!(values(3), ["threads 8 14"]);
        assert_eq!(values(4), ["val_top1 50.00 % 75.00 % +25 points, better"]);
        assert!(values(2)[0].starts_with("depth 8 14 +75.0 %"), "{:?}", values(2));
        let network = &sections[1].lines;
        assert!(
            network
                .iter()
                .any(|line| matches!(line, DiffLine::Removed(row) if row.starts_with("basic width=16 shortcut=B"))),
            "{network:?}"
        );
        assert!(
            network.iter().any(|line| matches!(line, DiffLine::Added(row) if row.contains("repeat=2"))),
            "{network:?}"
        );
    }

    #[test]
    fn equal_experiments_have_no_difference() {
        let sections = diff(&side(8, 0.1, "0.5"), &side(8, 0.1, "0.5"));
        assert!(sections.iter().all(|section| section.lines.is_empty()), "{sections:?}");
    }

    #[test]
    fn equal_rows_far_from_a_change_are_counted() {
        let texts = |rows: &str| rows.chars().map(String::from).collect::<Vec<_>>();
        let lines = network(&texts("abcdefg"), &texts("abcdxfg"));
        let both = |text: &str| DiffLine::Both(text.to_owned());
        let [x, e] = ["x", "e"].map(str::to_owned);
        assert_eq!(
            lines,
            [
                DiffLine::Skipped(3),
                both("d"),
                DiffLine::Removed(e),
                DiffLine::Added(x),
                both("f"),
                DiffLine::Skipped(1)
            ]
        );
    }
}
