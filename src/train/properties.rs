//! Any experiment that validates is written down as itself, builds, trains a few steps and is evaluated, and gives finite
//! numbers unless libtorch, computing it by itself, does not either.

use super::Quiet;
use super::average::Average;
use super::checkpoint::TrainState;
use super::epoch::{EpochEnd, Trainer};
use super::evaluate::{Inference, evaluate};
use super::logs::Logs;
use super::optimizer::Optimizer;
use super::tally::tally;
use crate::config::{Experiment, Machine};
use crate::data::{self, Images, Normalise};
use crate::model::Model;
use crate::ranks::Ranks;
use crate::torch;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use std::cell::Cell;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// One of the lines.
fn one(lines: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(lines).prop_map(str::to_owned)
}

/// Some of the lines, or none.
fn some(lines: &'static [&'static str]) -> impl Strategy<Value = String> {
    subsequence(lines, 0..=lines.len()).prop_map(|lines| lines.join("\n"))
}

/// Lines one below the other.
fn lines(parts: impl Strategy<Value = Vec<String>>) -> impl Strategy<Value = String> {
    parts.prop_map(|parts| parts.join("\n"))
}

macro_rules! text {
    ($($part:expr),+ $(,)?) => { lines(vec![$($part.boxed()),+]) };
}

fn resnet() -> impl Strategy<Value = String> {
    text![
        one(&[
            "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\nwidth = 4",
            "preset = 'resnet'\nlayout = 'cifar'\ndepth = 14\nwidth = 6",
            "preset = 'resnet'\nlayout = 'cifar'\ndepth = 11\nwidth = 4\nbottleneck = true",
            "preset = 'resnet'\nlayout = 'cifar'\ndepth = 11\nwidth = 4\nbottleneck = true\ngroups = 2\nbase_width = 32",
            "preset = 'resnet'\ndepth = 18\nwidth = 4\nstem = 'small'",
            "preset = 'resnet'\ndepth = 50\nwidth = 4",
        ]),
        // What acts on a shortcut goes with one.
        prop_oneof![1 => Just("shortcut = 'none'".to_owned()).boxed(), 4 => shortcut().boxed()],
        one(&[
            "",
            "order = 'bn_after_add'",
            "order = 'relu_before_add'",
            "order = 'relu_only_preact'",
            "order = 'preact'",
            "order = 'preact'\npreact_first = false",
        ]),
        some(&["se = 2", "zero_init = true"]),
        one(&["", "stride_in = '1x1'"]),
    ]
}

fn shortcut() -> impl Strategy<Value = String> {
    text![
        one(&["", "shortcut = 'A'", "shortcut = 'A_pool'", "shortcut = 'C'"]),
        one(&[
            "",
            "scale = 0.5",
            "gate = 'exclusive'",
            "gate = 'exclusive'\ngate_kernel = 3\ngate_bias = -1.0",
            "gate = 'shortcut_only'\ngate_bias = 0.5",
        ]),
        some(&["shortcut_scale = 0.7", "shortcut_dropout = 0.3"]),
        stochastic_depth(),
    ]
}

fn stochastic_depth() -> impl Strategy<Value = String> {
    one(&[
        "",
        "",
        "stochastic_depth = { survival = 0.5 }",
        "stochastic_depth = { survival = 0.2, decay = 'uniform', gate = 'sample' }",
        "stochastic_depth = { survival = 0.7, decay = 'linear_from_zero' }",
    ])
}

fn other_preset() -> impl Strategy<Value = String> {
    text![
        one(&[
            "preset = 'resnext'\ndepth = 29\nlayout = 'cifar'\ncardinality = 2\nbase_width = 4",
            "preset = 'wide_resnet'\ndepth = 10\nwiden = 1\ndropout = 0.3",
            "preset = 'highway'\ndepth = 7\nwidths = [4, 6, 8]",
            "preset = 'inception_resnet'\nform = 'small'",
            "preset = 'mobilenet_v1'\nalpha = 0.25",
            "preset = 'mobilenet_v1'\nalpha = 0.1\nstem_stride = 1",
            "preset = 'mobilenet_v2'\nalpha = 0.2\nstem_stride = 1",
            "preset = 'efficientnet'\nse = 0.0",
            "preset = 'efficientnet'\nstem_stride = 1",
            "preset = 'googlenet'\naux = true",
            "preset = 'googlenet'\nform = 'keras'",
            "preset = 'vgg'\ncolumn = 'A'\nwidth = 4\nhidden = 16\ngrid = 1",
            "preset = 'vgg'\ncolumn = 'C'\nwidth = 4\nhidden = 8\ngrid = 2",
            "preset = 'nin'\nblock1 = [8, 4, 4]\nblock2 = [8, 4, 4]\nblock3 = [8, 4]",
            "preset = 'alexnet'\nhidden = 16",
        ]),
        one(&["", "", "norm = 'batch'", "norm = 'none'"]),
        one(&["", "", "act = 'silu'", "act = 'relu6'", "act = 'sigmoid'"]),
    ]
}

