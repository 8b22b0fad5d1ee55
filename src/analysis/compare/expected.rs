//! Published results beside ours: met or not.

use super::group::{Group, values};
use crate::analysis::statistics::Spread;
use crate::runs::Table;

/// How far below a published value still counts as met where the experiment does not say.
pub const TOLERANCE: f64 = 0.005;

/// A group's published result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    /// `0.8774`, or `0.8774 / 0.9900` for Top-1 and Top-5; empty where nothing is published.
    pub value: String,
    /// `yes`, `yes, above`, `no`, or `–` without a result.
    pub met: String,
    pub source: String,
    /// The tolerance is ours.
    pub by_default: bool,
}

/// What somebody else got for the experiment of a group, and whether the mean over its seeds is as good.
pub fn expected(table: &Table, group: &Group) -> Option<Expected> {
    let text = |column: &str| {
        let column = table.column(column)?;
        group.rows.iter().map(|&row| table.rows[row][column].as_str()).find(|cell| !cell.is_empty())
    };
    let number = |column: &str| text(column)?.parse::<f64>().ok();
    let tolerance = number("expect.tolerance");
    let mut published = Vec::new();
    let mut verdicts = Vec::new();
    for (column, ours) in [("expect.test_top1", "test_top1"), ("expect.test_top5", "test_top5")] {
        let Some(theirs) = number(column) else { continue };
        published.push(format!("{theirs:.4}"));
        let ours = table.column(ours).and_then(|ours| Spread::of(&values(table, group, ours)));
        verdicts.push(ours.map(|ours| verdict(ours.mean - theirs, tolerance.unwrap_or(TOLERANCE))));
    }
    let source = text("expect.source").unwrap_or_default().to_owned();
    if published.is_empty() && source.is_empty() {
        return None;
    }
    let met = match verdicts.iter().copied().collect::<Option<Vec<&str>>>().as_deref() {
        None | Some([]) => "–",
        Some(verdicts) if verdicts.contains(&"no") => "no",
        Some(verdicts) if verdicts.contains(&"yes") => "yes",
        Some(_) => "yes, above",
    };
    let by_default = tolerance.is_none() && !published.is_empty();
    Some(Expected { value: published.join(" / "), met: met.to_owned(), source, by_default })
}

/// A better result meets an expectation, and is worth a look.
fn verdict(above: f64, tolerance: f64) -> &'static str {
    // Differences of decimal fractions: 0.905 - 0.9 is a little more than 0.005.
    let slack = tolerance + 1e-9;
    match above {
        above if above > slack => "yes, above",
        above if above >= -slack => "yes",
        _ => "no",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(cells: [&str; 5]) -> Expected {
        let columns = ["test_top1", "test_top5", "expect.test_top1", "expect.test_top5", "expect.tolerance"];
        let mut table = Table::new(&columns);
        table.rows.push(cells.map(str::to_owned).to_vec());
        expected(&table, &Group { rows: vec![0] }).unwrap()
    }

    #[test]
    fn met_is_within_the_tolerance_or_better() {
        let met = |cells| judged(cells).met;
        assert_eq!(met(["0.895", "", "0.9", "", ""]), "yes");
        assert_eq!(met(["0.8949", "", "0.9", "", ""]), "no");
        assert_eq!(met(["0.8949", "", "0.9", "", "0.01"]), "yes");
        assert_eq!(met(["0.95", "", "0.9", "", ""]), "yes, above");
        assert_eq!(met(["0.95", "0.9", "0.9", "0.99", ""]), "no", "one of two is not enough");
        assert_eq!(met(["", "", "0.9", "", ""]), "–");
        assert_eq!(judged(["", "", "0.9", "0.99", ""]).value, "0.9000 / 0.9900");
        assert!(judged(["", "", "0.9", "", ""]).by_default && !judged(["", "", "0.9", "", "0.1"]).by_default);
    }
}
