//! Whether published results are reached.

use super::group::values;
use crate::analysis::statistics::Spread;
use crate::runs::{Column, Records};

/// How far below a published value a result may be, unless the experiment says.
pub(super) const TOLERANCE: f64 = 0.005;

/// The published result of an experiment, and whether ours reaches it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Expected {
    /// `0.8774`, or `0.8774 / 0.9900` for Top-1 and Top-5; empty where nothing is published.
    pub value: String,
    /// `value` in percent.
    pub percent: String,
    /// `yes`, `yes, above`, `no`, or `–` without a result.
    pub met: String,
    pub source: String,
    /// The experiment gives no tolerance.
    pub by_default: bool,
}

/// The published result that rows quote, if any, compared with the mean over these rows.
pub(super) fn expected(records: &Records, rows: &[usize]) -> Option<Expected> {
    let text = |column: &str| {
        let column = records.column(column)?;
        rows.iter().map(|&row| records.cell(row, column)).find(|cell| !cell.is_empty())
    };
    let number = |column: &str| text(column)?.parse::<f64>().ok();
    let tolerance = number("expect.tolerance");
    let mut published = Vec::new();
    let mut met = Vec::new();
    for column in [Column::TestTop1, Column::TestTop5] {
        let Some(theirs) = number(&format!("expect.{}", column.name())) else { continue };
        published.push(theirs);
        let ours = records.column(column.name()).and_then(|ours| Spread::of(&values(records, rows, ours)));
        met.push(ours.map(|ours| judge(ours.mean - theirs, tolerance.unwrap_or(TOLERANCE))));
    }
    let source = text("expect.source").unwrap_or_default().to_owned();
    if published.is_empty() && source.is_empty() {
        return None;
    }
    let met = match met.iter().copied().collect::<Option<Vec<&str>>>().as_deref() {
        None | Some([]) => "–",
        Some(met) if met.contains(&"no") => "no",
        Some(met) if met.contains(&"yes") => "yes",
        Some(_) => "yes, above",
    };
    let by_default = tolerance.is_none() && !published.is_empty();
    let written = |scale: f64, digits: usize| -> String {
        published.iter().map(|value| format!("{:.digits$}", scale * value)).collect::<Vec<_>>().join(" / ")
    };
    Some(Expected { value: written(1.0, 4), percent: written(100.0, 2), met: met.to_owned(), source, by_default })
}

/// `above` is the difference from the published value. A better result meets the expectation, and is worth a look.
fn judge(above: f64, tolerance: f64) -> &'static str {
    // In binary 0.905 - 0.9 is slightly more than 0.005.
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
    use crate::runs::Table;

    fn judged(cells: [&str; 5]) -> Expected {
        let columns = ["test_top1", "test_top5", "expect.test_top1", "expect.test_top5", "expect.tolerance"];
        let mut table = Table::new(&columns);
        table.rows.push(cells.map(str::to_owned).to_vec());
        expected(&Records::from(table), &[0]).unwrap()
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
        assert_eq!(judged(["", "", "0.9", "0.99", ""]).percent, "90.00 / 99.00");
        assert!(judged(["", "", "0.9", "", ""]).by_default && !judged(["", "", "0.9", "", "0.1"]).by_default);
    }
}
