//! The forward pass of a training step, and its losses.

use crate::config::{Experiment, Precision};
use crate::model::Model;
use crate::torch::Autocast;
use tch::{Device, Tensor};

/// What a step computes before the optimizer: `main` is the loss of the network's own head, `loss` that with the auxiliary
/// heads'.
pub(super) struct Pass {
    pub loss: Tensor,
    pub main: Tensor,
    pub logits: Tensor,
    /// The backward pass is done.
    pub has_gradients: bool,
}

/// Autocast to a precision while the guard lives. On a CPU fp16, which trains on GPUs only, is evaluated in fp32.
pub(super) fn autocast(precision: Precision, device: Device) -> Option<Autocast> {
    match precision {
        Precision::Bf16 => Some(Autocast::bf16(device)),
        Precision::Fp16 if device.is_cuda() => Some(Autocast::fp16(device)),
        Precision::Fp16 | Precision::Fp32 => None,
    }
}

/// The forward pass and the losses.
pub(super) fn pass(experiment: &Experiment, model: &Model, pixels: &Tensor, targets: &Tensor) -> Pass {
    let train = &experiment.train;
    let outputs = {
        let _autocast = autocast(train.precision, model.device());
        model.forward(pixels, true)
    };
    let main = train.loss.mean(&outputs.logits, targets);
    let loss = outputs
        .aux
        .iter()
        .fold(main.shallow_clone(), |sum, (logits, weight)| sum + train.loss.mean(logits, targets) * *weight);
    Pass { loss, main, logits: outputs.logits, has_gradients: false }
}
