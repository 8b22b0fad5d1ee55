//! The `[sweep]` table: lists on dotted keys, every combination of which is an experiment.
//!
//! ```toml
//! [sweep]
//! model.depth = [20, 32, 44]        # with the next line a grid of nine
//! seed = [0, 1, 2]
//! zip = [{ name = ["a", "b"], model = [{ preset = "nin" }, { preset = "vgg" }] }]   # these vary together
//! ```

use super::document::{Document, override_line};
use super::experiment::{Experiment, Machine, build};
use super::problem::{ConfigError, Problem, Source};
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A sweep: its points in the order they are run.
#[derive(Debug)]
pub struct Sweep {
    pub name: String,
    /// The keys that vary.
    pub keys: Vec<String>,
    pub points: Vec<Point>,
}

/// One experiment of a sweep.
#[derive(Debug)]
pub struct Point {
    /// A value for each of the sweep's keys.
    pub values: Vec<String>,
    pub experiment: Experiment,
}

/// More points than a person means.
const MAX_POINTS: usize = 10_000;

type Value<'a> = Spanned<DeValue<'a>>;

/// Keys that vary together: each step sets all of them.
struct Axis<'a> {
    keys: Vec<String>,
    steps: Vec<Vec<Value<'a>>>,
}

impl Sweep {
    /// Reads the sweep of an experiment file and checks every point of it.
    ///
    /// # Errors
    /// As [`Experiment::load`], for the file and for each point; and for a file without `[sweep]`.
    pub fn load(path: &Path, overrides: &[String], machine: Machine) -> Result<Sweep, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::file(format!("cannot read {}: {error}", path.display())))?;
        let name = path.file_stem().map_or_else(|| "sweep".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let mut source = Source::new(path.display().to_string(), text);
        for text in overrides {
            source.push_override(&override_line(text)?);
        }
        let document = Document::parse(&source)?;
        expand(&document.root, &name, machine).map_err(|problem| document.error(&problem))
    }
}

fn expand(root: &DeTable, name: &str, machine: Machine) -> Result<Sweep, Problem> {
    let mut base = root.clone();
    let Some(sweep) = base.remove("sweep") else {
        return Err(Problem::at("", "this file has no [sweep] table").help("`strata train` runs a single experiment"));
    };
    let span = sweep.span();
    let DeValue::Table(sweep) = sweep.into_inner() else {
        return Err(Problem::span(span, "`sweep` is a table of lists: [sweep] model.depth = [20, 32]"));
    };
    let mut axes = Vec::new();
    collect(sweep, "", &mut axes)?;
    let count = axes.iter().try_fold(1usize, |count, axis| count.checked_mul(axis.steps.len())).unwrap_or(usize::MAX);
    if count == 0 || count > MAX_POINTS {
        return Err(Problem::span(span, format!("a sweep has 1 to {MAX_POINTS} points, not {count}")));
    }
    let keys: Vec<String> = axes.iter().flat_map(|axis| axis.keys.clone()).collect();
    if let Some((_, key)) = keys.iter().enumerate().find(|(index, key)| keys[..*index].contains(key)) {
        return Err(Problem::span(span, format!("`{key}` is swept twice")));
    }
    let mut points = Vec::with_capacity(count);
    for number in 0..count {
        let mut table = base.clone();
        let mut values = Vec::new();
        // The last axis turns fastest, as the innermost of nested loops.
        let mut rest = number;
        let mut chosen = Vec::new();
        for axis in axes.iter().rev() {
            chosen.push((axis, rest % axis.steps.len()));
            rest /= axis.steps.len();
        }
        for (axis, step) in chosen.into_iter().rev() {
            for (key, value) in axis.keys.iter().zip(&axis.steps[step]) {
                values.push(text_of(value.get_ref()));
                set(&mut table, key, value.clone())?;
            }
        }
        points.push(Point { values, experiment: build(&table, name, machine)? });
    }
    Ok(Sweep { name: name.to_owned(), keys, points })
}

/// Finds the axes in a table of lists: tables are entered, a list is an axis.
fn collect<'a>(table: DeTable<'a>, prefix: &str, axes: &mut Vec<Axis<'a>>) -> Result<(), Problem> {
    for (key, value) in table {
        let dotted = if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        let span = value.span();
        match value.into_inner() {
            DeValue::Array(groups) if dotted == "zip" => {
                for group in groups {
                    axes.push(zipped(group)?);
                }
            }
            DeValue::Table(inner) => collect(inner, &dotted, axes)?,
            DeValue::Array(steps) if steps.iter().next().is_some() => {
                axes.push(Axis { keys: vec![dotted], steps: steps.into_iter().map(|step| vec![step]).collect() });
            }
            _ => return Err(Problem::span(span, format!("`{dotted}` is swept, so it is a list of values"))),
        }
    }
    Ok(())
}

