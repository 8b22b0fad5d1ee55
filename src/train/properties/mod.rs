//! Any experiment that validates is written down as itself, builds, trains a few steps and is evaluated, and gives finite
//! numbers unless libtorch, computing it by itself, does not either.

mod experiments;

use self::experiments::any_experiment;
use crate::config::{Experiment, Machine};
use crate::data::{self, Images, Normalise};
use crate::model::Model;
use crate::ranks::Ranks;
use crate::torch;
use crate::train::Quiet;
use crate::train::average::Average;
use crate::train::checkpoint::TrainState;
use crate::train::epoch::{EpochEnd, Trainer};
use crate::train::evaluate::{Inference, evaluate};
use crate::train::logs::Logs;
use crate::train::optimizer::Optimizer;
use crate::train::reduce::Reduction;
use crate::train::tally::tally;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use std::cell::Cell;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Written down, as a preset or as rows, and read again it has the same key.
fn check_written_down(experiment: &Experiment) -> Result<(), TestCaseError> {
    for written in [experiment.to_toml(), experiment.to_toml_rows()] {
        let text = written.to_string();
        let again = Experiment::parse("again.toml", &text, "any", &[], Machine::default());
        let again = again.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(again.key(), experiment.key(), "written down:\n{}", text);
    }
    Ok(())
}

/// How experiments fared.
#[derive(Default)]
struct Counts {
    valid: Cell<u32>,
    /// Valid experiments whose numbers overflow with Strata's operations and with libtorch's own.
    overflowed: Cell<u32>,
}

impl Counts {
    fn add(counter: &Cell<u32>) {
        counter.set(counter.get() + 1);
    }
}

/// An experiment's images and network.
struct Trial {
    images: Images,
    validation: Images,
    normalise: Normalise,
    model: Model,
}

impl Trial {
    fn of(experiment: &Experiment) -> Trial {
        let set = data::load(&data::source("synthetic").unwrap(), Path::new("")).unwrap();
        let shape = experiment.network.plan.input;
        let (validation, train) = set.split(experiment.data.validation, experiment.data.limit).unwrap();
        let (images, validation) = (train.resized(shape), validation.resized(shape));
        let normalise = experiment.data.normalisation(shape[0]);
        let rewrites = experiment.train.rewrites;
        let mut model = Model::build(&experiment.network, Device::Cpu, experiment.seed, rewrites).unwrap();
        model.use_channels_last().unwrap();
        Trial { images, validation, normalise, model }
    }

    /// Trains for an epoch.
    fn epoch(&self, experiment: &Experiment) -> (EpochEnd, TrainState, Option<Average>) {
        let Trial { images, normalise, model, .. } = self;
        let optimizer = Optimizer::new(experiment, model.trainable());
        let average = (experiment.train.ema > 0.0).then(|| Average::new(model, experiment.train.ema));
        let mut trainer = Trainer {
            experiment,
            images,
            normalise,
            model,
            resized: None,
            optimizer,
            average,
            recorder: None,
            logs: Logs::default(),
            ranks: Ranks::default(),
            reduction: Reduction::default(),
        };
        let mut state = TrainState::default();
        let end = trainer.epoch(&mut state, &mut Quiet).unwrap();
        if let EpochEnd::Complete { .. } = end {
            assert_eq!(state.step, trainer.batches(0) as u64);
        }
        (end, state, trainer.average)
    }
}

fn parsed(text: &str) -> Option<Experiment> {
    Experiment::parse("any.toml", text, "any", &[], Machine::default()).ok()
}

/// Whether an experiment overflows with libtorch's own operations, too: some do with any implementation, because dozens of
/// normalisations in a row divide by the tiny variance of a few nearly equal images. At that edge, where libtorch nearly
/// overflows in fp32, the last digits decide.
fn explodes_in_libtorch(text: &str) -> bool {
    let plain = text.replace("'bf16'", "'fp32'").replace("rewrites = true", "rewrites = false");
    let experiment = parsed(&plain).unwrap();
    let trial = Trial::of(&experiment);
    let (end, ..) = trial.epoch(&experiment);
    let params: Vec<Tensor> = trial.model.trainable().into_iter().map(|(_, tensor)| tensor).collect();
    // NaN is not below.
    let small = |tensor: &Tensor| tensor.abs().max().double_value(&[]) < 1e4;
    matches!(end, EpochEnd::Diverged(_))
        || !params.iter().chain(torch::grads(&params).iter().filter(|grad| grad.defined())).all(small)
}

