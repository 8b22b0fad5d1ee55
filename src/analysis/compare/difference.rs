//! Differences against a baseline at equal seeds, and whether they are more than noise.

use super::filter::Where;
use super::group::{Group, by_seed, setting, texts};
use super::{CompareError, unknown_column};
use crate::analysis::collect::Collection;
use crate::analysis::statistics::Spread;
use crate::config::nearest;
use crate::runs::Table;
use crate::runs::roles::Kind;

/// What a group is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// It is the baseline itself.
    Itself,
    /// Another group, by its place.
    Group(usize),
    /// No group of the baseline has the same other settings.
    Nothing,
}

/// The mean of the differences at equal seeds; `None` without a common seed.
pub fn difference(table: &Table, group: &Group, baseline: &Group, metric: usize) -> Option<Spread> {
    let base = by_seed(table, baseline, metric);
    let pairs = by_seed(table, group, metric);
    // What is below 1e-12 is the rounding of the subtraction; two equal differences of 1e-17 would exclude zero.
    let subtract = |value: f64, base: f64| ((value - base) * 1e12).round() / 1e12;
    let common = pairs.iter().filter_map(|(seed, &value)| Some(subtract(value, *base.get(seed)?)));
    let differences: Vec<f64> = common.collect();
    Spread::of(&differences)
}

/// What every group is compared with. One group is the baseline of all. Several, as in
/// `--baseline model.shortcut=none` over several depths, are each that of the groups with the same depth.
///
/// # Errors
/// When no group is the baseline, or several are and their other settings do not tell them apart.
pub fn against(
    collection: &Collection,
    kinds: &[Kind],
    groups: &[Group],
    baseline: &[String],
) -> Result<Vec<Against>, CompareError> {
    let table = &collection.table;
    let conditions = conditions(table, baseline)?;
    let mut columns = Vec::new();
    for condition in &conditions {
        columns.push(table.column(&condition.column).ok_or_else(|| unknown_column(table, &condition.column))?);
    }
    let is_base = |group: &Group| {
        let holds = |row: &usize| {
            columns.iter().zip(&conditions).all(|(&column, condition)| condition.holds(&table.rows[*row][column]))
        };
        group.rows.iter().all(holds)
    };
    let bases: Vec<usize> = (0..groups.len()).filter(|&index| is_base(&groups[index])).collect();
    let named = baseline.join(", ");
    if bases.is_empty() {
        let hint = there_is(table, kinds, groups, &named, &columns);
        return Err(CompareError::NoBaseline { baseline: named, hint });
    }
    // Where there are several, what tells them apart: a group is compared with the one that agrees with it in that.
    let cell = |group: &Group, column: usize| {
        group.rows.first().and_then(|&row| setting(collection, kinds, row, column)).unwrap_or_default()
    };
    let varies =
        |column: usize| bases.iter().any(|&base| cell(&groups[base], column) != cell(&groups[bases[0]], column));
    let others: Vec<usize> = (0..kinds.len())
        .filter(|&column| matches!(kinds[column], Kind::Setting | Kind::Source) && !columns.contains(&column))
        .filter(|&column| varies(column))
        .collect();
    let other =
        |group: &Group| -> Vec<String> { others.iter().map(|&column| cell(group, column).to_owned()).collect() };
    let found: Vec<Against> = groups
        .iter()
        .enumerate()
        .map(|(index, group)| {
            if bases.contains(&index) {
                return Against::Itself;
            }
            if let [base] = bases.as_slice() {
                return Against::Group(*base);
            }
            let wanted = other(group);
            let mut fitting = bases.iter().filter(|&&base| other(&groups[base]) == wanted);
            match (fitting.next(), fitting.next()) {
                (Some(&base), None) => Against::Group(base),
                _ => Against::Nothing,
            }
        })
        .collect();
    if bases.len() > 1 && !found.iter().any(|against| matches!(against, Against::Group(_))) {
        return Err(CompareError::SeveralBaselines { baseline: named, count: bases.len() });
    }
    Ok(found)
}

/// The values, or settings, that are listed where nothing is the baseline.
const LISTED: usize = 5;

/// What could have been meant by a baseline that matches nothing: the nearest name, or a few of the values there are.
fn there_is(table: &Table, kinds: &[Kind], groups: &[Group], named: &str, columns: &[usize]) -> String {
    let listed = |column: usize| {
        let mut values: Vec<String> = Vec::new();
        for text in groups.iter().map(|group| texts(table, group, column)).filter(|text| !text.is_empty()) {
            if !values.contains(&text) {
                values.push(text);
            }
        }
        values
    };
    let told = |column: usize, values: &[String]| {
        let more = if values.len() > LISTED { ", …" } else { "" };
        format!("`{}` is {}{more}", table.columns[column], values[..values.len().min(LISTED)].join(", "))
    };
    let names = table.column("name").map(listed).unwrap_or_default();
    if let Some(near) = nearest(named, &names.iter().map(String::as_str).collect::<Vec<_>>()) {
        return format!("did you mean `{near}`?");
    }
    let mut parts: Vec<String> = Vec::new();
    for &column in columns {
        let values = listed(column);
        if !values.is_empty() {
            parts.push(told(column, &values));
        }
        // The points of a sweep have one name: other columns tell them apart.
        if values.len() < 2 {
            let varied = (0..kinds.len()).filter(|&other| kinds[other] == Kind::Setting && other != column);
            let varied = varied.map(|other| (other, listed(other))).filter(|(_, values)| values.len() > 1);
            parts.extend(varied.take(LISTED).map(|(other, values)| told(other, &values)));
        }
    }
    if parts.is_empty() { "it is a name, or conditions such as model.depth=20".to_owned() } else { parts.join("; ") }
}

/// A text without an operator is a name, or a key.
fn conditions(table: &Table, baseline: &[String]) -> Result<Vec<Where>, CompareError> {
    let condition = |text: &String| {
        if text.contains(['=', '!', '<', '>', '~']) {
            return Where::parse(text);
        }
        let has =
            |column: &str| table.column(column).is_some_and(|place| table.rows.iter().any(|row| row[place] == *text));
        let column = ["name", "key", "source"].into_iter().find(|column| has(column)).unwrap_or("name");
        Ok(Where::equal(column, text))
    };
    baseline.iter().map(condition).collect()
}
