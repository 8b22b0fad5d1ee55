//! Gradients in parts, away from the weights and of a scaled loss, in float64 against passes over the whole batch.

use super::*;
use crate::arch::params::Role;
use crate::config::Machine;
use crate::data::{self, Images, Normalise};
use crate::model::Model;
use crate::train::logs::Logs;
use crate::train::optimizer::Optimizer;
use std::path::Path;
use tch::{Device, Kind};

/// A network on 7 images whose batch is 7.
struct Fixture {
    experiment: Experiment,
    images: Images,
    normalise: Normalise,
    model: Model,
    pixels: Tensor,
    targets: Tensor,
}

impl Fixture {
    fn new(norm: &str, keys: &str) -> Fixture {
        let frame = if keys.contains("batch = ") { "" } else { "epochs = 1\nbatch = 7\n" };
        let text = format!(
            "[data]\ndataset = 'synthetic'\nvalidation = 3\n[model]\ninput = [1, 6, 6]\nnorm = '{norm}'\nrows = [\
             {{ op = 'conv', kernel = 3, width = 4 }}, {{ op = 'global_avg_pool' }}, {{ op = 'classifier' }}]\n\
             [train]\n{frame}lr = 0.5\nmomentum = 0.0\n{keys}"
        );
        let experiment = Experiment::parse("x", &text, "x", &[], Machine::default()).unwrap();
        let mut model = Model::build(&experiment.network, Device::Cpu, 3, false).unwrap();
        model.to_kind(Kind::Double);
        let set = data::load(&data::source("synthetic").unwrap(), Path::new("")).unwrap();
        let images = set.train.take(7).resized([1, 6, 6]);
        let normalise = Normalise { mean: vec![0.5], std: vec![0.5] };
        let pixels = (Tensor::arange(7 * 36, (Kind::Double, Device::Cpu)) * 1.7).sin().reshape([7, 1, 6, 6]);
        let targets = Tensor::from_slice(&[0i64, 3, 1, 9, 3, 5, 2]);
        Fixture { experiment, images, normalise, model, pixels, targets }
    }

    fn trainer(&self) -> Trainer<'_> {
        let Fixture { experiment, images, normalise, model, .. } = self;
        let optimizer = Optimizer::new(experiment, model.trainable());
        let (resized, average, recorder, logs) = (None, None, None, Logs::default());
        Trainer { experiment, images, normalise, model, resized, optimizer, average, recorder, logs }
    }

    /// Loss and gradients by the code of a step.
    fn gradients(&self, state: &TrainState) -> (f64, Vec<Tensor>) {
        let mut trainer = self.trainer();
        trainer.optimizer.drop_gradients().unwrap();
        let Ok(passed) = trainer.gradients(state, &self.pixels, &self.targets).unwrap() else { panic!("not finite") };
        assert_eq!(passed.logits.size(), [7, 10]);
        (passed.loss, self.grads())
    }

    /// Loss and gradients of one pass over the batch.
    fn plain(&self) -> (f64, Vec<Tensor>) {
        self.trainer().optimizer.drop_gradients().unwrap();
        let loss = self.experiment.train.loss.mean(&self.model.forward(&self.pixels, true).logits, &self.targets);
        loss.backward();
        (loss.double_value(&[]), self.grads())
    }

    fn grads(&self) -> Vec<Tensor> {
        self.model.trainable().iter().map(|(_, tensor)| tensor.grad().copy()).collect()
    }

    fn values(&self) -> Vec<Tensor> {
        self.model.params().iter().map(|(_, tensor)| tensor.detach().copy()).collect()
    }
}

fn assert_close(found: &[Tensor], wanted: &[Tensor]) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        let gap = (found - wanted).abs().max().double_value(&[]);
        assert!(gap < 1e-13, "differs by {gap}");
    }
}

#[test]
fn parts_of_a_batch_give_its_gradients() {
    let whole = Fixture::new("none", "").plain();
    for parts in [1, 2, 3, 7] {
        let (loss, grads) = Fixture::new("none", &format!("accumulate = {parts}")).gradients(&TrainState::default());
        assert!((loss - whole.0).abs() < 1e-14, "{parts}");
        assert_close(&grads, &whole.1);
    }
}

