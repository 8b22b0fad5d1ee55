//! Ensembles: accuracy, loss and calibration by the number of members.

use super::table::Selection;
use super::{Protocol, Rows, Split, StudyError, Subject, reorder};
use crate::figures::chart::{Axis, COLOURS, Chart, ChartPoint, Figure, Marks, Series, Stroke};
use crate::model::float;
use crate::named::{KeyError, check_range};
use crate::random;
use crate::runs::{Table, accuracy, significant};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use tch::{Kind, Tensor};

/// Options of the study `ensemble`: probabilities of k of the n runs averaged, over random choices of the k. A run trained for a
/// multiple of the others' epochs is not a member, but a reference: one network with the training time of k.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ensemble {
    /// Test images; 0 for all.
    pub images: usize,
    /// Maximum number of choices of each size.
    pub choices: usize,
    /// Bins of the expected calibration error.
    pub bins: usize,
    pub batch: usize,
    pub seed: u64,
}

impl Default for Ensemble {
    fn default() -> Ensemble {
        Ensemble { images: 0, choices: 50, bins: 15, batch: 500, seed: 0 }
    }
}

const COLUMNS: [&str; 10] =
    ["run", "kind", "members", "choices", "top1", "top1_std", "nll", "nll_std", "ece", "ece_std"];

/// Accuracy, mean negative log-likelihood, expected calibration error of log-probabilities `[N, classes]` (Guo et al. 2017).
fn scores(log_p: &Tensor, labels: &Tensor, bins: usize) -> [f64; 3] {
    let nll = -log_p.gather(1, &labels.unsqueeze(1), false).mean(Kind::Double).double_value(&[]);
    let (confidence, predicted) = log_p.max_dim(1, false);
    let confidences = Vec::<f64>::try_from(confidence.exp().to_kind(Kind::Double)).unwrap_or_default();
    let right = Vec::<bool>::try_from(predicted.eq_tensor(labels)).unwrap_or_default();
    let mut sums = vec![[0.0; 2]; bins];
    for (&confidence, &right) in confidences.iter().zip(&right) {
        let bin = ((confidence * bins as f64).ceil() as usize).clamp(1, bins) - 1;
        sums[bin][0] += confidence;
        sums[bin][1] += f64::from(u8::from(right));
    }
    let count = confidences.len().max(1) as f64;
    let ece = sums.iter().map(|[confidence, right]| (confidence - right).abs()).sum::<f64>() / count;
    [right.iter().filter(|&&right| right).count() as f64 / count, nll, ece]
}

/// The choices of `count` of `n`: all of them if there are at most `most`, else `most` random ones.
fn choices(seed: u64, count: usize, n: usize, most: usize) -> Vec<Vec<usize>> {
    let all: f64 = (0..count).map(|i| (n - i) as f64 / (i + 1) as f64).product();
    if all.round() > most as f64 {
        let key = |draw| random::key(seed, "study.ensemble", &[count as u64, draw as u64]);
        return (0..most).map(|draw| reorder::choose(key(draw), count, n)).collect();
    }
    let mut chosen: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..count {
        let longer = |choice: &Vec<usize>| {
            let from = choice.last().map_or(0, |last| last + 1);
            let choice = choice.clone();
            (from..n).map(move |next| choice.iter().copied().chain([next]).collect())
        };
        chosen = chosen.iter().flat_map(longer).collect();
    }
    chosen
}

impl Protocol for Ensemble {
    fn about(&self) -> &'static str {
        "accuracy, loss and calibration of k of n runs"
    }

    fn runs(&self) -> RangeInclusive<usize> {
        2..=64
    }

    fn check(&self) -> Result<(), KeyError> {
        check_range("choices", self.choices as f64, 1.0, 1e6)?;
        check_range("bins", self.bins as f64, 1.0, 1000.0)?;
        check_range("batch", self.batch as f64, 1.0, 1e5)
    }

    fn run(&self, subjects: &[Subject], rows: &mut Rows) -> Result<(), StudyError> {
        let epochs = |subject: &Subject| subject.experiment.as_ref().map_or(1, |experiment| experiment.train.epochs);
        let least = subjects.iter().map(epochs).min().unwrap_or(1).max(1);
        let (members, longer): (Vec<&Subject>, Vec<&Subject>) =
            subjects.iter().partition(|subject| epochs(subject) == least);
        let mut outputs = Vec::new();
        let mut truth: Option<Tensor> = None;
        for subject in members.iter().chain(&longer) {
            let (log_p, labels) = self.probabilities(subject)?;
            if truth.as_ref().is_some_and(|truth| !truth.equal(&labels)) {
                return Err(StudyError::Unfit("an ensemble needs runs on the same test images".to_owned()));
            }
            truth = Some(labels);
            outputs.push(log_p);
        }
        let Some(labels) = truth else { return Ok(()) };
        let n = members.len();
        rows.begin(&COLUMNS, n + longer.len());
        for count in 1..=n {
            rows.row(count - 1, &format!("{count} of {n}"), || {
                let choices = choices(self.seed, count, n, self.choices);
                let score = |choice: &Vec<usize>| {
                    let chosen: Vec<&Tensor> = choice.iter().map(|&member| &outputs[member]).collect();
                    // The mean stays a logarithm, since a probability may underflow.
                    let mean = Tensor::stack(&chosen, 0).logsumexp([0i64].as_slice(), false) - (count as f64).ln();
                    scores(&mean, &labels, self.bins)
                };
                let all: Vec<[f64; 3]> = choices.iter().map(score).collect();
                Ok(cells("ensemble", &members[0].name, count, &all))
            })?;
        }
        for (index, subject) in longer.iter().enumerate() {
            rows.row(n + index, &subject.name, || {
                let times = epochs(subject).div_ceil(least);
                Ok(cells("longer", &subject.name, times, &[scores(&outputs[n + index], &labels, self.bins)]))
            })?;
        }
        Ok(())
    }

    fn picture(&self, _: &[Subject], table: &Table) -> Result<String, StudyError> {
        Ok(figure(table).svg())
    }
}

