//! One training step: the gradients of a batch, and what the optimizer does with them.

use super::checkpoint::TrainState;
use super::divergence::Divergence;
use super::epoch::Trainer;
use super::error::TrainError;
use super::evaluate::{targets, tensors};
use super::faults;
use super::pass::{Pass, pass};
use super::sam::Ascent;
use super::scaler::GradScaler;
use super::schedule::rate_factor;
use crate::config::{Experiment, Precision};
use crate::data::Batch;
use crate::random;
use crate::runs::StepRow;
use crate::torch::TorchError;
use tch::Tensor;

/// What a batch gave: its mean loss on the network's own head, and logits `[N, classes]`.
struct Passed {
    loss: f64,
    logits: Tensor,
}

/// The loss of a part of a batch, NaN or infinite.
struct NotFinite(f64);

impl Trainer<'_> {
    pub(super) fn step(&mut self, state: &mut TrainState, batch: &Batch) -> Result<Option<Divergence>, TrainError> {
        let fault = faults::step(state.step)?;
        let device = self.model.device();
        let (pixels, labels) = tensors(batch, device);
        let targets = targets(batch, &labels, self.experiment.network.plan.classes as i64);
        if self.experiment.train.precision == Precision::Fp16 && device.is_cuda() {
            state.scaler.get_or_insert_default();
        }
        let number = state.step + 1;
        let passed = match self.gradients(state, &pixels, &targets)? {
            Ok(passed) => passed,
            Err(NotFinite(loss)) => {
                return Ok(Some(Divergence::of_loss(loss, number, self.experiment, self.model, batch)));
            }
        };
        faults::poison(fault, self.model);
        if !self.update(state)? {
            return Ok(Some(Divergence::of_gradients(number, &self.model.trainable())));
        }
        if self.recorder.as_ref().is_none_or(|recorder| !recorder.replays()) {
            self.optimizer.drop_gradients()?;
        }
        if let Some(average) = &self.average {
            average.update(state.step)?;
        }
        state.sums.add(passed.loss, &passed.logits, &labels);
        let lr = self.rate(state.step);
        self.logs.loss(StepRow { step: number, epoch: state.epoch + 1, lr, loss: passed.loss })?;
        Ok(None)
    }

    /// Loss and logits at the weights, and the gradients there or, with `sam_rho`, where the loss is highest nearby.
    fn gradients(
        &mut self,
        state: &TrainState,
        pixels: &Tensor,
        targets: &Tensor,
    ) -> Result<Result<Passed, NotFinite>, TorchError> {
        let passed = self.accumulate(state, pixels, targets)?;
        let rho = self.experiment.train.sam_rho;
        if rho == 0.0 || passed.is_err() {
            return Ok(passed);
        }
        // Without it the gradients are NaN or infinite, which `update` finds.
        let Some(ascent) = Ascent::new(self.model, rho)? else { return Ok(passed) };
        self.optimizer.drop_gradients()?;
        let above = self.accumulate(state, pixels, targets)?;
        ascent.undo();
        Ok(above.and(passed))
    }

    /// The mean gradients of a batch, added up over its `train.accumulate` parts.
    fn accumulate(
        &mut self,
        state: &TrainState,
        pixels: &Tensor,
        targets: &Tensor,
    ) -> Result<Result<Passed, NotFinite>, TorchError> {
        let Experiment { seed, train, .. } = self.experiment;
        // Dropout and stochastic depth draw from libtorch's generator. Seeding it from the step number gives a resumed run the
        // same draws, with no generator state to save.
        tch::manual_seed(random::key(*seed, "step", &[state.step]) as i64);
        let scale = state.scaler.as_ref().map_or(1.0, GradScaler::scale);
        let images = pixels.size()[0];
        let part = train.stage(state.epoch).1.div_ceil(train.accumulate) as i64;
        let (mut loss, mut logits) = (0.0, Vec::new());
        for (pixels, targets) in pixels.split(part, 0).iter().zip(targets.split(part, 0)) {
            let share = pixels.size()[0] as f64 / images as f64;
            let pass = self.pass(pixels, &targets)?;
            let value = pass.loss.double_value(&[]);
            if !value.is_finite() {
                return Ok(Err(NotFinite(value)));
            }
            if !pass.has_gradients {
                let factor = share * scale;
                if factor == 1.0 { pass.loss.backward() } else { (pass.loss * factor).backward() }
            }
            loss += pass.main.double_value(&[]) * share;
            logits.push(pass.logits.detach());
        }
        let logits = if let [one] = logits.as_slice() { one.shallow_clone() } else { Tensor::cat(&logits, 0) };
        Ok(Ok(Passed { loss, logits }))
    }

    /// Steps the optimizer with the gradients; `false` if they are NaN or infinite. Gradients that overflow in fp16 skip the
    /// step and lower the scale of the losses.
    fn update(&mut self, state: &mut TrainState) -> Result<bool, TrainError> {
        let train = &self.experiment.train;
        if let Some(scaler) = &mut state.scaler {
            let finite = self.optimizer.unscale(scaler.scale())?;
            scaler.update(finite);
            if !finite {
                return Ok(!scaler.is_exhausted());
            }
        }
        let before = self.logs.before_update(state.step + 1);
        if train.clip_norm > 0.0 && !self.optimizer.clip(train.clip_norm)?.is_finite() {
            return Ok(false);
        }
        self.optimizer.step(rate_factor(train, self.position(state.step), self.batches(0) as u64))?;
        if let Some(before) = before {
            self.logs.after_update(before, state.step + 1, state.epoch + 1)?;
        }
        Ok(true)
    }

    /// Forward pass and losses. A CUDA graph, where one is recorded, runs the backward pass as well.
    fn pass(&mut self, pixels: &Tensor, targets: &Tensor) -> Result<Pass, TorchError> {
        let Some(recorder) = &mut self.recorder else {
            return Ok(pass(self.experiment, self.sized_model(), pixels, targets));
        };
        let recorded = recorder.pass(self.experiment, self.model, pixels, targets)?;
        match recorded {
            Some(pass) => Ok(pass),
            None => {
                self.optimizer.drop_gradients()?;
                Ok(pass(self.experiment, self.model, pixels, targets))
            }
        }
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
