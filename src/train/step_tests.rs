//! Gradients in parts, away from the weights and of a scaled loss, in float64 against passes over the whole batch.

use super::*;
use crate::arch::params::Role;
use crate::config::Machine;
use crate::data::{self, Images, Normalise};
use crate::model::Model;
use crate::ranks::{Ranks, on_ranks, on_ranks_in_buckets};
use crate::train::average::Average;
use crate::train::logs::Logs;
use crate::train::optimizer::Optimizer;
use crate::train::reduce::Reduction;
use std::collections::BTreeSet;
use std::path::Path;
use tch::{Device, Kind};

/// One normalisation, so that what is compared with a computation by hand is simple.
const ROWS: &str = "{ op = 'conv', kernel = 3, width = 4 }, { op = 'global_avg_pool' }, { op = 'classifier' }";

/// Several normalisations, with a sum, a non-linearity that no kernel joins, and of maps of one pixel.
const DEEP_ROWS: &str = "{ op = 'conv', kernel = 3, width = 4 }, { op = 'basic', width = 6, stride = 2 }, \
    { op = 'conv', kernel = 1, width = 5, act = 'sigmoid' }, { op = 'conv', kernel = 3, stride = 3, width = 4 }, \
    { op = 'global_avg_pool' }, { op = 'classifier' }";

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
        Fixture::on(&Ranks::default(), norm, ROWS, keys)
    }

    fn on(ranks: &Ranks, norm: &str, rows: &str, keys: &str) -> Fixture {
        let frame = if keys.contains("batch = ") { "" } else { "epochs = 1\nbatch = 7\n" };
        let text = format!(
            "[data]\ndataset = 'synthetic'\nvalidation = 3\n[model]\ninput = [1, 6, 6]\nnorm = '{norm}'\nrows = [{rows}]\n\
             [train]\n{frame}lr = 0.5\nmomentum = 0.0\n{keys}"
        );
        let experiment = Experiment::parse("x", &text, "x", &[], Machine::default()).unwrap();
        let (network, sync) = (&experiment.network, ranks.processes().filter(|_| experiment.train.sync_bn));
        let mut model = Model::build_for_ranks(network, Device::Cpu, 3, false, &BTreeSet::new(), sync).unwrap();
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
        let (resized, average, recorder, logs, ranks) = (None, None, None, Logs::default(), Ranks::default());
        let reduction = Reduction::default();
        Trainer { experiment, images, normalise, model, resized, optimizer, average, recorder, logs, ranks, reduction }
    }

    /// Loss and gradients by the code of a step.
    fn gradients(&self, state: &TrainState) -> (f64, Vec<Tensor>) {
        let mut trainer = self.trainer();
        trainer.optimizer.drop_gradients().unwrap();
        let Ok(sums) = trainer.gradients(state, &self.inputs(0..7)).unwrap() else { panic!("not finite") };
        assert_eq!(sums.count, 7);
        (sums.mean_loss(), self.grads())
    }

    /// The part of the batch of seven that a rank has.
    fn inputs(&self, part: std::ops::Range<usize>) -> Inputs {
        let (from, count) = (part.start as i64, part.len() as i64);
        let [pixels, targets] = [&self.pixels, &self.targets].map(|whole| whole.narrow(0, from, count));
        Inputs { pixels: (count > 0).then_some(pixels), labels: targets.shallow_clone(), targets, whole: 7 }
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

/// Weights and losses after steps on ranks that share each batch of seven.
fn trained(ranks: Ranks, keys: &str) -> (Vec<f64>, Vec<Vec<f64>>) {
    let sync = keys.contains("sync_bn");
    let fixture = Fixture::on(&ranks, if sync { "batch" } else { "none" }, if sync { DEEP_ROWS } else { ROWS }, keys);
    let average = (fixture.experiment.train.ema > 0.0).then(|| Average::new(&fixture.model, 0.9));
    let (inputs, mut state) = (fixture.inputs(ranks.part_of(7)), TrainState::default());
    let mut trainer = Trainer { ranks, average, ..fixture.trainer() };
    let mut losses = Vec::new();
    for _ in 0..20 {
        let Ok(sums) = trainer.gradients(&state, &inputs).unwrap() else { panic!("not finite") };
        assert_eq!(sums.count, 7);
        losses.push(sums.mean_loss());
        assert!(trainer.update(&mut state).unwrap());
        trainer.optimizer.drop_gradients().unwrap();
        trainer.average.as_ref().map_or(Ok(()), |average| average.update(state.step)).unwrap();
        state.step += 1;
    }
    let averages = trainer.average.iter().flat_map(Average::tensors).map(|(_, tensor)| tensor);
    let values = fixture.values().into_iter().chain(averages);
    (losses, values.map(|tensor| Vec::try_from(tensor.reshape([-1])).unwrap()).collect())
}

/// Ranks differ from one process by rounding, and from each other not at all. Eight ranks: one has no image.
#[test]
fn ranks_train_as_one_process_does() {
    for (keys, tolerance) in [
        ("", 1e-12),
        ("clip_norm = 0.1\nema = 0.9", 1e-12),
        ("sam_rho = 0.05\naccumulate = 2", 1e-12),
        ("sync_bn = true", 1e-11),
        ("sync_bn = true\nclip_norm = 0.1\nema = 0.9\nsam_rho = 0.05", 1e-11),
    ] {
        let (losses, whole) = trained(Ranks::default(), keys);
        for world in [2, 3, 8] {
            let found = on_ranks(world, |ranks| trained(ranks, keys));
            assert!(found.iter().all(|rank| *rank == found[0]), "{world} ranks, {keys}");
            let gap = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(gap(&found[0].0, &losses) < tolerance, "{world} ranks, {keys}");
            assert_eq!(found[0].1.len(), whole.len());
            let apart = found[0].1.iter().zip(&whole).map(|(a, b)| gap(a, b)).fold(0.0, f64::max);
            assert!(apart < tolerance, "{world} ranks differ by {apart}, {keys}");
        }
    }
}

/// In float64, where two ranks have only one order to add in; among three it depends on the place in the bucket.
#[test]
fn buckets_give_the_sums_of_one_operation() {
    for keys in ["clip_norm = 0.1\nema = 0.9", "sam_rho = 0.05\naccumulate = 2", "sync_bn = true\nsam_rho = 0.05"] {
        for (world, tolerance) in [(2, 0.0), (3, 1e-12), (8, 1e-11)] {
            let found = [0, 64].map(|bytes| on_ranks_in_buckets(world, Some(bytes), |ranks| trained(ranks, keys)));
            for ranks in &found {
                assert!(ranks.iter().all(|rank| *rank == ranks[0]), "{world} ranks, {keys}");
            }
            let [flat, buckets] = found.map(|mut ranks| ranks.swap_remove(0));
            let pairs = flat.1.iter().flatten().zip(buckets.1.iter().flatten());
            let apart = pairs.chain(flat.0.iter().zip(&buckets.0)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart <= tolerance, "{world} ranks differ by {apart}, {keys}");
        }
    }
}

/// Each rank normalises with its own images; what it leaves behind is the same on all of them.
#[test]
fn running_statistics_are_means_over_the_ranks() {
    let found = on_ranks(2, |ranks| {
        let fixture = Fixture::new("batch", "");
        let inputs = fixture.inputs(ranks.part_of(7));
        let mut trainer = Trainer { ranks, ..fixture.trainer() };
        assert!(trainer.gradients(&TrainState::default(), &inputs).unwrap().is_ok());
        let params = fixture.model.params().iter();
        let of = |role| params.clone().find(|(param, _)| param.role == role).unwrap().1.detach().copy();
        let alone = Fixture::new("batch", "");
        alone.model.forward(inputs.pixels.as_ref().unwrap(), true);
        let own = alone.model.params().iter().find(|(param, _)| param.role == Role::RunningMean).unwrap().1.detach();
        [of(Role::RunningMean), own].map(|tensor| Vec::<f64>::try_from(tensor.copy()).unwrap())
    });
    assert_eq!(found[0][0], found[1][0]);
    for (mean, (first, second)) in found[0][0].iter().zip(found[0][1].iter().zip(&found[1][1])) {
        assert!((mean - (3.0 * first + 4.0 * second) / 7.0).abs() < 1e-15);
    }
}

/// Parts of two images: the first two of three ranks have one such part and the third, with three images, two. So six images are
/// normalised together and then one, with two ranks idle.
#[test]
fn ranks_without_images_keep_in_step() {
    let keys = "sync_bn = true\naccumulate = 2";
    let found = on_ranks(3, |ranks| {
        let fixture = Fixture::on(&ranks, "batch", DEEP_ROWS, keys);
        let inputs = fixture.inputs(ranks.part_of(7));
        let mut trainer = Trainer { ranks, ..fixture.trainer() };
        assert!(trainer.gradients(&TrainState::default(), &inputs).unwrap().is_ok());
        let all = fixture.grads().into_iter().chain(fixture.values());
        all.map(|tensor| Vec::<f64>::try_from(tensor.reshape([-1])).unwrap()).collect::<Vec<_>>()
    });
    assert!(found.iter().all(|rank| *rank == found[0]));
    let alone = Fixture::on(&Ranks::default(), "batch", DEEP_ROWS, keys);
    for (from, count) in [(0, 6), (6, 1)] {
        let [pixels, targets] = [&alone.pixels, &alone.targets].map(|whole| whole.narrow(0, from, count));
        let loss = alone.experiment.train.loss.mean(&alone.model.forward(&pixels, true).logits, &targets);
        (loss * (count as f64 / 7.0)).backward();
    }
    let found: Vec<Tensor> = found[0].iter().map(|values| Tensor::from_slice(values)).collect();
    let wanted: Vec<Tensor> =
        alone.grads().into_iter().chain(alone.values()).map(|tensor| tensor.reshape([-1])).collect();
    assert_close(&found, &wanted);
}

/// Means of a million and deviations of one, on ranks with 1, 2 and 4 images: sums of squares would have lost ten digits.
#[test]
fn means_far_from_zero_cost_no_digits() {
    use crate::torch::fused::{Activation, Norm, norm_act};
    let run = |ranks: &Ranks, range: std::ops::Range<i64>| {
        let angles = |step: f64| Tensor::arange(7 * 3 * 4, (Kind::Double, Device::Cpu)) * step;
        let part = |whole: Tensor| whole.reshape([7, 3, 2, 2]).narrow(0, range.start, range.end - range.start);
        let x = (part(angles(2.3).sin()) + 1e6).set_requires_grad(true);
        let [mean, var] = [0.0, 1.0].map(|value| Tensor::full([3], value, (Kind::Double, Device::Cpu)));
        let processes = ranks.processes();
        let (gamma, beta, group) = (None, None, processes.as_deref());
        let norm = Norm { gamma, beta, mean: Some(&mean), var: Some(&var), momentum: 0.1, eps: 1e-5, group };
        let y = norm_act(&x, None, &norm, Activation::Relu, true).unwrap();
        (&y * part(angles(0.7).cos())).sum(Kind::Double).backward();
        [y.detach(), x.grad(), mean, var].map(|tensor| Vec::<f64>::try_from(tensor.reshape([-1])).unwrap())
    };
    let whole = run(&Ranks::default(), 0..7);
    let found = on_ranks(3, |ranks| run(&ranks, [0..1, 1..3, 3..7][ranks.rank()].clone()));
    for (index, tolerance) in [(0, 1e-9), (1, 1e-9)] {
        let joined: Vec<f64> = found.iter().flat_map(|rank| rank[index].clone()).collect();
        assert!(joined.iter().zip(&whole[index]).all(|(a, b)| (a - b).abs() < tolerance), "{index}");
    }
    for rank in &found {
        assert_eq!((&rank[2], &rank[3]), (&found[0][2], &found[0][3]));
        assert!(rank[2].iter().zip(&whole[2]).all(|(a, b)| (a - b).abs() < 1e-9));
        assert!(rank[3].iter().zip(&whole[3]).all(|(a, b)| (a - b).abs() < 1e-9));
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_all_ranks() {
    for (norm, keys, bytes) in [("none", "", 0), ("none", "", 64), ("batch", "sync_bn = true", 64)] {
        let found = on_ranks_in_buckets(2, Some(bytes), |ranks| {
            let fixture = Fixture::on(&ranks, norm, ROWS, keys);
            let inputs = fixture.inputs(ranks.part_of(7));
            if !ranks.is_first() {
                let _ = inputs.pixels.as_ref().unwrap().shallow_clone().fill_(f64::INFINITY);
            }
            let mut trainer = Trainer { ranks, ..fixture.trainer() };
            let Err(NotFinite { loss, here }) = trainer.gradients(&TrainState::default(), &inputs).unwrap() else {
                panic!("finite")
            };
            (loss.is_finite(), here)
        });
        // Where ranks normalise together the NaN of one is in the batch of all.
        assert_eq!(found, [(false, norm == "batch"), (false, true)], "{norm}");
    }
}
