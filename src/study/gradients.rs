//! Norms of weights and gradients, and statistics of activations, by depth.

mod steps;

use super::labels::labels;
use super::table::Selection;
use super::{Protocol, Rows, Split, StudyError, Subject};
use crate::arch::node::walk;
use crate::figures::chart::{Axis, Chart, Figure, Series, Stroke, colour};
use crate::model::{Model, SplitModel};
use crate::named::{KeyError, check_range, is_default};
use crate::runs::{Table, group_by, significant};
use crate::train::cross_entropy;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::PathBuf;
use tch::{Kind, Tensor};

/// Options of the study `gradients`: L2 norms of every weight and of its gradient in a training pass in fp32, auxiliary heads
/// included, for the weights at the start and those of the run; mean, deviation and dead channels of every part's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gradients {
    /// Training images.
    pub images: usize,
    /// The seed of dropout and stochastic depth.
    pub seed: i64,
    // Tables of weights keep the key that they had before there was a choice.
    #[serde(skip_serializing_if = "is_default")]
    pub form: GradientForm,
}

/// The source of the norms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GradientForm {
    /// A pass at the start and one at the end of training.
    #[default]
    Weights,
    /// The table that training wrote by step (`train.log_gradients`).
    Steps,
}

impl Default for Gradients {
    fn default() -> Gradients {
        Gradients { images: 128, seed: 0, form: GradientForm::Weights }
    }
}

const COLUMNS: [&str; 11] =
    ["run", "weights", "kind", "position", "row", "name", "weight_norm", "gradient_norm", "mean", "deviation", "dead"];

impl Protocol for Gradients {
    fn about(&self) -> &'static str {
        "norms of weights and gradients by depth, activations, dead channels"
    }

    fn check(&self) -> Result<(), KeyError> {
        check_range("images", self.images as f64, 2.0, 1e5)
    }

    fn files(&self, subjects: &[Subject]) -> Result<Vec<PathBuf>, StudyError> {
        match self.form {
            GradientForm::Weights => Ok(Vec::new()),
            GradientForm::Steps => steps::files(subjects),
        }
    }

    fn run(&self, subjects: &[Subject], rows: &mut Rows) -> Result<(), StudyError> {
        if self.form == GradientForm::Steps {
            return steps::run(subjects, rows);
        }
        let mut lines = Vec::new();
        for subject in subjects {
            let seed = subject.experiment.as_ref().map_or(0, |experiment| experiment.seed);
            let start = Model::build(&subject.network, subject.device, seed, false)?;
            let start: Vec<(String, Tensor)> =
                start.named_tensors().into_iter().map(|(name, tensor)| (name, tensor.detach().copy())).collect();
            // Weights that [init] sets are not those of the seed.
            let drawn = subject.experiment.as_ref().is_none_or(|of| of.init.from.is_empty() && !of.init.whiten);
            for (state, weights) in
                [("initial", &start), ("trained", &subject.weights)].into_iter().skip(usize::from(!drawn))
            {
                let numbers = self.weights(subject, weights)?.into_iter().chain(self.activations(subject, weights)?);
                let head = [subject.name.clone(), state.to_owned()];
                lines.extend(numbers.map(|cells| head.iter().cloned().chain(cells).collect::<Vec<_>>()));
            }
        }
        rows.begin(&COLUMNS, lines.len());
        for (row, cells) in lines.into_iter().enumerate() {
            let what = cells[0].clone();
            rows.row(row, &what, || Ok(cells))?;
        }
        Ok(())
    }

    fn picture(&self, subjects: &[Subject], table: &Table) -> Result<String, StudyError> {
        Ok(if self.form == GradientForm::Steps { steps::figure(table) } else { figure(subjects, table) }.svg())
    }
}

