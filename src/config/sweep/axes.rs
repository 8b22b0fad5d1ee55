//! Grid axes: lists on dotted keys, and groups of lists that vary together.

use crate::config::problem::Problem;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// Keys that vary together: each step sets all of them.
pub(super) struct Axis<'a> {
    pub keys: Vec<String>,
    pub steps: Vec<Vec<Value<'a>>>,
}

impl Axis<'_> {
    /// Refuses a value that is listed twice, which would only repeat points.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let texts: Vec<Vec<String>> =
            self.steps.iter().map(|step| step.iter().map(|value| text_of(value.get_ref())).collect()).collect();
        let mut seen = std::collections::HashSet::new();
        for (step, text) in self.steps.iter().zip(&texts) {
            if !seen.insert(text) {
                let span = step.first().map_or(0..0, Spanned::span);
                let message = format!("`{}` has the value {} twice", self.keys.join(", "), text.join(", "));
                return Err(Problem::span(span, message));
            }
        }
        Ok(())
    }
}

/// `model` and `depth` as `model.depth`.
pub(super) fn dotted(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

/// Finds the axes in a table of lists: tables are entered, a list is an axis.
pub(super) fn collect<'a>(table: DeTable<'a>, prefix: &str, axes: &mut Vec<Axis<'a>>) -> Result<(), Problem> {
    for (key, value) in table {
        let dotted = dotted(prefix, key.get_ref());
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
            DeValue::Array(_) => {
                let message = format!("`{dotted}` is swept and its list is empty: give it at least one value");
                return Err(Problem::span(span, message));
            }
            _ => return Err(Problem::span(span, format!("`{dotted}` is swept, so it is a list of values"))),
        }
    }
    Ok(())
}

/// Reads a group of `zip`: lists of equal length that advance together.
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
            "lists that vary together have one length, but `{}` has {} and `{}` {length}",
            other.keys.join(", "),
            if other.steps.len() == 1 { "1 value".to_owned() } else { format!("{} values", other.steps.len()) },
            lists[0].keys.join(", ")
        );
        return Err(Problem::span(span, message));
    }
    let keys = lists.iter().flat_map(|list| list.keys.clone()).collect();
    let steps = (0..length).map(|step| lists.iter().flat_map(|list| list.steps[step].clone()).collect()).collect();
    Ok(Axis { keys, steps })
}

/// Sets a dotted key, making the tables on the way.
pub(super) fn set<'a>(table: &mut DeTable<'a>, key: &str, value: Value<'a>) -> Result<(), Problem> {
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
pub(super) fn text_of(value: &DeValue) -> String {
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
