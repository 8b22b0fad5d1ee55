//! Accuracy against cost by scaling rule: single axes and compound rules (Tan and Le 2019, figure 8), with a power law for each.

use super::table::Selection;
use super::{Protocol, Rows, StudyError, Subject};
use crate::arch::Scaling as Rule;
use crate::figures::chart::{Axis, Chart, ChartPoint, Figure, Series, Stroke, colour};
use crate::named::KeyError;
use crate::runs::{Record, Table, significant};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Options of the study `scaling`: error against multiply-adds of runs that differ in `[scaling]`, and the power law
/// error = a · (millions of multiply-adds)^-b of every rule together with the unscaled network. It reads the results of finished
/// runs; their weights are not needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scaling {
    pub by: Measure,
}

impl Default for Scaling {
    fn default() -> Scaling {
        Scaling { by: Measure::TestTop1 }
    }
}

/// The accuracy whose complement is the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    TestTop1,
    ValTop1,
}

impl Measure {
    fn column(self) -> &'static str {
        match self {
            Measure::TestTop1 => "test_top1",
            Measure::ValTop1 => "val_top1",
        }
    }
}

/// Rows `fit` have the power law of a rule, rows `run` a run.
const COLUMNS: [&str; 12] = [
    "kind",
    "rule",
    "run",
    "seed",
    "depth",
    "width",
    "resolution",
    "macs",
    "params",
    "error",
    "exponent",
    "coefficient",
];
const UNSCALED: &str = "unscaled";

/// The name of a scaling rule: an axis, or α, β and γ.
fn rule(scaling: &Rule) -> String {
    let (depth, width, resolution) = scaling.total();
    match [depth, width, resolution].map(|multiplier| multiplier != 1.0) {
        [false, false, false] => UNSCALED.to_owned(),
        [true, false, false] => "depth".to_owned(),
        [false, true, false] => "width".to_owned(),
        [false, false, true] => "resolution".to_owned(),
        _ if (scaling.depth, scaling.width, scaling.resolution) == (1.0, 1.0, 1.0) => {
            let [alpha, beta, gamma] =
                [scaling.alpha, scaling.beta, scaling.gamma].map(|base| (base * 1e3).round() / 1e3);
            format!("compound {alpha} {beta} {gamma}")
        }
        _ => "mixed".to_owned(),
    }
}

/// error = coefficient · (millions of multiply-adds)^-exponent
#[derive(Clone, Copy, Debug)]
struct PowerLaw {
    coefficient: f64,
    exponent: f64,
}

impl PowerLaw {
    /// Fits by least squares in the logarithms of `[multiply-adds, error]`; `None` if all have the same cost.
    fn fit(points: &[[f64; 2]]) -> Option<PowerLaw> {
        let logs = points.iter().filter(|[_, error]| *error > 0.0).map(|[macs, error]| [(macs / 1e6).ln(), error.ln()]);
        let logs: Vec<[f64; 2]> = logs.collect();
        let mean = |axis: usize| logs.iter().map(|log| log[axis]).sum::<f64>() / logs.len() as f64;
        let (x, y) = (mean(0), mean(1));
        let squares: f64 = logs.iter().map(|log| (log[0] - x).powi(2)).sum();
        let products: f64 = logs.iter().map(|log| (log[0] - x) * (log[1] - y)).sum();
        let slope = products / squares;
        (squares > 1e-12).then(|| PowerLaw { coefficient: (y - slope * x).exp(), exponent: -slope })
    }

    fn at(self, macs: f64) -> f64 {
        self.coefficient * (macs / 1e6).powf(-self.exponent)
    }
}

impl Protocol for Scaling {
    fn about(&self) -> &'static str {
        "error against cost of scaled networks, with power laws"
    }

    fn runs(&self) -> RangeInclusive<usize> {
        2..=10_000
    }

    fn needs_weights(&self) -> bool {
        false
    }

    fn check(&self) -> Result<(), KeyError> {
        Ok(())
    }

    fn run(&self, subjects: &[Subject], rows: &mut Rows) -> Result<(), StudyError> {
        let mut lines = Vec::new();
        for subject in subjects {
            lines.extend(self.line(subject)?);
        }
        let table = Table { columns: COLUMNS.map(str::to_owned).to_vec(), rows: lines.clone() };
        let view = Selection::new(&table);
        let rules = view.values("rule");
        if rules.iter().all(|rule| rule == UNSCALED) {
            return Err(StudyError::Unfit("none of these runs is finished and has a [scaling]".to_owned()));
        }
        for rule in rules.iter().filter(|rule| *rule != UNSCALED) {
            if let Some(law) = PowerLaw::fit(&points(&view, rule)) {
                let mut cells = vec![String::new(); COLUMNS.len()];
                cells[..2].clone_from_slice(&["fit".to_owned(), rule.clone()]);
                cells[10..].clone_from_slice(&[law.exponent, law.coefficient].map(significant));
                lines.push(cells);
            }
        }
        rows.begin(&COLUMNS, lines.len());
        rows.extend(lines);
        Ok(())
    }

    fn picture(&self, _: &[Subject], table: &Table) -> Result<String, StudyError> {
        Ok(self.figure(table).svg())
    }
}

