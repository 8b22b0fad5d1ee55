//! The forward pass of a training step, and its losses.

use crate::config::{Experiment, Precision};
use crate::model::Model;
use crate::torch::Autocast;
use tch::Tensor;

/// What a step computes before the optimizer: `main` is the loss of the network's own head, `loss` that with the auxiliary
/// heads'.
pub(super) struct Pass {
    pub loss: Tensor,
    pub main: Tensor,
    pub logits: Tensor,
    /// The backward pass is done.
    pub has_gradients: bool,
}

/// The forward pass and the losses.
pub(super) fn pass(experiment: &Experiment, model: &Model, pixels: &Tensor, targets: &Tensor) -> Pass {
    let train = &experiment.train;
    let outputs = {
        let _autocast = Autocast::bf16_if(train.precision == Precision::Bf16, model.device());
        model.forward(pixels, true)
    };
    let main = train.loss.mean(&outputs.logits, targets);
    let loss = outputs
        .aux
        .iter()
        .fold(main.shallow_clone(), |sum, (logits, weight)| sum + train.loss.mean(logits, targets) * *weight);
    Pass { loss, main, logits: outputs.logits, has_gradients: false }
}