/// A group of `zip`: lists of one length, gone through side by side.
fn zipped(group: Value) -> Result<Axis, Problem> {
    let span = group.span();
    let DeValue::Table(group) = group.into_inner() else {
        return Err(Problem::span(
            span,
            "`zip` is a list of tables of lists: zip = [{ seed = [0, 1], train.lr = [1, 2] }]",
        ));
    };
    let mut lists = Vec::new();
    collect(group, "", &mut lists)?;
    let length = lists.first().map_or(0, |list| list.steps.len());
    if let Some(other) = lists.iter().find(|list| list.steps.len() != length) {
        let message = format!(
            "lists that vary together have one length, but `{}` has {} values and `{}` {length}",
            other.keys.join(", "),
            other.steps.len(),
            lists[0].keys.join(", ")
        );
        return Err(Problem::span(span, message));
    }
    let keys = lists.iter().flat_map(|list| list.keys.clone()).collect();
    let steps = (0..length).map(|step| lists.iter().flat_map(|list| list.steps[step].clone()).collect()).collect();
    Ok(Axis { keys, steps })
}

/// Sets a dotted key, making the tables on the way.
fn set<'a>(table: &mut DeTable<'a>, key: &str, value: Value<'a>) -> Result<(), Problem> {
    let Some((first, rest)) = key.split_once('.') else {
        let span = value.span();
        table.insert(Spanned::new(span, key.to_owned().into()), value);
        return Ok(());
    };
    let span = value.span();
    if table.get(first).is_none() {
        let empty = Spanned::new(span.clone(), DeValue::Table(DeTable::new()));
        table.insert(Spanned::new(span.clone(), first.to_owned().into()), empty);
    }
    match table.get_mut(first).map(Spanned::get_mut) {
        Some(DeValue::Table(inner)) => set(inner, rest, value),
        _ => Err(Problem::span(span, format!("`{first}` is not a table, so `{key}` cannot be swept"))
            .help("rows are swept by `model.override.NAME.COLUMN`")),
    }
}

/// A value as a cell of a table.
fn text_of(value: &DeValue) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(items) => {
            format!("[{}]", items.iter().map(|item| text_of(item.get_ref())).collect::<Vec<_>>().join(", "))
        }
        DeValue::Table(table) => {
            let pairs: Vec<String> =
                table.iter().map(|(key, value)| format!("{}={}", key.get_ref(), text_of(value.get_ref()))).collect();
            pairs.join(" ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "[data]\ndataset = 'synthetic'\nvalidation = 400\n[model]\npreset = 'resnet'\nlayout = 'cifar'\ndepth = 8\n[train]\nepochs = 1\n";

    fn sweep(text: &str) -> Result<Sweep, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sizes.toml");
        std::fs::write(&path, format!("{BASE}{text}")).unwrap();
        Sweep::load(&path, &[], Machine::default()).map_err(|error| error.message)
    }

    #[test]
    fn lists_make_a_grid_whose_last_axis_turns_fastest() {
        let sweep = sweep("[sweep]\nmodel.depth = [8, 14]\nseed = [0, 1, 2]").unwrap();
        assert_eq!(sweep.keys, ["model.depth", "seed"]);
        let values: Vec<String> = sweep.points.iter().map(|point| point.values.join("/")).collect();
        assert_eq!(values, ["8/0", "8/1", "8/2", "14/0", "14/1", "14/2"]);
        let keys: std::collections::HashSet<String> = sweep.points.iter().map(|p| p.experiment.key()).collect();
        assert_eq!(keys.len(), 6);
    }

    #[test]
    fn zip_varies_together_and_whole_models_can_vary() {
        let text = "[sweep]\nzip = [{ name = ['a', 'b'], model = [{ preset = 'nin' }, { preset = 'highway' }] }]";
        let sweep = sweep(text).unwrap();
        let names: Vec<&str> = sweep.points.iter().map(|point| point.experiment.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn what_cannot_be_swept_is_said() {
        assert_eq!(sweep("").unwrap_err(), "this file has no [sweep] table");
        assert_eq!(sweep("[sweep]\nseed = 3").unwrap_err(), "`seed` is swept, so it is a list of values");
        assert!(sweep("[sweep]\nmodel.dept = [8]").unwrap_err().contains("`dept`"));
        assert!(sweep("[sweep]\nzip = [{ seed = [1, 2], train.lr = [1] }]").unwrap_err().contains("one length"));
    }
}