/// Rows of every operation that keep or halve the map.
fn row() -> impl Strategy<Value = String> {
    one(&[
        "{ op = 'conv', kernel = 3, width = 5 }",
        "{ op = 'conv', kernel = 5, width = 8, stride = 2, padding = 'same', norm = 'none', act = 'silu' }",
        "{ op = 'conv', kernel = [1, 7], width = 6, groups = 1, bias = true }",
        "{ op = 'conv', kernel = 1, width = 17, act = 'none' }",
        "{ op = 'conv', kernel = 4, width = 3, padding = 'valid' }",
        "{ op = 'pool', kind = 'max', kernel = 3, stride = 2, padding = 'half' }",
        "{ op = 'pool', kind = 'max', kernel = 2, stride = 2, ceil = true }",
        "{ op = 'pool', kind = 'avg', kernel = 3, stride = 1, padding = 'half' }",
        "{ op = 'basic', width = 6, repeat = 2, stride = 2, order = 'preact' }",
        "{ op = 'basic', width = 7, gate = 'exclusive', se = 2, dropout = 0.4 }",
        "{ op = 'bottleneck', width = 8, inner = 4, groups = 2, repeat = 2, se = 2, zero_init = true }",
        "{ op = 'inception', b1 = 4, b3 = [4, 5], b5 = 3, pool = 2 }",
        "{ op = 'aux', pool = 'adaptive', width = 4, hidden = 8, weight = 0.3 }",
        "{ op = 'aux', pool = 'strided', width = 4, hidden = 8, dropout = 0.7 }",
        "{ op = 'highway', kernel = 3, width = 6, repeat = 2, gate_bias = -2.0 }",
        "{ op = 'inception_resnet', kind = 'a', width = 4, scale = 0.2 }",
        "{ op = 'inception_resnet', kind = 'c', width = 4, act = 'none' }",
        "{ op = 'reduction', kind = 'a', k = 4, l = 4, m = 4, n = 4, padding = 'same' }",
        "{ op = 'separable', width = 9, repeat = 2, stride = 2 }",
        "{ op = 'inverted_residual', expand = 2, width = 6, repeat = 2 }",
        "{ op = 'mbconv', kernel = 5, expand = 3, width = 5, repeat = 2, stride = 2 }",
        "{ op = 'branches', branches = [[{ op = 'conv', kernel = 1, width = 3 }], [{ op = 'pool', kind = 'avg', kernel = 3, \
         padding = 'half', stride = 1 }]] }",
        "{ op = 'branches', join = 'sum', branches = [[{ op = 'conv', kernel = 1, width = 3 }], \
         [{ op = 'conv', kernel = 3, width = 3, act = 'none' }]] }",
        "{ op = 'residual', body = [{ op = 'conv', kernel = 3, width = 4 }], shortcut = [{ op = 'conv', kernel = 1, \
         width = 4, act = 'none' }], scale = 0.5, act = 'relu' }",
        "{ op = 'dropout', rate = 0.5 }",
        "{ op = 'lrn', size = 5 }",
        "{ op = 'norm', act = 'silu' }",
        "{ op = 'act', act = 'sigmoid' }",
    ])
}

fn rows() -> impl Strategy<Value = String> {
    let end = one(&[
        "{ op = 'global_avg_pool' }, { op = 'classifier' }",
        "{ op = 'adaptive_avg_pool', size = 2 }, { op = 'linear', width = 9 }, { op = 'dropout', rate = 0.5 }, { op = 'classifier' }",
        "{ op = 'classifier', conv = true }, { op = 'global_avg_pool' }",
        "{ op = 'classifier' }",
    ]);
    (vec(row(), 0..6), end).prop_map(|(mut rows, end)| {
        rows.push(end);
        format!("rows = [{}]", rows.join(", "))
    })
}

