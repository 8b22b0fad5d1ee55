//! One training step: the gradients of a batch, and what the optimizer does with them.

use super::checkpoint::TrainState;
use super::divergence::Divergence;
use super::epoch::Trainer;
use super::error::TrainError;
use super::evaluate::{targets, tensors};
use super::faults;
use super::metrics::Sums;
use super::pass::{Pass, pass};
use super::sam::Ascent;
use super::scaler::GradScaler;
use super::schedule::rate_factor;
use crate::config::{Experiment, Precision};
use crate::data::Batch;
use crate::random;
use crate::runs::StepRow;
use crate::torch::TorchError;
use tch::{Device, Tensor};

/// A batch, or the part of it that is this rank's, on the device.
struct Inputs {
    /// `[N, C, H, W]`; `None` if a small batch has no image for this rank.
    pixels: Option<Tensor>,
    /// `[N]`
    labels: Tensor,
    targets: Tensor,
    /// Images of the whole batch.
    whole: usize,
}

impl Inputs {
    /// Images of this rank.
    fn count(&self) -> i64 {
        self.pixels.as_ref().map_or(0, |pixels| pixels.size()[0])
    }

    /// The images `part` at a time, with their targets.
    fn parts(&self, part: i64) -> Vec<(Tensor, Tensor)> {
        let Some(pixels) = &self.pixels else { return Vec::new() };
        pixels.split(part, 0).into_iter().zip(self.targets.split(part, 0)).collect()
    }

    fn of(batch: &Batch, device: Device, classes: usize) -> Inputs {
        let whole = batch.whole;
        if batch.labels.is_empty() {
            return Inputs { pixels: None, labels: Tensor::new(), targets: Tensor::new(), whole };
        }
        let (pixels, labels) = tensors(batch, device);
        let targets = targets(batch, &labels, classes as i64);
        Inputs { pixels: Some(pixels), labels, targets, whole }
    }
}

/// A loss that is NaN or infinite.
struct NotFinite {
    loss: f64,
    /// Whether it comes from images of this rank.
    here: bool,
}

impl Trainer<'_> {
    pub(super) fn step(&mut self, state: &mut TrainState, batch: &Batch) -> Result<Option<Divergence>, TrainError> {
        let fault = faults::step(state.step)?;
        let device = self.model.device();
        let inputs = Inputs::of(batch, device, self.experiment.network.plan.classes);
        if self.experiment.train.precision == Precision::Fp16 && device.is_cuda() {
            state.scaler.get_or_insert_default();
        }
        let number = state.step + 1;
        let sums = match self.gradients(state, &inputs)? {
            Ok(sums) => sums,
            Err(NotFinite { loss, here }) => {
                let batch = here.then_some(batch);
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
        state.sums.merge(sums);
        let lr = self.rate(state.step);
        self.logs.loss(StepRow { step: number, epoch: state.epoch + 1, lr, loss: sums.mean_loss() })?;
        Ok(None)
    }

    /// Loss and hits of the whole batch at the weights, and the gradients there or, with `sam_rho`, where the loss is highest
    /// nearby.
    fn gradients(&mut self, state: &TrainState, inputs: &Inputs) -> Result<Result<Sums, NotFinite>, TrainError> {
        let passed = self.accumulate(state, inputs)?;
        let rho = self.experiment.train.sam_rho;
        if rho == 0.0 || passed.is_err() {
            return Ok(passed);
        }
        // Without it the gradients are NaN or infinite, which `update` finds.
        let Some(ascent) = Ascent::new(self.model, rho)? else { return Ok(passed) };
        self.optimizer.drop_gradients()?;
        let above = self.accumulate(state, inputs)?;
        ascent.undo();
        Ok(above.and(passed))
    }

    /// The mean gradients of a batch, added up over its `train.accumulate` parts and over all ranks.
    fn accumulate(&mut self, state: &TrainState, inputs: &Inputs) -> Result<Result<Sums, NotFinite>, TrainError> {
        let Experiment { seed, train, .. } = self.experiment;
        // Dropout and stochastic depth draw from libtorch's generator. Seeding it from the step number, and among several ranks
        // from the rank, gives a resumed run the same draws, with no generator state to save.
        let (rank, world) = (self.ranks.rank(), self.ranks.world());
        let counters = [state.step, rank as u64];
        tch::manual_seed(random::key(*seed, "step", if world == 1 { &counters[..1] } else { &counters }) as i64);
        let part = train.stage(state.epoch).1.div_ceil(train.accumulate * world) as i64;
        self.reduction.prepare(&self.ranks, self.model)?;
        let (local, here) = match self.local(state, inputs, part)? {
            Ok(sums) => (sums, false),
            Err(loss) => (Sums { loss, ..Sums::default() }, !loss.is_finite()),
        };
        let numbers = [local.loss, local.top1 as f64, local.top5 as f64, if here { 1.0 } else { 0.0 }];
        let [loss, top1, top5, bad] = self.ranks.sums(numbers)?;
        if bad > 0.0 {
            self.reduction.abandon(&self.ranks)?;
            return Ok(Err(NotFinite { loss, here }));
        }
        let whole = inputs.whole;
        self.reduction.finish(&self.ranks, inputs.count() as f64 / whole as f64)?;
        let (top1, top5, count) = (top1 as u64, top5 as u64, whole as u64);
        Ok(Ok(Sums { loss: loss * whole as f64, top1, top5, count }))
    }

    /// The gradients of this rank's images, `part` at a time, as parts of the mean over the whole batch. Gives the hits, and as
    /// their loss its part of that mean; or the loss that ended it, which is NaN or infinite if not that of another rank is.
    fn local(&mut self, state: &TrainState, inputs: &Inputs, part: i64) -> Result<Result<Sums, f64>, TrainError> {
        let scale = state.scaler.as_ref().map_or(1.0, GradScaler::scale);
        let (mut loss, mut logits) = (0.0, Vec::new());
        let parts = inputs.parts(part);
        let passes = self.passes(parts.len())?;
        for index in 0..passes {
            if index + 1 == passes {
                self.reduction.arm();
            }
            let Some((pixels, targets)) = parts.get(index) else {
                if !self.idle_pass()? {
                    return Ok(Err(0.0));
                }
                continue;
            };
            let share = pixels.size()[0] as f64 / inputs.whole as f64;
            let pass = self.pass(pixels, targets)?;
            let value = pass.loss.double_value(&[]);
            if !self.all_finite(value)? {
                return Ok(Err(value));
            }
            if !pass.has_gradients {
                let factor = share * scale;
                if factor == 1.0 { pass.loss.backward() } else { (pass.loss * factor).backward() }
            }
            loss += pass.main.double_value(&[]) * share;
            logits.push(pass.logits.detach());
        }
        let mut sums = Sums::default();
        if !logits.is_empty() {
            let logits = if let [one] = logits.as_slice() { one.shallow_clone() } else { Tensor::cat(&logits, 0) };
            sums.add(0.0, &logits, &inputs.labels);
        }
        Ok(Ok(Sums { loss, ..sums }))
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
