//! Curvature at the trained weights: the largest eigenvalues and the trace of the Hessian.

use super::objective::{Direction, Objective, dot, filter_norms, norm, normal, times};
use super::table::Selection;
use super::{Protocol, Rows, StudyError, Subject};
use crate::analysis::Spread;
use crate::figures::chart::{Axis, Chart, ChartPoint, Figure, Series, Stroke, colour};
use crate::named::{KeyError, check_range};
use crate::random;
use crate::runs::{Table, significant};
use serde::{Deserialize, Serialize};

/// Options of the study `sharpness`: the two Hessian eigenvalues of largest magnitude of the training loss in evaluation mode, by
/// power iteration, and its trace by Hutchinson's estimate, from differences of gradients. The eigenvalue is not invariant to the
/// scale of the weights; the filter-normalised one measures every direction in units of the norms of the filters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sharpness {
    /// Training images, without augmentation.
    pub images: usize,
    /// Maximum number of power iterations.
    pub iterations: usize,
    /// Relative change of the eigenvalue at which the iteration ends.
    pub tolerance: f64,
    /// Number of random directions for the trace.
    pub probes: usize,
    /// Step of the central differences, relative to the norm of the weights.
    pub step: f64,
    pub batch: usize,
    pub seed: u64,
}

impl Default for Sharpness {
    fn default() -> Sharpness {
        Sharpness { images: 1000, iterations: 50, tolerance: 1e-3, probes: 20, step: 1e-4, batch: 250, seed: 0 }
    }
}

const COLUMNS: [&str; 5] = ["run", "quantity", "probe", "value", "iterations"];

impl Protocol for Sharpness {
    fn about(&self) -> &'static str {
        "largest eigenvalues and trace of the Hessian"
    }

    fn check(&self) -> Result<(), KeyError> {
        check_range("iterations", self.iterations as f64, 2.0, 1e5)?;
        check_range("tolerance", self.tolerance, 0.0, 1.0)?;
        check_range("step", self.step, 1e-12, 1.0)?;
        check_range("batch", self.batch as f64, 1.0, 1e5)
    }

    fn run(&self, subjects: &[Subject], rows: &mut Rows) -> Result<(), StudyError> {
        let each = 3 + self.probes;
        rows.begin(&COLUMNS, subjects.len() * each);
        for (index, subject) in subjects.iter().enumerate() {
            let objective = Objective::new(subject, self.images, self.batch)?;
            let cells = |quantity: &str, probe: usize, value: f64, iterations: usize| {
                let probe = if probe == 0 { String::new() } else { probe.to_string() };
                vec![subject.name.clone(), quantity.to_owned(), probe, significant(value), iterations.to_string()]
            };
            let first_row = index * each;
            // Read from what another process wrote, the first eigenvalue has no vector: then it is computed for the second.
            let mut first = None;
            rows.row(first_row, &format!("{} eigenvalue", subject.name), || {
                let found = first.insert(self.eigenpair(&objective, None, None));
                Ok(cells("eigenvalue", 0, found.value, found.iterations))
            })?;
            rows.row(first_row + 1, &format!("{} second eigenvalue", subject.name), || {
                let first = first.unwrap_or_else(|| self.eigenpair(&objective, None, None));
                let found = self.eigenpair(&objective, None, Some(&first.vector));
                Ok(cells("second eigenvalue", 0, found.value, found.iterations))
            })?;
            rows.row(first_row + 2, &format!("{} filter-normalised eigenvalue", subject.name), || {
                let found = self.eigenpair(&objective, Some(&filter_norms(objective.origin())), None);
                Ok(cells("filter-normalised eigenvalue", 0, found.value, found.iterations))
            })?;
            for probe in 1..=self.probes {
                rows.row(first_row + 2 + probe, &format!("{} trace", subject.name), || {
                    Ok(cells("trace", probe, self.probe(&objective, probe), 1))
                })?;
            }
        }
        Ok(())
    }

    fn picture(&self, _: &[Subject], table: &Table) -> Result<String, StudyError> {
        let view = Selection::new(table);
        let runs = view.values("run");
        let panels = [
            ("eigenvalue", "largest eigenvalue"),
            ("second eigenvalue", "second eigenvalue"),
            ("filter-normalised eigenvalue", "filter-normalised eigenvalue"),
            ("trace", "trace"),
        ];
        let spread = |run: &str, quantity: &str| {
            Spread::of(&view.matching(&[("run", run), ("quantity", quantity)]).numbers("value"))
        };
        let panel = |(quantity, label): (&str, &str)| {
            let means = runs.iter().filter_map(|run| spread(run, quantity)).map(|spread| spread.mean);
            let [low, high] = means.fold([0.0, 0.0], |[low, high]: [f64; 2], x| [low.min(x), high.max(x)]);
            // Numbers stand to the right of their marks.
            let axis = Axis::new(label).range(1.5 * low, high + 0.6 * (high - low));
            let mut chart = Chart::new(label, axis, Axis::of_names("", runs.clone()));
            for (index, run) in runs.iter().enumerate() {
                let Some(spread) = spread(run, quantity) else { continue };
                let (x, y, half) = (spread.mean, index as f64, spread.half_width());
                let label = if half.is_nan() { format!("{x:.0}") } else { format!("{x:.0} ± {half:.0}") };
                chart.series.push(Series::line("", colour(index), vec![[0.0, y], [x, y]], Stroke::Solid));
                chart.series.push(Series::points(
                    "",
                    colour(index),
                    vec![ChartPoint { label, ..ChartPoint::dot(x, y, "") }],
                ));
            }
            chart
        };
        let figure = Figure::new(
            "Sharpness at the trained weights",
            "Hessian of the training loss in evaluation mode; the trace is a mean over random directions, ± its 95 % interval.",
            panels.map(panel),
        );
        Ok(figure.svg())
    }
}

