//! Values of gates, by depth (Srivastava et al. 2015, section 4; Hu et al. 2018, section 7).

use super::table::Selection;
use super::{Protocol, Rows, Split, StudyError, Subject};
use crate::arch::node::walk_residuals;
use crate::figures::chart::{Axis, Chart, Figure, Marks, Series, Stroke, colour};
use crate::named::{KeyError, check_range};
use crate::runs::{Table, significant};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Options of the study `gates`: mean and spread of every gate of Highway networks and gated shortcuts, of the excitations of
/// squeeze-and-excitation, and the survival probabilities of stochastic depth, on test images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// Test images; 0 for all.
    pub images: usize,
    pub batch: usize,
}

impl Default for Gates {
    fn default() -> Gates {
        Gates { images: 2000, batch: 250 }
    }
}

const COLUMNS: [&str; 9] =
    ["run", "kind", "position", "gate", "mean", "deviation", "between_images", "below_0.1", "above_0.9"];

/// Sums over all values of a gate.
#[derive(Default)]
struct Sums {
    kind: &'static str,
    count: f64,
    sum: f64,
    squares: f64,
    low: f64,
    high: f64,
    /// The mean for each image.
    images: Vec<f64>,
}

impl Sums {
    fn add(&mut self, value: &Tensor) {
        let value = value.to_kind(Kind::Double);
        let total = |tensor: Tensor| tensor.sum(Kind::Double).double_value(&[]);
        // Squeeze-and-excitation has one value for a map.
        self.kind = if value.size()[2..].iter().all(|&side| side == 1) { "excitation" } else { "gate" };
        self.count += value.numel() as f64;
        self.sum += total(value.shallow_clone());
        self.squares += total(value.square());
        self.low += total(value.lt(0.1));
        self.high += total(value.gt(0.9));
        let means = value.flatten(1, -1).mean_dim([1i64].as_slice(), false, Kind::Double);
        self.images.extend(Vec::<f64>::try_from(means).unwrap_or_default());
    }

    /// Mean, deviation, deviation of the images' means, shares below 0.1 and above 0.9.
    fn numbers(&self) -> [f64; 5] {
        let deviation = |sum: f64, squares: f64, n: f64| (squares / n - (sum / n).powi(2)).max(0.0).sqrt();
        let (sum, n) = (self.images.iter().sum::<f64>(), self.images.len() as f64);
        let between = deviation(sum, self.images.iter().map(|mean| mean * mean).sum(), n);
        let own = deviation(self.sum, self.squares, self.count);
        [self.sum / self.count, own, between, self.low / self.count, self.high / self.count]
    }
}

impl Protocol for Gates {
    fn about(&self) -> &'static str {
        "means and spreads of gates, excitations and survival, by depth"
    }

    fn check(&self) -> Result<(), KeyError> {
        check_range("batch", self.batch as f64, 1.0, 1e5)
    }

    fn run(&self, subjects: &[Subject], rows: &mut Rows) -> Result<(), StudyError> {
        let mut work = Vec::new();
        for subject in subjects {
            let (gates, survival) = (self.gates(subject)?, survival(subject));
            if gates.is_empty() && survival.is_empty() {
                let name = &subject.name;
                return Err(StudyError::Unfit(format!("{name} has no gate, excitation or stochastic depth")));
            }
            work.push((subject, gates, survival));
        }
        rows.begin(&COLUMNS, work.iter().map(|(_, gates, survival)| gates.len() + survival.len()).sum());
        let mut row = 0;
        for (subject, gates, survival) in &work {
            let drawn = |&p: &f64| ("survival", String::new(), [p, (p * (1.0 - p)).sqrt(), 0.0, 1.0 - p, p]);
            let gates = gates.iter().map(|(label, sums)| (sums.kind, label.clone(), sums.numbers())).enumerate();
            for (index, (kind, label, numbers)) in gates.chain(survival.iter().map(drawn).enumerate()) {
                rows.row(row, &subject.name, || {
                    let first = [subject.name.clone(), kind.to_owned(), (index + 1).to_string(), label];
                    Ok(first.into_iter().chain(numbers.map(significant)).collect())
                })?;
                row += 1;
            }
        }
        Ok(())
    }

    fn picture(&self, _: &[Subject], table: &Table) -> Result<String, StudyError> {
        let view = Selection::new(table);
        let mut chart =
            Chart::new("gates", Axis::new("gate, in order").count(), Axis::new("value of the gate").range(0.0, 1.0));
        for (index, run) in view.values("run").iter().enumerate() {
            for (kind, stroke) in [("gate", Stroke::Solid), ("excitation", Stroke::Solid), ("survival", Stroke::Dotted)]
            {
                let rows = view.matching(&[("run", run), ("kind", kind)]);
                let spread = |row: Selection| {
                    let [x, mean, deviation] = ["position", "mean", "deviation"].map(|column| row.number(column));
                    [x, (mean - deviation).max(0.0), (mean + deviation).min(1.0)]
                };
                let points = rows.points("position", "mean");
                let band = if kind == "survival" { Vec::new() } else { rows.each(spread).collect() };
                let (name, colour) = (format!("{run}: {kind}"), colour(index));
                if !rows.is_empty() {
                    chart.series.push(Series { name, colour, marks: Marks::Line { points, band, stroke } });
                }
            }
        }
        let figure = Figure::new(
            "Gates by depth",
            "Mean over channels, pixels and test images; bands are one standard deviation to each side.",
            vec![chart],
        );
        Ok(figure.svg())
    }
}

