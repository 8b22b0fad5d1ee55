//! Evaluation: every image exactly once, without padding or repeats.

use super::metrics::{Sums, cross_entropy};
use crate::config::Precision;
use crate::data::{Batch, Images, Normalise};
use crate::model::Model;
use crate::torch::Autocast;
use tch::{Device, Tensor};

/// A batch's pixels and labels on the model's device: `[N, C, H, W]` floats and `[N]` integers.
pub fn tensors(batch: &Batch, device: Device) -> (Tensor, Tensor) {
    let shape = batch.shape.map(|side| side as i64);
    let images = Tensor::from_slice(&batch.pixels).view(shape).to_device(device);
    (images, Tensor::from_slice(&batch.labels).to_device(device))
}

/// Calls `f` with the logits and labels of each batch of `images`, in order.
pub fn for_each_batch(
    model: &Model,
    images: &Images,
    normalise: &Normalise,
    batch_size: usize,
    precision: Precision,
    mut f: impl FnMut(&Tensor, &Tensor),
) {
    let _no_grad = tch::no_grad_guard();
    let mut batch = Batch::default();
    for start in (0..images.len()).step_by(batch_size.max(1)) {
        batch.fill_eval(images, start..start + batch_size, normalise);
        let (pixels, labels) = tensors(&batch, model.device());
        let outputs = {
            let _autocast = Autocast::bf16_if(precision == Precision::Bf16, model.device());
            model.forward(&pixels, false)
        };
        f(&outputs.logits, &labels);
    }
}

/// Loss and accuracies over all of `images`.
pub fn evaluate(
    model: &Model,
    images: &Images,
    normalise: &Normalise,
    batch_size: usize,
    precision: Precision,
) -> Sums {
    let mut sums = Sums::default();
    for_each_batch(model, images, normalise, batch_size, precision, |logits, labels| {
        sums.add(cross_entropy(logits, labels, 0.0).double_value(&[]), logits, labels);
    });
    sums
}