impl Gradients {
    fn weights(&self, subject: &Subject, weights: &[(String, Tensor)]) -> Result<Vec<Vec<String>>, StudyError> {
        let mut model = Model::build(&subject.network, subject.device, 0, false)?;
        let kind = weights.first().map_or(Kind::Float, |(_, tensor)| tensor.kind());
        model.to_kind(kind);
        model.copy_weights(weights)?;
        let (x, labels) = subject.batches(Split::Train, self.images, self.images)?.remove(0);
        tch::manual_seed(self.seed);
        let outputs = model.forward(&x.to_kind(kind), true);
        let main = cross_entropy(&outputs.logits, &labels);
        let loss =
            outputs.aux.iter().fold(main, |sum, (logits, weight)| sum + cross_entropy(logits, &labels) * *weight);
        loss.backward();
        let mut row_of: HashMap<String, &str> = HashMap::new();
        for row in &subject.network.rows {
            walk(&row.nodes, false, &mut |layer, _| {
                row_of.extend(layer.params().into_iter().map(|param| (param.name, row.label.as_str())));
            });
        }
        let learned = model.trainable().into_iter().filter(|(param, _)| param.role.is_weight());
        let norm = |tensor: &Tensor| if tensor.defined() { tensor.norm().double_value(&[]) } else { 0.0 };
        let cells = |(index, (param, tensor)): (usize, (crate::arch::params::Param, Tensor))| {
            let row = row_of.get(&param.name).copied().unwrap_or_default().to_owned();
            let mut cells = vec!["weight".to_owned(), (index + 1).to_string(), row, param.name.clone()];
            cells.extend([norm(&tensor), norm(&tensor.grad())].map(significant));
            cells.extend([(); 3].map(|()| String::new()));
            cells
        };
        Ok(learned.enumerate().map(cells).collect())
    }

    fn activations(&self, subject: &Subject, weights: &[(String, Tensor)]) -> Result<Vec<Vec<String>>, StudyError> {
        let _no_grad = tch::no_grad_guard();
        let parts = SplitModel::new(&subject.network, subject.device, weights, false)?;
        let (x, _) = subject.batches(Split::Train, self.images, self.images)?.remove(0);
        let mut x = x.to_kind(parts.params().first().map_or(Kind::Float, |(_, tensor)| tensor.kind()));
        let mut lines = Vec::new();
        for (index, part) in parts.list.iter().enumerate() {
            x = part.forward(&x, false);
            let number = |tensor: Tensor| significant(tensor.double_value(&[]));
            let numbers = [number(x.mean(Kind::Double)), number(x.std(false)), significant(dead(&x))];
            let head = ["activation".to_owned(), (index + 1).to_string(), String::new(), part.label.clone()];
            lines.push(head.into_iter().chain([String::new(), String::new()]).chain(numbers).collect());
        }
        Ok(lines)
    }
}

