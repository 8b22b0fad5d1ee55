//! Gradients by path length (Veit et al. 2016, section 5 and figure 6).

use super::table::Selection;
use super::{Protocol, Rows, Split, StudyError, Subject, reorder};
use crate::figures::chart::{Axis, Chart, Figure, Series, Stroke, colour};
use crate::model::{SplitModel, Submodule, float};
use crate::named::{KeyError, check_range};
use crate::random;
use crate::runs::{Table, significant};
use crate::train::cross_entropy;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Options of the study `paths`: the norm of the gradient at the input that arrives through exactly k of the n residual branches.
/// The forward pass is unchanged; the backward pass goes through the branches of k random blocks and the shortcuts of the others.
/// The norm times the share of paths, C(n,k) / 2ⁿ, gives the contribution of each length to the gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Paths {
    /// Training images.
    pub images: usize,
    /// Number of random paths of each length.
    pub samples: usize,
    pub seed: u64,
}

impl Default for Paths {
    fn default() -> Paths {
        Paths { images: 64, samples: 20, seed: 0 }
    }
}

const COLUMNS: [&str; 7] = ["run", "blocks", "length", "share", "gradient", "deviation", "contribution"];

/// C(n,k) / 2ⁿ: the share of a network's paths that go through k of its n branches.
fn share(n: usize, k: usize) -> f64 {
    // Products of ratios near 1 neither overflow nor underflow.
    let (mut share, mut halvings) = (1.0, n);
    for i in 1..=k {
        share *= (n + 1 - i) as f64 / i as f64;
        while share > 1.0 && halvings > 0 {
            share /= 2.0;
            halvings -= 1;
        }
    }
    share * 0.5f64.powi(halvings as i32)
}

/// The graphs of the parts, each on detached inputs, so that a backward pass can choose its way through every block.
struct Ways<'p> {
    parts: &'p [Submodule],
    /// Input of the branch, input of the shortcut, output.
    graphs: Vec<[Tensor; 3]>,
    /// The gradient of the sum of the losses at the logits.
    end: Tensor,
}

impl Ways<'_> {
    fn new<'p>(parts: &'p SplitModel, x: &Tensor, labels: &Tensor) -> Ways<'p> {
        let mut x = x.detach();
        let mut graphs = Vec::with_capacity(parts.list.len());
        for part in &parts.list {
            let [body, aside] = [(); 2].map(|()| x.detach().set_requires_grad(true));
            let y = part.forward_apart(&body, &aside);
            x = y.detach();
            graphs.push([body, aside, y]);
        }
        let logits = float(x).detach().set_requires_grad(true);
        let loss = cross_entropy(&logits, labels) * labels.numel() as f64;
        let end = Tensor::run_backward(&[loss], &[&logits], false, false).remove(0);
        Ways { parts: &parts.list, graphs, end }
    }

    /// The gradient at the input through the branches of these blocks, counted from 0, and the shortcuts of all others.
    fn gradient(&self, branches: &[usize]) -> Tensor {
        let mut gradient = self.end.shallow_clone();
        let mut block = self.parts.iter().filter(|part| part.has_shortcut()).count();
        for (part, [body, aside, y]) in self.parts.iter().zip(&self.graphs).rev() {
            let through = if part.has_shortcut() {
                block -= 1;
                if branches.contains(&block) { body } else { aside }
            } else {
                body
            };
            let scalar = (y * gradient.to_kind(y.kind())).sum(y.kind());
            gradient = Tensor::run_backward(&[scalar], &[through], true, false).remove(0);
        }
        gradient
    }
}

impl Protocol for Paths {
    fn about(&self) -> &'static str {
        "gradient at the input by the length of its path"
    }

    fn check(&self) -> Result<(), KeyError> {
        check_range("images", self.images as f64, 1.0, 1e5)?;
        check_range("samples", self.samples as f64, 1.0, 1e5)
    }

    fn run(&self, subjects: &[Subject], rows: &mut Rows) -> Result<(), StudyError> {
        let mut work = Vec::new();
        for subject in subjects {
            let parts = subject.parts()?;
            let blocks = parts.list.iter().filter(|part| part.has_shortcut()).count();
            if blocks == 0 {
                return Err(StudyError::Unfit(format!("{} has no block with a shortcut", subject.name)));
            }
            work.push((subject, parts, blocks));
        }
        rows.begin(&COLUMNS, work.iter().map(|(.., blocks)| blocks + 1).sum());
        let mut row = 0;
        for (subject, parts, n) in &work {
            let (x, labels) = subject.batches(Split::Train, self.images, self.images)?.remove(0);
            let ways = Ways::new(parts, &x, &labels);
            for length in 0..=*n {
                rows.row(row, &format!("{} length {length}", subject.name), || {
                    let (mean, deviation) = self.norms(&ways, *n, length);
                    let share = share(*n, length);
                    let numbers = [share, mean, deviation, share * mean].map(significant);
                    let first = [subject.name.clone(), n.to_string(), length.to_string()];
                    Ok(first.into_iter().chain(numbers).collect())
                })?;
                row += 1;
            }
        }
        Ok(())
    }

    fn picture(&self, _: &[Subject], table: &Table) -> Result<String, StudyError> {
        Ok(figure(table).svg())
    }
}

