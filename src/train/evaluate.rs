//! Evaluation: every image exactly once, without padding or repeats.

use super::metrics::{Sums, cross_entropy};
use super::pass::autocast;
use crate::config::{Experiment, Precision};
use crate::data::{Batch, DataError, Images, Normalise, prefetch};
use crate::interrupt;
use crate::model::Model;
use crate::torch;
use crate::torch::fused::keep_packed_weights;
use std::ops::ControlFlow;
use tch::{Device, Kind, Tensor};

/// A batch's pixels and labels on the model's device: `[N, C, H, W]` floats and `[N]` integers.
pub fn tensors(batch: &Batch, device: Device) -> (Tensor, Tensor) {
    let images = torch::images(&batch.pixels, batch.shape)
        .unwrap_or_else(|error| panic!("a batch has the values that its shape says: {error}"));
    (on_device(images, device), on_device(Tensor::from_slice(&batch.labels), device))
}

/// What a batch is trained on: its labels, or for mixed images a row of probabilities `[N, classes]` on the logits' device.
pub(super) fn targets(batch: &Batch, labels: &Tensor, classes: i64) -> Tensor {
    let Some(mixed) = &batch.mixed else { return labels.shallow_clone() };
    let others = on_device(Tensor::from_slice(&mixed.labels), labels.device());
    let rows = |labels: &Tensor, share| labels.one_hot(classes).to_kind(Kind::Float) * share;
    rows(labels, mixed.share) + rows(&others, 1.0 - mixed.share)
}

/// Copies a tensor to the device. On a GPU the copy from pinned memory is asynchronous. Never run on a GPU yet.
fn on_device(host: Tensor, device: Device) -> Tensor {
    if !device.is_cuda() {
        return host.to_device(device);
    }
    let kind = host.kind();
    host.pin_memory(device).to_device_(device, kind, true, false)
}

/// How images are evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Inference {
    /// Images a batch.
    pub batch: usize,
    pub precision: Precision,
    /// Whether the mirrored images count as well: the probabilities are the mean of both (AlexNet, section 4.1).
    pub flip: bool,
}

impl Inference {
    pub fn of(experiment: &Experiment) -> Inference {
        let Experiment { data, train, .. } = experiment;
        Inference { batch: train.batch.clamp(1, 500), precision: train.precision, flip: data.test_flip }
    }

    /// Logits of images `[N, C, H, W]`.
    fn logits(self, model: &Model, pixels: &Tensor) -> Tensor {
        let _autocast = autocast(self.precision, model.device());
        let logits = model.forward(pixels, false).logits;
        if !self.flip {
            return logits;
        }
        let mirrored = model.forward(&pixels.flip([3]), false).logits;
        let [first, second] = [logits, mirrored].map(|logits| logits.log_softmax(1, Kind::Float));
        first.logaddexp(&second) - 2f64.ln()
    }
}

/// Calls `f` with the logits and labels of each batch of `images`, in order. Returns `false` if a stop was requested, which is
/// checked after every batch.
///
/// # Errors
/// An image file that cannot be decoded.
pub fn for_each_batch(
    model: &Model,
    images: &Images,
    normalise: &Normalise,
    inference: Inference,
    mut f: impl FnMut(&Tensor, &Tensor),
) -> Result<bool, DataError> {
    let _no_grad = tch::no_grad_guard();
    let _weights = keep_packed_weights();
    let size = inference.batch.max(1);
    let fill = |i, batch: &mut Batch| batch.fill_eval(images, i * size..(i + 1) * size, normalise);
    let forward = |_, batch: &Batch| -> Result<ControlFlow<()>, DataError> {
        let (pixels, labels) = tensors(batch, model.device());
        f(&inference.logits(model, &pixels), &labels);
        Ok(if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    Ok(prefetch(images.len().div_ceil(size), fill, forward)?.is_continue())
}

/// Loss and accuracies over all of `images`; `None` if a stop was requested meanwhile.
///
/// # Errors
/// An image file that cannot be decoded.
pub fn evaluate(
    model: &Model,
    images: &Images,
    normalise: &Normalise,
    inference: Inference,
) -> Result<Option<Sums>, DataError> {
    let mut sums = Sums::default();
    let complete = for_each_batch(model, images, normalise, inference, |logits, labels| {
        sums.add(cross_entropy(logits, labels).double_value(&[]), logits, labels);
    })?;
    Ok(complete.then_some(sums))
}