/// What is not finite after an epoch, if anything is.
fn overflow(experiment: &Experiment, trial: &Trial) -> Option<String> {
    let Trial { model, validation, normalise, .. } = trial;
    let (end, state, average) = trial.epoch(experiment);
    if let EpochEnd::Diverged(divergence) = end {
        return Some(divergence.said(1, state.batch + 1));
    }
    for (param, tensor) in model.params() {
        if tensor.isfinite().all().int64_value(&[]) == 0 {
            return Some(format!("{} is not finite", param.name));
        }
    }
    let inference = Inference { batch: 2, ..Inference::of(experiment) };
    let measure = || evaluate(model, validation, normalise, inference).unwrap().unwrap();
    let sums = average.as_ref().map_or_else(measure, |average| average.applied(measure));
    assert_eq!(sums.count, 3);
    (!sums.mean_loss().is_finite()).then(|| format!("the validation loss is {}", sums.mean_loss()))
}

/// What is wrong with it; nothing for an experiment that is refused.
fn check(text: &str, counts: &Counts) -> Result<(), TestCaseError> {
    let Some(experiment) = parsed(text) else { return Ok(()) };
    Counts::add(&counts.valid);
    check_written_down(&experiment)?;
    let trial = Trial::of(&experiment);
    if let Some(what) = overflow(&experiment, &trial) {
        prop_assert!(explodes_in_libtorch(text), "{}", what);
        Counts::add(&counts.overflowed);
    }
    prop_assert!(trial.model.params().iter().all(|(_, tensor)| tensor.kind() == Kind::Float));
    Ok(())
}

/// Tries `cases` experiments, the same ones for the same `seed`; returns how they fared.
fn any_experiment_steps(cases: u32, seed: u64) -> Counts {
    let config = Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_iters: 300,
        ..Config::default()
    };
    let counts = Counts::default();
    if let Err(error) = TestRunner::new(config).run(&any_experiment(), |text| check(&text, &counts)) {
        panic!("{error}");
    }
    let (valid, overflowed) = (counts.valid.get(), counts.overflowed.get());
    assert!(valid > cases / 2, "only {valid} of {cases} were valid: the rest tests nothing");
    assert!(overflowed <= cases / 20, "{overflowed} of {valid} overflowed: they test little");
    counts
}

#[test]
fn any_valid_experiment_steps_and_gives_finite_numbers() {
    any_experiment_steps(150, 1);
}

/// Experiments of the long test that share a seed.
const BATCH: u32 = 100;

#[test]
#[ignore = "long: make torture"]
fn long_any_valid_experiment_steps_and_gives_finite_numbers() {
    let cases: u32 = std::env::var("STRATA_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(3000);
    let (mut valid, mut overflowed) = (0, 0);
    // A batch takes a minute or two: a run that is stopped has counted something.
    for batch in 0..cases.div_ceil(BATCH) {
        // libtorch splits work among threads, and has had faults that depend on their number.
        tch::set_num_threads(1 + batch.cast_signed() % 2);
        let counts = any_experiment_steps(BATCH, 2 + u64::from(batch));
        (valid, overflowed) = (valid + counts.valid.get(), overflowed + counts.overflowed.get());
        println!(
            "{valid} of {} experiments were valid: each built and stepped; {overflowed} overflowed and explode with libtorch alone too",
            BATCH * (batch + 1)
        );
    }
    let finite = valid - overflowed;
    let lost = format!(
        "nothing: {finite} gave finite numbers, {overflowed} overflow and explode in libtorch's own operations too"
    );
    tally("valid experiments at random, built and trained", u64::from(valid), &lost);
}