/// The fraction of channels that are 0 for every image and pixel.
fn dead(x: &Tensor) -> f64 {
    let channels = x.transpose(0, 1).flatten(1, -1);
    channels.abs().amax([1i64].as_slice(), false).eq(0.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

fn figure(subjects: &[Subject], table: &Table) -> Figure {
    let view = Selection::new(table);
    let labels = labels(subjects);
    let label_of = |run: &String| {
        let found = subjects.iter().zip(&labels).find(|(subject, _)| subject.name == *run);
        found.map_or_else(|| run.clone(), |(_, label)| label.clone())
    };
    let axis = |name: &str| Axis::new(name).count();
    let mut panels = [
        Chart::new("gradient", axis("weight, in order"), Axis::new("L2 norm of the gradient").log()),
        Chart::new("activation", axis("part, in order"), Axis::new("deviation of the output").log()),
    ];
    let runs = view.values("run");
    for (index, (label, runs)) in group_by(&runs, |run| label_of(run)).iter().enumerate() {
        let seeds = if runs.len() > 1 { format!(" ({} seeds)", runs.len()) } else { String::new() };
        for (rank, run) in runs.iter().enumerate() {
            for (state, stroke) in [("trained", Stroke::Solid), ("initial", Stroke::Dashed)] {
                let of = |kind: &str, column: &str| -> Vec<[f64; 2]> {
                    view.matching(&[("run", run), ("weights", state), ("kind", kind)]).points("position", column)
                };
                // Seeds of one setting share a colour and an entry of the legend.
                let name = if rank == 0 { format!("{label}, {state}{seeds}") } else { String::new() };
                let drawn = [of("weight", "gradient_norm"), of("activation", "deviation")];
                for (chart, points) in panels.iter_mut().zip(drawn) {
                    chart.series.push(Series::line(name.clone(), colour(index), points, stroke));
                }
            }
        }
    }
    Figure::new(
        "Gradients and activations by depth",
        "Gradients in a training pass, activations in evaluation mode; dashed: the weights at the start.",
        panels,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::golden::network;
    use crate::study::rows::Unseen;

    #[test]
    fn dead_channels_are_zero_everywhere() {
        let x = Tensor::from_slice(&[0.0, 1.0, 0.0, 0.0, 0.0, 2.0]).view([2, 3, 1, 1]);
        assert!((dead(&x) - 1.0 / 3.0).abs() < 1e-12, "only the first channel");
    }

    /// In float64, against the difference quotient of the loss along the gradient of one weight: its slope there is its norm.
    #[test]
    fn norms_are_slopes_of_the_loss() {
        let keys = "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\nshortcut = 'A'";
        let mut subject = Subject::example(network(keys, [3, 32, 32], 4), 6);
        subject.weights.iter_mut().for_each(|(_, tensor)| *tensor = tensor.to_kind(Kind::Double));
        let study = Gradients { images: 6, ..Gradients::default() };
        let lines = study.weights(&subject, &subject.weights).unwrap();
        let name = "conv1.weight";
        let line = lines.iter().find(|line| line[3] == name).unwrap();
        let wanted: f64 = line[5].parse().unwrap();
        let (x, labels) = subject.batches(Split::Train, 6, 6).unwrap().remove(0);
        let x = x.to_kind(Kind::Double);
        let loss = |shift: Option<(&Tensor, f64)>| {
            let mut model = Model::build(&subject.network, subject.device, 0, false).unwrap();
            model.to_kind(Kind::Double);
            model.copy_weights(&subject.weights).unwrap();
            let (_, weight) = model.trainable().into_iter().find(|(param, _)| param.name == name).unwrap();
            if let Some((way, step)) = shift {
                tch::no_grad(|| drop(weight.shallow_clone().f_add_(&(way * step)).unwrap()));
            }
            let loss = cross_entropy(&model.forward(&x, true).logits, &labels);
            loss.backward();
            (loss.double_value(&[]), weight.grad())
        };
        let (_, gradient) = loss(None);
        let way = &gradient / gradient.norm();
        let slope = (loss(Some((&way, 1e-5))).0 - loss(Some((&way, -1e-5))).0) / 2e-5;
        assert!((slope - wanted).abs() < 1e-4 * wanted, "{slope} against {wanted}");
    }

    #[test]
    fn both_states_are_in_the_table() {
        let keys = "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8";
        let subjects = [Subject::example(network(keys, [3, 32, 32], 4), 6)];
        let (folder, mut unseen) = (tempfile::tempdir().unwrap(), Unseen);
        let mut rows = Rows::open(&folder.path().join("rows"), &mut unseen).unwrap();
        let study = Gradients::default();
        study.run(&subjects, &mut rows).unwrap();
        let table = rows.table();
        let count = |state: &str, kind: &str| table.rows.iter().filter(|row| row[1] == state && row[2] == kind).count();
        assert!(count("initial", "weight") >= 8 && count("initial", "weight") == count("trained", "weight"));
        assert!(count("trained", "activation") > 5);
        assert!(study.picture(&subjects, &table).unwrap().contains("Gradients and activations"));
    }
}