impl Paths {
    /// Mean and standard deviation, over paths, of the norm per image.
    fn norms(&self, ways: &Ways, n: usize, length: usize) -> (f64, f64) {
        let norms: Vec<f64> = (0..self.samples)
            .map(|sample| {
                let key = random::key(self.seed, "study.paths", &[length as u64, sample as u64]);
                let gradient = ways.gradient(&reorder::choose(key, length, n)).to_kind(Kind::Double);
                gradient
                    .flatten(1, -1)
                    .square()
                    .sum_dim_intlist([1i64].as_slice(), false, Kind::Double)
                    .sqrt()
                    .mean(Kind::Double)
            })
            .map(|norm| norm.double_value(&[]))
            .collect();
        let mean = norms.iter().sum::<f64>() / norms.len().max(1) as f64;
        let squares = norms.iter().map(|norm| (norm - mean).powi(2)).sum::<f64>();
        (mean, (squares / norms.len().max(1) as f64).sqrt())
    }
}

fn figure(table: &Table) -> Figure {
    let view = Selection::new(table);
    let length = || Axis::new("path length, in residual branches").count();
    let mut panels = [
        Chart::new("paths", length(), Axis::new("share of all paths").percent()),
        Chart::new("gradient", length(), Axis::new("gradient norm at the input").log()),
        Chart::new("contribution", length(), Axis::new("share of the gradient").percent()),
    ];
    let mut notes = Vec::new();
    for (index, run) in view.values("run").iter().enumerate() {
        let of_run = view.matching(&[("run", run)]);
        let [lengths, contribution] = ["length", "contribution"].map(|column| of_run.numbers(column));
        let total: f64 = contribution.iter().sum();
        let parts: Vec<f64> = contribution.iter().map(|part| part / total).collect();
        let columns = [of_run.numbers("share"), of_run.numbers("gradient"), parts.clone()];
        for (chart, values) in panels.iter_mut().zip(columns) {
            let points = lengths.iter().zip(values).map(|(&length, value)| [length, value]).collect();
            chart.series.push(Series::line(run, colour(index), points, Stroke::Solid));
        }
        // The shortest and the longest path between which 95 % of the gradient arrive.
        let mut sum = 0.0;
        let places: Vec<f64> = parts
            .iter()
            .map(|part| {
                sum += part;
                sum
            })
            .collect();
        let at = |quantile: f64| places.iter().position(|&sum| sum >= quantile).unwrap_or_default();
        let (low, high) = (at(0.025), at(0.975));
        let held: f64 = of_run.numbers("share")[low..=high].iter().sum();
        notes.push(format!(
            "{run}: 95 % of the gradient comes from paths of length {low} to {high} of {}, {:.2} % of all paths.",
            of_run.text("blocks"),
            100.0 * held
        ));
    }
    Figure::new(
        "Which paths the gradient takes",
        format!(
            "Left: how many paths there are; middle: the gradient through one; right: their product. {}",
            notes.join(" ")
        ),
        panels,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::golden::network;
    use crate::study::rows::Unseen;

    /// Veit et al. 2016, section 5: of the 2⁵⁴ paths of a ResNet-110, 95 % are 19 to 35 modules long, and the effective ones, of
    /// 5 to 17 modules, are 0.45 %.
    #[test]
    fn shares_are_the_papers() {
        let sum = |from: usize, to: usize| (from..=to).map(|k| share(54, k)).sum::<f64>();
        assert!((sum(0, 54) - 1.0).abs() < 1e-12);
        assert!((sum(5, 17) - 0.0045).abs() < 0.00005, "{}", sum(5, 17));
        assert!(sum(19, 35) > 0.95 && (sum(19, 35) - 0.9802).abs() < 5e-5);
        assert_eq!((share(2, 1), share(3, 0)), (0.5, 0.125));
    }

    /// In float64 the gradients through all 2ⁿ paths sum to the gradient that backpropagation gives.
    #[test]
    fn all_paths_together_are_the_gradient() {
        for order in ["preact", "original"] {
            let keys = format!("preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\nshortcut = 'B'\norder = '{order}'");
            let mut subject = Subject::example(network(&keys, [3, 32, 32], 4), 4);
            subject.weights.iter_mut().for_each(|(_, tensor)| *tensor = tensor.to_kind(Kind::Double));
            let parts = subject.parts().unwrap();
            let (x, labels) = subject.batches(Split::Train, 4, 4).unwrap().remove(0);
            let x = x.to_kind(Kind::Double).set_requires_grad(true);
            let loss = cross_entropy(&parts.forward_from(0, &x), &labels) * 4.0;
            let expected = Tensor::run_backward(&[loss], &[&x], false, false).remove(0);
            let ways = Ways::new(&parts, &x, &labels);
            let mut sum = expected.zeros_like();
            for subset in 0..8usize {
                let branches: Vec<usize> = (0..3).filter(|block| subset >> block & 1 == 1).collect();
                sum += ways.gradient(&branches);
            }
            let error = (&sum - &expected).abs().max().double_value(&[]);
            assert!(error < 1e-12 * (1.0 + expected.abs().max().double_value(&[])), "{order}: {error}");
        }
    }

    #[test]
    fn every_length_has_a_row() {
        let keys = "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\nshortcut = 'A'\norder = 'preact'";
        let subjects = [Subject::example(network(keys, [3, 32, 32], 4), 4)];
        let (folder, mut unseen) = (tempfile::tempdir().unwrap(), Unseen);
        let mut rows = Rows::open(&folder.path().join("rows"), &mut unseen).unwrap();
        let paths = Paths { images: 4, samples: 2, seed: 0 };
        paths.run(&subjects, &mut rows).unwrap();
        let table = rows.table();
        assert_eq!(table.rows.len(), 4);
        assert_eq!(table.rows[1][..4], ["example", "3", "1", "0.375"]);
        assert!(paths.picture(&subjects, &table).unwrap().contains("95 % of the gradient"));
    }
}
