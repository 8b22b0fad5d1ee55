//! Finds where the numbers of a run became NaN or infinite.
//!
//! A run checks its loss in every step, and at the norm of the gradients where it clips. Gradients that are not finite
//! without clipping show one step later, in the parameters that they changed: that costs nothing in a sound run. The location
//! is looked for only when something is wrong.

use super::evaluate::{targets, tensors};
use super::pass::autocast;
use crate::arch::{Network, params::Param};
use crate::config::Experiment;
use crate::data::Batch;
use crate::model::Model;
use crate::random;
use crate::torch::{self, catch};
use tch::Tensor;

/// What was not finite, when, and where that began.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Divergence {
    /// Counted from 1 over the run.
    pub step: u64,
    /// In words: `the loss is NaN`.
    pub what: String,
    /// In words, where it could be found.
    pub location: Option<String>,
}

impl Divergence {
    /// The loss of a step, counted from 1, is not finite. Looks into the parameters first, for they were whole when the
    /// forward pass of the step before ended, then through the rows; `batch` is `None` if the loss is that of another rank's
    /// images.
    pub(super) fn of_loss(
        loss: f64,
        step: u64,
        experiment: &Experiment,
        model: &Model,
        batch: Option<&Batch>,
    ) -> Divergence {
        let what = format!("the loss is {loss}");
        let location = in_parameters(model, step).or_else(|| in_rows(experiment, model, batch?, step));
        Divergence { step, what, location }
    }

    /// The gradients of a step, counted from 1, are not finite.
    pub(super) fn of_gradients(step: u64, params: &[(Param, Tensor)]) -> Divergence {
        let what = "the gradients are not finite".to_owned();
        let gradients = params.iter().map(|(param, tensor)| (param, tensor.grad()));
        let location = last_not_finite(gradients).map(|name| format!("first in that of `{name}`"));
        Divergence { step, what, location }
    }

    /// The validation loss after `step` steps is not finite.
    pub(super) fn of_validation(step: u64, model: &Model) -> Divergence {
        Divergence {
            step,
            what: "the validation loss is not finite".to_owned(),
            location: in_parameters(model, step + 1),
        }
    }

    /// In one line, without advice.
    pub(super) fn said(&self, epoch: usize, batch: usize) -> String {
        let Divergence { step, what, location } = self;
        let location = location.as_ref().map_or_else(String::new, |location| format!(", {location}"));
        format!("{what} in step {step} (epoch {epoch}, batch {batch}){location}")
    }
}

/// The name of the last one that is not finite. Gradients come about from the output backwards, so that is where it began.
fn last_not_finite<'a>(tensors: impl DoubleEndedIterator<Item = (&'a Param, Tensor)>) -> Option<&'a str> {
    let finite = |tensor: Tensor| torch::all_finite(&[tensor]).unwrap_or(true);
    tensors.rev().find_map(|(param, tensor)| (!finite(tensor)).then_some(param.name.as_str()))
}

/// Parameters that are not finite before the step `step` took effect.
fn in_parameters(model: &Model, step: u64) -> Option<String> {
    let learned = model.params().iter().filter(|(param, _)| param.role.trainable());
    let name = last_not_finite(learned.map(|(param, tensor)| (param, tensor.shallow_clone())))?;
    Some(format!("first in the update of `{name}` in step {}", step.saturating_sub(1)))
}

