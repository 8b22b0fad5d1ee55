//! Differences from a baseline at equal seeds, and whether they are more than noise.

use super::filter::Where;
use super::group::{by_seed, setting, texts};
use super::{CompareError, unknown_column};
use crate::analysis::statistics::Spread;
use crate::config::nearest;
use crate::runs::{Column, ColumnRole, Records};

/// What a group is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Against {
    /// The group is the baseline.
    Itself,
    /// The index of another group.
    Group(usize),
    /// No baseline has the same other settings.
    Nothing,
}

/// The mean of the differences at equal seeds; `None` without a common seed.
pub(super) fn difference(records: &Records, group: &[usize], baseline: &[usize], metric: usize) -> Option<Spread> {
    let base = by_seed(records, baseline, metric);
    let pairs = by_seed(records, group, metric);
    // Rounding errors of the subtraction: two equal differences of 1e-17 would exclude zero.
    let subtract = |value: f64, base: f64| ((value - base) * 1e12).round() / 1e12;
    let common = pairs.iter().filter_map(|(seed, &value)| Some(subtract(value, *base.get(seed)?)));
    let differences: Vec<f64> = common.collect();
    Spread::of(&differences)
}

/// Finds what every group is compared with. A single baseline is that of all groups. Of several, as in
/// `--baseline model.shortcut=none` over several depths, each is the baseline of the groups with the same depth.
///
/// # Errors
/// When no group is the baseline, or several are and their other settings do not distinguish them.
pub(super) fn against(
    records: &Records,
    groups: &[Vec<usize>],
    baseline: &[String],
) -> Result<Vec<Against>, CompareError> {
    let conditions = conditions(records, baseline)?;
    let mut columns = Vec::new();
    for condition in &conditions {
        columns.push(records.column(&condition.column).ok_or_else(|| unknown_column(records, &condition.column))?);
    }
    let is_base = |group: &[usize]| {
        let holds = |row: &usize| {
            columns.iter().zip(&conditions).all(|(&column, condition)| condition.holds(records.cell(*row, column)))
        };
        group.iter().all(holds)
    };
    let bases: Vec<usize> = (0..groups.len()).filter(|&index| is_base(&groups[index])).collect();
    let named = baseline.join(", ");
    if bases.is_empty() {
        let hint = suggestion(records, groups, &named, &columns);
        return Err(CompareError::NoBaseline { baseline: named, hint });
    }
    // What distinguishes several baselines: a group is compared with the one that agrees with it in these columns.
    let cell = |group: &[usize], column: usize| {
        group.first().and_then(|&row| setting(records, row, column)).unwrap_or_default()
    };
    let varies =
        |column: usize| bases.iter().any(|&base| cell(&groups[base], column) != cell(&groups[bases[0]], column));
    let others: Vec<usize> = (0..records.columns.len())
        .filter(|&column| {
            matches!(records.role(column), ColumnRole::Setting | ColumnRole::Source) && !columns.contains(&column)
        })
        .filter(|&column| varies(column))
        .collect();
    let other =
        |group: &[usize]| -> Vec<String> { others.iter().map(|&column| cell(group, column).to_owned()).collect() };
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

/// At most this number of values, or settings, is listed where nothing is the baseline.
const LISTED: usize = 5;

/// A hint for a baseline that matches nothing: the nearest name, or a few of the existing values.
fn suggestion(records: &Records, groups: &[Vec<usize>], named: &str, columns: &[usize]) -> String {
    let listed = |column: usize| {
        let mut values: Vec<String> = Vec::new();
        for text in groups.iter().map(|group| texts(records, group, column)).filter(|text| !text.is_empty()) {
            if !values.contains(&text) {
                values.push(text);
            }
        }
        values
    };
    let described = |column: usize, values: &[String]| {
        let more = if values.len() > LISTED { ", …" } else { "" };
        format!("`{}` is {}{more}", records.columns[column], values[..values.len().min(LISTED)].join(", "))
    };
    let names = records.column(Column::Name.name()).map(listed).unwrap_or_default();
    if let Some(near) = nearest(named, &names.iter().map(String::as_str).collect::<Vec<_>>()) {
        return format!("did you mean `{near}`?");
    }
    let mut parts: Vec<String> = Vec::new();
    for &column in columns {
        let values = listed(column);
        if !values.is_empty() {
            parts.push(described(column, &values));
        }
        // The points of a sweep share a name and differ in other columns.
        if values.len() < 2 {
            let varied = (0..records.columns.len())
                .filter(|&other| records.role(other) == ColumnRole::Setting && other != column);
            let varied = varied.map(|other| (other, listed(other))).filter(|(_, values)| values.len() > 1);
            parts.extend(varied.take(LISTED).map(|(other, values)| described(other, &values)));
        }
    }
    if parts.is_empty() { "it is a name, or conditions such as model.depth=20".to_owned() } else { parts.join("; ") }
}

/// Parses the conditions of a baseline; a text without an operator is a name, a key or a source.
fn conditions(records: &Records, baseline: &[String]) -> Result<Vec<Where>, CompareError> {
    let condition = |text: &String| {
        if text.contains(['=', '!', '<', '>', '~']) {
            return Where::parse(text);
        }
        let has = |column: &str| {
            records.column(column).is_some_and(|column| records.rows.iter().any(|row| row[column] == *text))
        };
        let column = ["name", "key", "source"].into_iter().find(|column| has(column)).unwrap_or("name");
        Ok(Where::equal(column, text))
    };
    baseline.iter().map(condition).collect()
}
