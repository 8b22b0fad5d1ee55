//! Passes of ranks in step: where they normalise together (`sync_bn`), every rank runs every forward and backward pass, or the
//! others would wait for it.

use super::epoch::Trainer;
use super::error::TrainError;
use super::pass::pass;
use crate::torch::TorchError;
use tch::{Kind, Tensor};

impl Trainer<'_> {
    /// How many passes a step takes for `own` parts of a batch: as many as on the rank with the most.
    ///
    /// # Errors
    /// When another rank is lost.
    pub(super) fn passes(&self, own: usize) -> Result<usize, TrainError> {
        if self.model.sync().is_none() {
            return Ok(own);
        }
        Ok(self.ranks.greatest(own)?)
    }

    /// Whether the loss is finite: in step on all ranks, so that none begins a backward pass alone.
    ///
    /// # Errors
    /// When another rank is lost.
    pub(super) fn all_finite(&self, loss: f64) -> Result<bool, TrainError> {
        if self.model.sync().is_none() {
            return Ok(loss.is_finite());
        }
        let [bad] = self.ranks.sums([if loss.is_finite() { 0.0 } else { 1.0 }])?;
        Ok(bad == 0.0)
    }

    /// A forward and backward pass along with those of the other ranks, on an image that does not count. `false` where a loss of
    /// theirs is NaN or infinite.
    ///
    /// # Errors
    /// When another rank is lost.
    pub(super) fn idle_pass(&self) -> Result<bool, TrainError> {
        let Some(group) = self.model.sync() else { return Ok(true) };
        let kind = self.model.params().first().map_or(Kind::Float, |(_, tensor)| tensor.kind());
        let [channels, height, width] = self.image_shape().map(|side| side as i64);
        let pixels = Tensor::zeros([1, channels, height, width], (kind, self.model.device()));
        let targets = Tensor::zeros([1], (Kind::Int64, self.model.device()));
        let passed = group.idle(|| pass(self.experiment, self.sized_model(), &pixels, &targets));
        if !self.all_finite(0.0)? {
            return Ok(false);
        }
        (passed.loss * 0.0).f_backward().map_err(TorchError::from)?;
        Ok(true)
    }
}