/// Multiply-adds and error of the runs of a rule.
fn measured(view: &Selection, rule: &str) -> Vec<[f64; 2]> {
    let runs = view.matching(&[("kind", "run"), ("rule", rule)]);
    runs.points("macs", "error")
}

/// Multiply-adds and error of the runs of the unscaled network and of a rule.
fn points(view: &Selection, rule: &str) -> Vec<[f64; 2]> {
    [measured(view, UNSCALED), measured(view, rule)].concat()
}

/// The mean error at each cost, ascending.
fn means(mut points: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    points.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mean = |same: &[[f64; 2]]| [same[0][0], same.iter().map(|point| point[1]).sum::<f64>() / same.len() as f64];
    points.chunk_by(|a, b| a[0] == b[0]).map(mean).collect()
}

impl Scaling {
    /// The row of a run; `None` if it has no result.
    fn line(&self, subject: &Subject) -> Result<Option<Vec<String>>, StudyError> {
        let Some(experiment) = &subject.experiment else { return Ok(None) };
        let record = Record::load(&subject.folder)?;
        let Some(accuracy) = record.number(self.by.column()) else { return Ok(None) };
        let (depth, width, resolution) = experiment.scaling.total();
        let cost = experiment.network.cost();
        let mut cells =
            vec!["run".to_owned(), rule(&experiment.scaling), subject.name.clone(), experiment.seed.to_string()];
        cells.extend([depth, width, resolution].map(significant));
        cells.extend([cost.macs.to_string(), cost.params.to_string(), significant(1.0 - accuracy)]);
        cells.extend([String::new(), String::new()]);
        Ok(Some(cells))
    }

    fn figure(&self, table: &Table) -> Figure {
        let view = Selection::new(table);
        let mut chart = Chart::new(
            "",
            Axis::new("multiply-adds (logarithmic)").log().padding(0.05),
            Axis::new(if self.by == Measure::TestTop1 { "test error" } else { "validation error" })
                .percent()
                .padding(0.07),
        );
        for (index, rule) in view.matching(&[("kind", "run")]).values("rule").iter().enumerate() {
            let points_of_rule = means(measured(&view, rule)).into_iter().map(|[x, y]| ChartPoint::dot(x, y, rule));
            let fit = view.matching(&[("kind", "fit"), ("rule", rule)]);
            let name = match fit.is_empty() {
                true => rule.clone(),
                false => format!("{rule}: cost^{:.3}", -fit.number("exponent")),
            };
            chart.series.push(Series::points(name, colour(index), points_of_rule.collect()));
            if !fit.is_empty() {
                let law = PowerLaw { coefficient: fit.number("coefficient"), exponent: fit.number("exponent") };
                let costs = means(points(&view, rule));
                let line = costs.iter().map(|&[macs, _]| [macs, law.at(macs)]).collect();
                chart.series.push(Series::line("", colour(index), line, Stroke::Pale));
            }
        }
        Figure::new(
            "Error against cost by the rule of scaling",
            "Means over seeds. Lines: power laws through the unscaled network and those scaled by a rule.",
            [chart],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A law is found again from points on it, and the mean of two seeds on both sides of it in the logarithm is on it.
    #[test]
    fn a_power_law_is_found_again() {
        let law = PowerLaw { coefficient: 0.4, exponent: 0.25 };
        let on = [1e6, 3e6, 2e7, 8e7].map(|macs| [macs, law.at(macs)]);
        assert!((law.at(16e6) - 0.2).abs() < 1e-12);
        let seeds = on.iter().flat_map(|&[macs, error]| [[macs, error * 1.1], [macs, error / 1.1]]);
        for points in [on.to_vec(), seeds.collect()] {
            let found = PowerLaw::fit(&points).unwrap();
            assert!((found.exponent - 0.25).abs() < 1e-12 && (found.coefficient - 0.4).abs() < 1e-12, "{found:?}");
        }
        assert!(PowerLaw::fit(&[[2e6, 0.3], [2e6, 0.2]]).is_none());
    }

    #[test]
    fn rules_are_told_apart() {
        let scaling = |change: &dyn Fn(&mut Rule)| {
            let mut scaling = Rule::default();
            change(&mut scaling);
            rule(&scaling)
        };
        assert_eq!(scaling(&|_| ()), "unscaled");
        assert_eq!(scaling(&|scaling| scaling.width = 2.0), "width");
        assert_eq!(scaling(&|scaling| scaling.phi = 1.0), "compound 1.2 1.1 1.15");
        let alone =
            |scaling: &mut Rule| (scaling.phi, scaling.alpha, scaling.beta, scaling.gamma) = (1.0, 2.0, 1.0, 1.0);
        assert_eq!(scaling(&alone), "depth", "a compound rule of one axis");
        assert_eq!(scaling(&|scaling| (scaling.width, scaling.depth) = (2.0, 2.0)), "mixed");
    }
}