/// An eigenvalue and its eigenvector.
struct Eigenpair {
    value: f64,
    /// The eigenvector, of L2 norm 1.
    vector: Direction,
    iterations: usize,
}

impl Sharpness {
    /// The eigenvalue of largest magnitude of the Hessian H, or of D·H·D for a diagonal D. With `found`, an eigenvector of norm
    /// 1, the next one: the iteration stays orthogonal to it.
    fn eigenpair(&self, objective: &Objective, scale: Option<&Direction>, found: Option<&Direction>) -> Eigenpair {
        let scaled = |v: &Direction| match scale {
            Some(scale) => v.iter().zip(scale).map(|(v, scale)| v * scale).collect(),
            None => times(v, 1.0),
        };
        let apart = |v: Direction| match found {
            Some(found) => {
                let along = dot(&v, found);
                v.iter().zip(found).map(|(v, found)| v - found * along).collect()
            }
            None => v,
        };
        let unit = |v: Direction| {
            let v = apart(v);
            times(&v, 1.0 / norm(&v).max(f64::MIN_POSITIVE))
        };
        let mut v = unit(scaled(&normal(objective.origin(), random::key(self.seed, "study.sharpness", &[0]))));
        let mut value = 0.0;
        for iteration in 1..=self.iterations {
            let product = scaled(&self.times_hessian(objective, &scaled(&v)));
            let next = dot(&v, &product);
            let change = (next - value).abs();
            value = next;
            if change <= self.tolerance * value.abs() {
                return Eigenpair { value, vector: v, iterations: iteration };
            }
            v = unit(product);
        }
        Eigenpair { value, vector: v, iterations: self.iterations }
    }

    /// H·v for a v of any length.
    fn times_hessian(&self, objective: &Objective, v: &Direction) -> Direction {
        let length = norm(v).max(f64::MIN_POSITIVE);
        let step = self.step * norm(objective.origin());
        times(&objective.hessian_times(&times(v, 1.0 / length), step), length)
    }