impl Ensemble {
    fn probabilities(&self, subject: &Subject) -> Result<(Tensor, Tensor), StudyError> {
        let _no_grad = tch::no_grad_guard();
        let parts = subject.parts()?;
        let (mut outputs, mut truths) = (Vec::new(), Vec::new());
        for (x, labels) in subject.batches(Split::Test, self.images, self.batch)? {
            let logits = {
                let _autocast = subject.autocast();
                parts.forward_from(0, &x)
            };
            outputs.push(float(logits).log_softmax(1, Kind::Double));
            truths.push(labels);
        }
        Ok((Tensor::cat(&outputs, 0), Tensor::cat(&truths, 0)))
    }
}

fn cells(kind: &str, run: &str, members: usize, all: &[[f64; 3]]) -> Vec<String> {
    let count = all.len().max(1) as f64;
    let moments = |index: usize| {
        let mean = all.iter().map(|scores| scores[index]).sum::<f64>() / count;
        let variance = all.iter().map(|scores| (scores[index] - mean).powi(2)).sum::<f64>() / count;
        [mean, variance.sqrt()]
    };
    let mut cells = vec![run.to_owned(), kind.to_owned(), members.to_string(), all.len().to_string()];
    cells.extend(moments(0).map(accuracy));
    cells.extend([moments(1), moments(2)].as_flattened().iter().map(|&value| significant(value)));
    cells
}

fn figure(table: &Table) -> Figure {
    let view = Selection::new(table);
    let members = || Axis::new("members, or times the training").count();
    let panels =
        [("top1", "test Top-1", true), ("nll", "negative log-likelihood", false), ("ece", "calibration error", false)];
    let panel = |(column, label, percent): (&str, &str, bool)| {
        let axis = if percent { Axis::new(label).percent() } else { Axis::new(label) };
        let mut chart = Chart::new(label, members(), axis);
        let rows = view.matching(&[("kind", "ensemble")]);
        let points = rows.points("members", column);
        let spread = |row: Selection| {
            let (mean, std) = (row.number(column), row.number(&format!("{column}_std")));
            [row.number("members"), mean - std, mean + std]
        };
        let marks = Marks::Line { points, band: rows.each(spread).collect(), stroke: Stroke::Solid };
        chart.series.push(Series { name: "ensemble".to_owned(), colour: COLOURS[0], marks });
        let point = |row: Selection| ChartPoint::dot(row.number("members"), row.number(column), row.text("run"));
        let points: Vec<ChartPoint> = view.matching(&[("kind", "longer")]).each(point).collect();
        if !points.is_empty() {
            chart.series.push(Series::points("one network trained longer", COLOURS[1], points));
        }
        chart
    };
    Figure::new(
        format!("Ensembles of {}", view.text("run").split('/').next().unwrap_or_default()),
        "Probabilities averaged; bands are one standard deviation over the choices of the members.",
        panels.map(panel),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two bins by hand: confidences 0.9, 0.6 and 0.8, of which the first and the last are right.
    #[test]
    fn scores_are_those_of_the_definition() {
        let p = Tensor::from_slice(&[0.9, 0.1, 0.4, 0.6, 0.8, 0.2]).view([3, 2]);
        let labels = Tensor::from_slice(&[0i64, 0, 0]);
        let [top1, nll, ece] = scores(&p.log(), &labels, 10);
        assert!((top1 - 2.0 / 3.0).abs() < 1e-12);
        assert!((nll + (0.9f64.ln() + 0.4f64.ln() + 0.8f64.ln()) / 3.0).abs() < 1e-12);
        assert!((ece - (0.1 + 0.6 + 0.2) / 3.0).abs() < 1e-12, "{ece}");
    }

    #[test]
    fn choices_are_all_or_as_many_as_asked_for() {
        assert_eq!(choices(0, 2, 3, 50), [[0, 1], [0, 2], [1, 2]]);
        assert_eq!(choices(0, 3, 3, 50), [[0, 1, 2]]);
        let some = choices(0, 5, 20, 7);
        assert!(some.len() == 7 && some.iter().all(|choice| choice.len() == 5));
    }

    /// An ensemble of equal members is one of them.
    #[test]
    fn equal_members_change_nothing() {
        use crate::arch::golden::network;
        use crate::study::rows::Unseen;
        let keys = "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8";
        let subjects = [(); 3].map(|()| Subject::example(network(keys, [3, 32, 32], 4), 10));
        let (folder, mut unseen) = (tempfile::tempdir().unwrap(), Unseen);
        let mut rows = Rows::open(&folder.path().join("rows"), &mut unseen).unwrap();
        let ensemble = Ensemble { batch: 4, ..Ensemble::default() };
        ensemble.run(&subjects, &mut rows).unwrap();
        let table = rows.table();
        assert_eq!(table.rows.len(), 3);
        assert!(table.rows.iter().all(|row| row[4] == table.rows[0][4] && row[6] == table.rows[0][6]), "{table:?}");
        assert!(ensemble.picture(&subjects, &table).unwrap().contains("Ensembles of example"));
    }
}