impl Gates {
    fn gates(&self, subject: &Subject) -> Result<Vec<(String, Sums)>, StudyError> {
        let _no_grad = tch::no_grad_guard();
        let parts = subject.parts()?;
        let mut gates: Vec<(String, Sums)> = Vec::new();
        for (x, _) in subject.batches(Split::Test, self.images, self.batch)? {
            let _autocast = subject.autocast();
            let _ = parts.forward_from(0, &x);
            for (index, (label, value)) in parts.taps().take().into_iter().enumerate() {
                if index == gates.len() {
                    gates.push((label, Sums::default()));
                }
                gates[index].1.add(&value);
            }
        }
        Ok(gates)
    }
}

/// The survival probability of each block, empty without stochastic depth.
fn survival(subject: &Subject) -> Vec<f64> {
    let mut rows = subject.network.rows.clone();
    let mut probabilities = Vec::new();
    for row in &mut rows {
        walk_residuals(&mut row.nodes, &mut |block| probabilities.push(block.survival.probability));
    }
    if probabilities.iter().all(|&p| p >= 1.0) { Vec::new() } else { probabilities }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Network;
    use crate::arch::golden::network;
    use crate::study::rows::Unseen;

    fn table(network: Network) -> Table {
        let subjects = [Subject::example(network, 8)];
        let (folder, mut unseen) = (tempfile::tempdir().unwrap(), Unseen);
        let mut rows = Rows::open(&folder.path().join("rows"), &mut unseen).unwrap();
        let gates = Gates { images: 0, batch: 3 };
        gates.run(&subjects, &mut rows).unwrap();
        assert!(gates.picture(&subjects, &rows.table()).unwrap().contains("Gates by depth"));
        rows.table()
    }

    /// σ(-2) = 0.119 (Srivastava et al. 2015): the gates of an untrained network are near their bias.
    #[test]
    fn untrained_highways_are_at_their_bias() {
        let keys = "preset = 'highway'\ndepth = 7\nwidths = [4, 6, 8]\ngate_bias = -2.0";
        let table = table(network(keys, [3, 32, 32], 4));
        assert!(table.rows.len() >= 3 && table.rows.iter().all(|row| row[1] == "gate"), "{:?}", table.rows);
        let means: Vec<f64> = table.rows.iter().map(|row| row[4].parse().unwrap()).collect();
        assert!(means.iter().all(|mean| (0.05..0.35).contains(mean)), "{means:?}");
    }

    #[test]
    fn survival_falls_with_depth() {
        let mut plan = network("preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\nse = 4", [3, 32, 32], 4).plan;
        plan.stochastic_depth.survival = 0.5;
        let table = table(Network::new(plan).unwrap());
        let kinds: Vec<&str> = table.rows.iter().map(|row| row[1].as_str()).collect();
        assert_eq!(kinds, ["excitation", "excitation", "excitation", "survival", "survival", "survival"]);
        assert_eq!(table.rows[5][4], "0.5");
    }

    /// Against the sums of a few numbers by hand.
    #[test]
    fn sums_are_means_and_deviations() {
        let mut sums = Sums::default();
        sums.add(&Tensor::from_slice(&[0.05, 0.95, 0.5, 0.5]).view([2, 2, 1, 1]));
        let [mean, deviation, between, low, high] = sums.numbers();
        assert!((mean - 0.5).abs() < 1e-12 && (deviation - (0.405f64 / 4.0).sqrt()).abs() < 1e-9);
        assert!(between.abs() < 1e-7 && low == 0.25 && high == 0.25);
        assert_eq!(sums.kind, "excitation");
    }
}
