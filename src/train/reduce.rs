//! The gradients of all ranks added up, in one operation after the backward pass: networks of some ten megabytes are too small to
//! gain from doing it in buckets meanwhile.

use super::error::TrainError;
use crate::arch::params::Role;
use crate::model::Model;
use crate::ranks::Ranks;
use crate::torch;
use std::collections::BTreeSet;
use tch::{Kind, Tensor};

/// Replaces the gradients by their sums over all ranks, and the running statistics of batch normalisation by their means, weighted
/// with each rank's `share` of the images: after it all ranks have the same tensors to the bit, and the checkpoint of one is
/// that of all. A parameter that no rank has a gradient of stays without one, which optimizers skip.
///
/// # Errors
/// When another rank is lost.
pub(super) fn sum_gradients(ranks: &Ranks, model: &Model, share: f64) -> Result<(), TrainError> {
    if ranks.world() == 1 {
        return Ok(());
    }
    let _no_grad = tch::no_grad_guard();
    let params: Vec<Tensor> = model.trainable().into_iter().map(|(_, tensor)| tensor).collect();
    let Some(kind) = params.first().map(Tensor::kind) else { return Ok(()) };
    let statistics = learned_statistics(model);
    let grads = torch::grads(&params);
    let has: Vec<f32> = grads.iter().map(|grad| if grad.defined() { 1.0 } else { 0.0 }).collect();

    let flat = |(grad, param): (&Tensor, &Tensor)| match grad.defined() {
        true => grad.reshape([-1]),
        false => param.detach().zeros_like().reshape([-1]),
    };
    let mut parts: Vec<Tensor> = grads.iter().zip(&params).map(flat).collect();
    parts.extend(statistics.iter().map(|tensor| tensor.reshape([-1]) * share));
    parts.push(Tensor::from_slice(&has).to_kind(kind));
    let sizes: Vec<i64> = parts.iter().map(|part| part.size()[0]).collect();
    let all = Tensor::cat(&parts, 0);
    ranks.sum(&all)?;

    let mut sums = all.split_with_sizes(&sizes, 0);
    let counts = sums.pop().map(|counts| counts.to_kind(Kind::Double));
    let counts: Vec<f64> = counts.and_then(|counts| Vec::try_from(counts).ok()).unwrap_or_default();
    for (((param, mut grad), sum), count) in params.iter().zip(grads).zip(&sums).zip(counts) {
        if count == 0.0 {
            continue;
        }
        if !grad.defined() {
            // In the parameter's memory format, which the optimizer's kernels are fastest with.
            grad = param.detach().zeros_like();
            torch::set_grad(param, &grad)?;
        }
        grad.copy_(&sum.reshape(param.size()));
    }
    for (mut tensor, sum) in statistics.into_iter().zip(&sums[params.len()..]) {
        tensor.copy_(&sum.reshape(tensor.size()));
    }
    Ok(())
}

/// The running statistics but those of frozen rows, which a mean would change in the last digit. None where the ranks normalise
/// together, which leaves the same on all of them.
fn learned_statistics(model: &Model) -> Vec<Tensor> {
    if model.sync().is_some() {
        return Vec::new();
    }
    let layer = |name: &str| name.rsplit_once('.').map_or("", |(layer, _)| layer).to_owned();
    let learned: BTreeSet<String> = model.trainable().iter().map(|(param, _)| layer(&param.name)).collect();
    let kept = model.params().iter().filter(|(param, _)| {
        matches!(param.role, Role::RunningMean | Role::RunningVar) && learned.contains(&layer(&param.name))
    });
    kept.map(|(_, tensor)| tensor.detach()).collect()
}