/// In a stage with a batch of its own the parts are those of that batch: 4 and 3 of 7 images, not all of them because the batch was
/// 14 before. The running statistics tell how many parts there were.
#[test]
fn parts_are_those_of_the_batch_of_their_stage() {
    let state = TrainState { epoch: 1, ..TrainState::default() };
    let keys = "epochs = 2\nbatch = 14\nstages = [{ from = 1, batch = 7 }]";
    let whole = Fixture::new("none", "").plain();
    for parts in [1, 2, 3, 7] {
        let (loss, grads) = Fixture::new("none", &format!("{keys}\naccumulate = {parts}")).gradients(&state);
        assert!((loss - whole.0).abs() < 1e-14, "{parts}");
        assert_close(&grads, &whole.1);
    }
    let staged = Fixture::new("batch", &format!("{keys}\naccumulate = 2"));
    staged.gradients(&state);
    let steady = Fixture::new("batch", "accumulate = 2");
    steady.gradients(&TrainState::default());
    assert_close(&staged.values(), &steady.values());
    let alone = Fixture::new("batch", "");
    alone.gradients(&TrainState::default());
    let apart = staged.values().iter().zip(alone.values()).any(|(a, b)| (a - b).abs().max().double_value(&[]) > 1e-6);
    assert!(apart, "two parts move the statistics otherwise than one");
}

/// The gradients of the paper's algorithm 1, moved by hand; weights and running statistics are those of a plain pass.
#[test]
fn sharpness_aware_gradients_are_those_uphill() {
    for parts in [1, 2] {
        let rho = 0.3;
        let plain = Fixture::new("batch", "");
        let (loss, slopes) = plain.plain();
        let statistics = plain.values();
        let norm = slopes.iter().map(|slope| slope.square().sum(Kind::Double).double_value(&[])).sum::<f64>().sqrt();
        for ((_, tensor), slope) in plain.model.trainable().iter().zip(&slopes) {
            let _ = tch::no_grad(|| tensor.shallow_clone().g_add_(&(slope * (rho / (norm + 1e-12)))));
        }
        let (_, uphill) = plain.plain();

        let ours = Fixture::new("batch", &format!("sam_rho = {rho}\naccumulate = {parts}"));
        let (found, grads) = ours.gradients(&TrainState::default());
        if parts == 1 {
            assert!((found - loss).abs() < 1e-14);
            assert_close(&grads, &uphill);
            assert_close(&ours.values(), &statistics);
        }
        let initial = Fixture::new("batch", "");
        for ((param, tensor), (_, start)) in ours.model.params().iter().zip(initial.model.params()) {
            let moves = matches!(param.role, Role::RunningMean | Role::RunningVar);
            assert_eq!(tensor == start, !moves, "{}", param.name);
        }
    }
}

#[test]
fn a_scaled_loss_steps_as_a_plain_one_and_an_overflow_is_skipped() {
    let plain = Fixture::new("none", "");
    let mut state = TrainState::default();
    plain.gradients(&state);
    assert!(plain.trainer().update(&mut state).unwrap());

    let scaled = Fixture::new("none", "clip_norm = 1e6");
    let mut state = TrainState { scaler: Some(GradScaler::default()), ..TrainState::default() };
    let (_, grads) = scaled.gradients(&state);
    assert_close(&[&grads[0] / 65_536.0], &[Fixture::new("none", "").plain().1[0].shallow_clone()]);
    assert!(scaled.trainer().update(&mut state).unwrap());
    assert_close(&scaled.values(), &plain.values());

    let before = scaled.values();
    scaled.gradients(&state);
    let _ = scaled.model.trainable()[1].1.grad().fill_(f64::INFINITY);
    state.step = 2;
    assert!(scaled.trainer().update(&mut state).unwrap());
    assert_eq!(scaled.values(), before);
    assert_eq!((state.scaler.as_ref().unwrap().scale(), state.updates()), (32_768.0, 1));
    let json = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<TrainState>(&json).unwrap(), state);
}
