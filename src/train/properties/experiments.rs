//! Text of experiments drawn at random, valid for the most part.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

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

pub(super) fn any_experiment() -> impl Strategy<Value = String> {
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
