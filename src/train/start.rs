//! The weights that a run starts from, if `[init]` gives them.

use super::error::TrainError;
use super::whiten;
use crate::arch::params::Param;
use crate::arch::rows::Row;
use crate::config::{Experiment, Pretrained};
use crate::data::{Images, Normalise};
use crate::hex::hex;
use crate::model::{Model, WeightsError, parse_tensors};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use tch::Tensor;

/// Most names that a note lists.
const LISTED: usize = 6;

/// Weights for a model, by name, and what to say of them.
#[derive(Debug, Default)]
pub(super) struct Start {
    tensors: BTreeMap<String, Tensor>,
    notes: Vec<String>,
}

impl Start {
    /// Reads the weights of an experiment and checks that they fit its network. Rows in `init.replace`, and a classifier of
    /// another number of classes, keep the weights that were drawn.
    ///
    /// # Errors
    /// When the file is missing or not the one that the experiment has the hash of, and when a tensor is missing or has another
    /// shape.
    pub(super) fn read(experiment: &Experiment) -> Result<Start, TrainError> {
        let Pretrained { from, sha256, .. } = &experiment.init;
        let Some(path) = experiment.init.weights().map_err(TrainError::NoWeights)? else {
            return Ok(Start::default());
        };
        let path = path.as_path();
        let fail = |error: std::io::Error| WeightsError::Read { path: path.to_owned(), reason: error.to_string() };
        let bytes = std::fs::read(path).map_err(fail).map_err(TrainError::Start)?;
        if sha256.as_ref().is_some_and(|expected| *expected != hex(&Sha256::digest(&bytes))) {
            return Err(TrainError::NoWeights(format!(
                "init.from: {from} is not the file that init.sha256 is the hash of: bring it back, or remove init.sha256"
            )));
        }
        let tensors = parse_tensors(&bytes, path).map_err(TrainError::Start)?;
        Start::chosen(experiment, tensors, path).map_err(TrainError::Start)
    }

    fn chosen(
        experiment: &Experiment,
        mut tensors: BTreeMap<String, Tensor>,
        path: &Path,
    ) -> Result<Start, WeightsError> {
        let (mut start, mut drawn, mut resized) = (Start::default(), Vec::new(), Vec::new());
        let network = &experiment.network;
        for (index, row) in network.rows.iter().enumerate() {
            let params = row.params();
            let other_classes = layer_of_other_classes(experiment, index, &params, &tensors);
            for Param { name, shape, .. } in params {
                let read = tensors.remove(&name);
                if experiment.init.replaced.contains(&index) {
                    drawn.push(name);
                    continue;
                }
                if other_classes.as_deref().is_some_and(|layer| name.starts_with(layer)) {
                    let classes = read.as_ref().and_then(|read| read.size().first().copied());
                    resized.push((name, classes.unwrap_or_default()));
                    continue;
                }
                let path = path.to_owned();
                match read {
                    None => return Err(WeightsError::Missing { path, name }),
                    Some(read) if read.size() != shape => {
                        return Err(WeightsError::Shape { path, name, found: read.size(), wanted: shape });
                    }
                    Some(read) => start.tensors.insert(name, read),
                };
            }
        }
        let unused: Vec<String> = tensors.into_keys().filter(|name| !name.ends_with("num_batches_tracked")).collect();
        let (from, count) = (&experiment.init.from, start.tensors.len());
        start.notes.push(format!("starts from {from}: {count} tensors"));
        if !drawn.is_empty() {
            start.notes.push(format!("init.replace: {} are drawn from the seed", listed(&drawn)));
        }
        if let Some((_, there)) = resized.first() {
            let names: Vec<String> = resized.iter().map(|(name, _)| name.clone()).collect();
            let (names, classes) = (listed(&names), network.plan.classes);
            start
                .notes
                .push(format!("{names} are drawn from the seed: the file has {there} classes, the network {classes}"));
        }
        if !unused.is_empty() {
            start.notes.push(format!("not used of the file: {}", listed(&unused)));
        }
        Ok(start)
    }

    /// Adds the filters of the first convolution that `init.whiten` takes from the training images.
    ///
    /// # Errors
    /// An image file that cannot be decoded, or libtorch's error.
    pub(super) fn whiten(
        &mut self,
        experiment: &Experiment,
        images: &Images,
        normalise: &Normalise,
    ) -> Result<(), TrainError> {
        let first = experiment.network.params().into_iter().next().filter(|_| experiment.init.whiten);
        if let Some(first) = first {
            let filters = whiten::filters(&first, images, normalise)?;
            self.notes.push(format!("{} whitens the patches of the training images (init.whiten)", first.name));
            self.tensors.insert(first.name, filters);
        }
        Ok(())
    }

    /// Copies the weights into a model.
    pub(super) fn apply(&self, model: &Model) {
        let _no_grad = tch::no_grad_guard();
        for (param, tensor) in model.params() {
            if let Some(read) = self.tensors.get(&param.name) {
                tensor.shallow_clone().copy_(read);
            }
        }
    }

    /// Notes on the start of training for the user.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// The prefix of a layer with one output per class, in the last row with parameters or an auxiliary head, that has another number
/// of them in a file and is otherwise the same.
fn layer_of_other_classes(
    experiment: &Experiment,
    index: usize,
    params: &[Param],
    tensors: &BTreeMap<String, Tensor>,
) -> Option<String> {
    let network = &experiment.network;
    let is_aux = matches!(network.plan.rows.get(index), Some(Row::Aux(_)));
    let is_last = network.rows.iter().skip(index + 1).all(|row| row.params().is_empty());
    let classes = network.plan.classes as i64;
    let differs = |param: &&Param| {
        let found = tensors.get(&param.name).map(Tensor::size).unwrap_or_default();
        param.shape[0] == classes
            && found.first().is_some_and(|&there| there != classes)
            && found[1..] == param.shape[1..]
    };
    let weight = params.iter().filter(|param| param.role.is_weight()).find(differs)?;
    (is_aux || is_last).then(|| weight.name.trim_end_matches("weight").to_owned())
}

/// Says which rows are frozen, and what that means; `None` where none is.
pub(super) fn frozen_note(experiment: &Experiment, model: &Model) -> Option<String> {
    let frozen = &experiment.init.frozen;
    let rows = experiment.network.rows.iter().enumerate().filter(|(index, _)| frozen.contains(index));
    let labels: Vec<String> =
        rows.filter(|(_, row)| !row.params().is_empty()).map(|(_, row)| row.label.clone()).collect();
    let learned: usize = model.trainable().iter().map(|(_, tensor)| tensor.numel()).sum();
    let all = experiment.network.cost().params + experiment.network.aux_cost().params;
    (!labels.is_empty()).then(|| {
        format!(
            "frozen: {}; {learned} of {all} parameters are trained. Frozen rows run as in evaluation: running statistics of \
             batch normalisation, no dropout",
            listed(&labels)
        )
    })
}

fn listed(names: &[String]) -> String {
    match names.len().checked_sub(LISTED) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..LISTED].join(", ")),
        _ => names.join(", "),
    }
}