fn model() -> impl Strategy<Value = String> {
    let input = (1usize..4, 3usize..33, 3usize..33).prop_map(|(c, h, w)| format!("input = [{c}, {h}, {w}]"));
    let square = (1usize..4, select(&[8usize, 16, 28, 32][..])).prop_map(|(c, s)| format!("input = [{c}, {s}, {s}]"));
    // Many of the others have no shortcut, and stochastic depth is refused there.
    let others = prop_oneof![1 => other_preset().boxed(), 2 => rows().boxed()];
    let depth = prop_oneof![3 => Just(String::new()).boxed(), 1 => stochastic_depth().boxed()];
    let network = prop_oneof![1 => resnet().boxed(), 3 => text![others, depth].boxed()];
    // Without it GoogLeNet and EfficientNet take most of the time.
    let scaling = one(&[
        "[scaling]\nwidth = 0.25\nround = 4",
        "[scaling]\nwidth = 0.125\nround = 1",
        "[scaling]\nphi = 1.0\nalpha = 1.5\nbeta = 0.2\ngamma = 1.0",
    ]);
    text![Just("[model]".to_owned()), network, prop_oneof![input, square], scaling]
}

fn training() -> impl Strategy<Value = String> {
    text![
        one(&[
            "[train]\nepochs = 2\nbatch = 4",
            "[train]\nepochs = 2\nbatch = 4\naccumulate = 2",
            "[train]\nepochs = 2\nbatch = 1",
            "[train]\nepochs = 3\nbatch = 5"
        ]),
        one(&[
            "lr = 0.01",
            "lr = 0.01\nmomentum = 0.0",
            "lr = 0.01\nnesterov = true",
            "lr = 0.0",
            "optimizer = 'adam'\nlr = 1e-3",
            "optimizer = 'adamw'\nlr = 1e-3\nbeta1 = 0.0",
            "optimizer = 'rmsprop'\nlr = 1e-3",
            "optimizer = 'rmsprop'\nlr = 1e-3\nmomentum = 0.0\nalpha = 0.0",
            "optimizer = 'lamb'\nlr = 1e-3",
            "optimizer = 'lion'\nlr = 1e-4",
            "optimizer = 'muon'\nlr = 0.01",
        ]),
        one(&[
            "",
            "schedule = 'step'\nmilestones = [0.5, 1]",
            "schedule = 'cosine'",
            "schedule = 'one_cycle'",
            "schedule = 'exponential'\nevery = 0.1",
        ]),
        some(&[
            "warmup = 0.5",
            "label_smoothing = 0.1",
            "clip_norm = 1.0",
            "ema = 0.9",
            "weight_decay = 0.01",
            "decay_all = true",
            "layer_decay = 0.8",
            "bias_lr_factor = 2",
            "sam_rho = 0.05",
        ]),
        one(&["precision = 'fp32'", "precision = 'bf16'"]),
        one(&["rewrites = true", "rewrites = false"]),
    ]
}

fn any_experiment() -> impl Strategy<Value = String> {
    let data = text![
        one(&["[data]\ndataset = 'synthetic'\nvalidation = 3"]),
        // The last batch has one image, two, or as many as the others.
        one(&["limit = 5", "limit = 6", "limit = 8"]),
        one(&["", "normalise = 'unit'", "normalise = 'centred'"]),
        one(&[
            "",
            "augment = { crop = 2, flip = true }",
            "augment = { resized_crop = true }",
            "augment = { crop = 7 }"
        ]),
    ];
    text![data, model(), training()]
}

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
    /// Of these, whose numbers overflow, and explode with libtorch's own operations too.
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
        };
        let mut state = TrainState::default();
        let end = trainer.epoch(&mut state, &mut Quiet).unwrap();
        if let EpochEnd::Whole { .. } = end {
            assert_eq!(state.step, trainer.batches(0) as u64);
        }
        (end, state, trainer.average)
    }
}

fn parsed(text: &str) -> Option<Experiment> {
    Experiment::parse("any.toml", text, "any", &[], Machine::default()).ok()
}

/// Some experiments explode whoever computes them: a normalisation divides by nearly nothing where a few images differ by
/// nearly nothing, and dozens of them follow each other. Then libtorch's own operations in fp32 overflow too, or
/// nearly: at that edge the last digits decide.
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