/// The first row with an output that is not finite, each row built alone and fed with the output of the one before.
fn in_rows(experiment: &Experiment, model: &Model, batch: &Batch, step: u64) -> Option<String> {
    let Experiment { network, seed, train, .. } = experiment;
    let (device, weights) = (model.device(), model.named_tensors());
    let search = || {
        let _no_grad = tch::no_grad_guard();
        let (mut x, labels) = tensors(batch, device);
        if !torch::all_finite(&[x.shallow_clone()]).unwrap_or(true) {
            return Some("first in the images".to_owned());
        }
        tch::manual_seed(random::key(*seed, "step", &[step - 1]) as i64);
        let _autocast = autocast(train.precision, device);
        for (index, row) in network.rows.iter().enumerate() {
            let alone = Network { plan: network.plan.clone(), rows: vec![row.clone()], absent_heads: Vec::new() };
            let mut part = Model::build(&alone, device, *seed, train.rewrites).ok()?;
            let needed = |name: &str| part.params().iter().any(|(param, _)| param.name == name);
            let own: Vec<_> = weights.iter().filter(|(name, _)| needed(name)).collect();
            let own: Vec<_> = own.into_iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
            part.copy_weights(&own).ok()?;
            let outputs = part.forward(&x, true);
            let all: Vec<Tensor> = [&outputs.logits]
                .into_iter()
                .chain(outputs.aux.iter().map(|(aux, _)| aux))
                .map(Tensor::shallow_clone)
                .collect();
            if !torch::all_finite(&all).unwrap_or(true) {
                return Some(format!("first in the output of row {} ({}, {})", index + 1, row.label, row.op));
            }
            x = outputs.logits;
        }
        let targets = targets(batch, &labels, network.plan.classes as i64);
        let loss = train.loss.mean(&x, &targets).double_value(&[]);
        (!loss.is_finite()).then(|| "first in the loss itself: all rows give finite outputs".to_owned())
    };
    catch(search).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Machine;
    use crate::data::{Normalise, load, order, source, train_batch};
    use std::path::Path;
    use tch::{Device, Kind};

    const FILE: &str = r#"
[data]
dataset = "synthetic"
validation = 100
[model]
input = [1, 8, 8]
rows = [
  { op = "conv", kernel = 3, width = 4 },
  { op = "aux", pool = "adaptive", width = 4, hidden = 4 },
  { op = "basic", width = 4 },
  { op = "global_avg_pool" },
  { op = "classifier" },
]
[train]
epochs = 1
batch = 4
lr = 0.1
"#;

    fn parts() -> (Experiment, Model, Batch) {
        let experiment = Experiment::parse("x.toml", FILE, "x", &[], Machine::default()).unwrap();
        let model = Model::new(&experiment.network, Device::Cpu, 0).unwrap();
        let images =
            load(&source("synthetic").unwrap(), Path::new("/nonexistent")).unwrap().train.take(4).resized([1, 8, 8]);
        let normalise = Normalise { mean: vec![0.5], std: vec![0.5] };
        let order = order(4, 0, 0);
        let batch = train_batch(&images, &order, &normalise, &experiment.data.augment, 0, 0).unwrap();
        (experiment, model, batch)
    }

    fn fill(model: &Model, name: &str, value: f64) {
        let (_, tensor) = model.params().iter().find(|(param, _)| param.name == name).unwrap();
        let _ = tch::no_grad(|| tensor.shallow_clone().fill_(value));
    }

    #[test]
    fn a_row_that_overflows_is_found() {
        let (experiment, model, batch) = parts();
        let names: Vec<String> = model.trainable().into_iter().map(|(param, _)| param.name).collect();
        let last = names.iter().rfind(|name| name.ends_with("weight")).unwrap();
        fill(&model, last, 3e38);
        let found = Divergence::of_loss(f64::INFINITY, 7, &experiment, &model, Some(&batch));
        let said = found.said(1, 7);
        assert!(
            said.starts_with("the loss is inf in step 7 (epoch 1, batch 7), first in the output of row 5"),
            "{said}"
        );
        assert!(said.contains("classifier"), "{said}");
    }

    #[test]
    fn an_auxiliary_head_that_overflows_is_found() {
        let (experiment, model, batch) = parts();
        let name = model.trainable().into_iter().map(|(param, _)| param.name).rfind(|name| name.starts_with("row2."));
        fill(&model, &name.unwrap(), f64::INFINITY);
        let location = in_rows(&experiment, &model, &batch, 1).unwrap();
        assert!(location.contains("row 2"), "{location}");
    }

    #[test]
    fn a_parameter_that_is_no_number_is_named() {
        let (experiment, model, batch) = parts();
        let names: Vec<String> = model.trainable().into_iter().map(|(param, _)| param.name).collect();
        fill(&model, &names[0], f64::NAN);
        fill(&model, &names[3], f64::NAN);
        let found = Divergence::of_loss(f64::NAN, 9, &experiment, &model, Some(&batch));
        assert_eq!(found.location, Some(format!("first in the update of `{}` in step 8", names[3])));
    }

    #[test]
    fn the_gradient_nearest_to_the_output_is_named() {
        let (_, model, _) = parts();
        let params = model.trainable();
        let x = Tensor::ones([2, 1, 8, 8], (Kind::Float, Device::Cpu));
        let outputs = model.forward(&x, true);
        (outputs.logits.sum(Kind::Float) + &outputs.aux[0].0.sum(Kind::Float)).backward();
        for index in [0, 2] {
            let _ = params[index].1.grad().fill_(f64::INFINITY);
        }
        let found = Divergence::of_gradients(3, &params);
        assert_eq!(found.location, Some(format!("first in that of `{}`", params[2].0.name)));
    }
}