    /// z·H·z for a vector z of random signs; its expectation is the trace.
    fn probe(&self, objective: &Objective, probe: usize) -> f64 {
        let normal = normal(objective.origin(), random::key(self.seed, "study.sharpness.trace", &[probe as u64]));
        let signs: Direction = normal.iter().map(|n| n.ge(0.0).to_kind(n.kind()) * 2.0 - 1.0).collect();
        dot(&signs, &self.times_hessian(objective, &signs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Network;
    use crate::arch::network::{Plan, StochasticDepth};
    use crate::arch::rows::Row;
    use crate::arch::style::Style;
    use crate::model::Model;
    use crate::study::Split;
    use crate::train::cross_entropy;
    use tch::{Device, Kind, Tensor};

    /// A network of a few dozen parameters, with a smooth activation, in float64.
    fn subject() -> Subject {
        #[derive(serde::Deserialize)]
        struct Rows {
            rows: Vec<Row>,
        }
        let text = "rows = [{ op = 'conv', kernel = 3, width = 2, act = 'silu' }, { op = 'global_avg_pool' }, { op = 'classifier' }]";
        let Rows { rows } = toml::from_str(text).unwrap();
        let (style, stochastic_depth) = (Style::default(), StochasticDepth::default());
        let network = Network::new(Plan { rows, style, stochastic_depth, input: [1, 6, 6], classes: 3 }).unwrap();
        let mut subject = Subject::example(network, 12);
        subject.weights.iter_mut().for_each(|(_, tensor)| *tensor = tensor.to_kind(Kind::Double));
        subject
    }

    /// The Hessian, column by column, by backpropagation through the gradient.
    fn hessian(subject: &Subject) -> Tensor {
        let mut model = Model::build(&subject.network, Device::Cpu, 1, false).unwrap();
        model.to_kind(Kind::Double);
        model.copy_weights(&subject.weights).unwrap();
        let params: Vec<Tensor> = model.trainable().into_iter().map(|(_, tensor)| tensor).collect();
        let (x, labels) = subject.batches(Split::Train, 12, 12).unwrap().remove(0);
        let loss = cross_entropy(&model.forward(&x.to_kind(Kind::Double), false).logits, &labels);
        let gradient = Tensor::run_backward(&[loss], &params, true, true);
        let flat = Tensor::cat(&gradient.iter().map(|g| g.flatten(0, -1)).collect::<Vec<_>>(), 0);
        let row = |index: i64| {
            let row = Tensor::run_backward(&[flat.select(0, index)], &params, true, false);
            Tensor::cat(&row.iter().map(|g| g.flatten(0, -1)).collect::<Vec<_>>(), 0)
        };
        Tensor::stack(&(0..flat.size()[0]).map(row).collect::<Vec<_>>(), 0)
    }

    /// Against the eigenvalues of the whole matrix, from backpropagation through the gradient.
    #[test]
    fn differences_of_gradients_give_the_hessian() {
        let subject = subject();
        let matrix = hessian(&subject);
        let eigenvalues = matrix.linalg_eigvalsh("L");
        let mut exact = Vec::<f64>::try_from(&eigenvalues).unwrap();
        exact.sort_by(|a, b| b.abs().total_cmp(&a.abs()));
        assert!(exact[1].abs() < 0.99 * exact[0].abs() && exact[2].abs() < 0.99 * exact[1].abs(), "{exact:?}");
        let objective = Objective::new(&subject, 12, 5).unwrap();
        let study = Sharpness { iterations: 500, tolerance: 1e-9, ..Sharpness::default() };
        let first = study.eigenpair(&objective, None, None);
        let second = study.eigenpair(&objective, None, Some(&first.vector));
        for (found, exact) in [first.value, second.value].into_iter().zip(exact) {
            assert!((found - exact).abs() < 1e-4 * exact.abs(), "{found} against {exact}");
        }
        assert!(dot(&first.vector, &second.vector).abs() < 1e-6);
        let scale = filter_norms(objective.origin());
        let wide = |(scale, like): (&Tensor, &Tensor)| scale.expand_as(like).flatten(0, -1);
        let d = Tensor::cat(&scale.iter().zip(objective.origin()).map(wide).collect::<Vec<_>>(), 0);
        let scaled = (d.unsqueeze(0) * &matrix * d.unsqueeze(1)).linalg_eigvalsh("L").abs().max().double_value(&[]);
        let value = study.eigenpair(&objective, Some(&scale), None).value;
        assert!((value.abs() - scaled).abs() < 1e-4 * scaled, "{value} against {scaled}");
        // With every pattern of signs the estimate of the trace is exact; with many it is near.
        let probes = 400;
        let mean = (1..=probes).map(|probe| study.probe(&objective, probe)).sum::<f64>() / probes as f64;
        let trace = matrix.trace().double_value(&[]);
        assert!((mean - trace).abs() < 0.1 * trace.abs(), "{mean} against {trace}");
    }
}
