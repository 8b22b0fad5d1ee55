//! The graph that is built has exactly the parameters, names and shapes that the value says, for every preset and for
//! random rows.

use super::Model;
use crate::arch::golden::network;
use crate::arch::network::{Network, Plan, StochasticDepth};
use crate::arch::node::walk;
use crate::arch::rows::{OpName, Row};
use crate::arch::{Scaling, Style};
use crate::named::Named;
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

fn graph_equals_value(network: &Network) {
    let model = Model::new(network, Device::Cpu, 0).unwrap();
    let mut said: Vec<(String, Vec<i64>)> = network.params().into_iter().map(|p| (p.name, p.shape)).collect();
    let mut built: Vec<(String, Vec<i64>)> =
        model.variables().into_iter().map(|(name, tensor)| (name, tensor.size())).collect();
    said.sort();
    built.sort();
    assert_eq!(said, built);
    let learned: u64 = model.trainable().iter().map(|(_, tensor)| tensor.numel() as u64).sum();
    assert_eq!(learned, network.cost().params + network.aux_cost().params);
    assert!(model.trainable().iter().all(|(_, tensor)| tensor.requires_grad()));

    let [c, h, w] = network.plan.input.map(|side| side as i64);
    tch::manual_seed(1);
    let x = Tensor::randn([2, c, h, w], (Kind::Float, Device::Cpu));
    let outputs = model.forward(&x, true);
    let classes = network.plan.classes as i64;
    assert_eq!(outputs.logits.size(), [2, classes]);
    assert!(outputs.aux.iter().all(|(logits, _)| logits.size() == [2, classes]));
    assert_eq!(outputs.aux.len(), network.rows.iter().filter(|row| row.op == "aux").count());
    assert!(outputs.logits.isfinite().all().int64_value(&[]) == 1);
}

#[test]
fn every_preset_builds_what_it_says() {
    for (keys, side) in [
        ("preset = 'alexnet'\nhidden = 64", 64),
        ("preset = 'alexnet'\nform = 'paper'\nhidden = 64", 67),
        ("preset = 'nin'\nblock1 = [8, 8, 8]\nblock2 = [8, 8, 8]\nblock3 = [8, 8]", 32),
        ("preset = 'vgg'\ncolumn = 'C'\nwidth = 4\nhidden = 16\ngrid = 1", 32),
        ("preset = 'vgg'\ncolumn = 'A'\nwidth = 4\nhidden = 16\ngrid = 1\nnorm = 'batch'", 32),
        ("preset = 'googlenet'\nform = 'keras'", 28),
        ("preset = 'googlenet'\nform = 'torchvision'\naux = true", 64),
        ("preset = 'googlenet'\naux = true", 224),
        ("preset = 'resnet'\ndepth = 18\nwidth = 8\nshortcut = 'C'", 32),
        ("preset = 'resnet'\ndepth = 50\nwidth = 8\nstride_in = '1x1'\nzero_init = true", 32),
        ("preset = 'resnet'\ndepth = 20\nlayout = 'cifar'\nshortcut = 'A'", 16),
        ("preset = 'resnet'\ndepth = 20\nlayout = 'cifar'\nshortcut = 'A_pool'", 15),
        ("preset = 'resnet'\ndepth = 20\nlayout = 'cifar'\nshortcut = 'none'", 16),
        ("preset = 'resnet'\ndepth = 20\nlayout = 'cifar'\norder = 'bn_after_add'", 16),
        ("preset = 'resnet'\ndepth = 20\nlayout = 'cifar'\norder = 'relu_before_add'", 16),
        ("preset = 'resnet'\ndepth = 20\nlayout = 'cifar'\norder = 'relu_only_preact'", 16),
        ("preset = 'resnet'\ndepth = 29\nlayout = 'cifar'\nbottleneck = true\norder = 'preact'", 16),
        ("preset = 'resnet'\ndepth = 50\nwidth = 8\norder = 'preact'", 32),
        ("preset = 'resnet'\ndepth = 20\nlayout = 'cifar'\ngate = 'exclusive'\ngate_kernel = 3", 16),
        ("preset = 'resnet'\ndepth = 20\nlayout = 'cifar'\ngate = 'shortcut_only'", 16),
        (
            "preset = 'resnet'\ndepth = 20\nlayout = 'cifar'\nse = 4\nscale = 0.5\nshortcut_scale = 0.5\nshortcut_dropout = 0.5",
            16,
        ),
        ("preset = 'resnext'\ndepth = 29\nlayout = 'cifar'\ncardinality = 4\nbase_width = 4", 16),
        ("preset = 'wide_resnet'\ndepth = 10\nwiden = 2\ndropout = 0.3", 16),
        ("preset = 'highway'\ndepth = 10", 16),
        ("preset = 'inception_resnet'\nform = 'small'", 28),
        ("preset = 'inception_resnet'\nform = 'facenet'\nblocks = [1, 1, 1]", 96),
        ("preset = 'mobilenet_v1'\nalpha = 0.25", 32),
        ("preset = 'mobilenet_v2'\nalpha = 0.35", 32),
        ("preset = 'efficientnet'", 32),
        ("preset = 'efficientnet'\nse = 0.0", 32),
    ] {
        graph_equals_value(&network(keys, [3, side, side], 10));
    }
}

/// Rows that keep or halve the map, so that they fit behind each other in any order; `$w` stands for a width, `$s` for a stride
/// and `$n` for a number of blocks.
const ROWS: &[&str] = &[
    "{ op = 'conv', kernel = 3, width = $w, stride = $s }",
    "{ op = 'conv', kernel = [1, 5], width = $w, padding = 'same', norm = 'none', act = 'silu' }",
    "{ op = 'basic', width = $w, repeat = $n, stride = $s }",
    "{ op = 'basic', width = $w, repeat = $n, stride = $s, order = 'preact', shortcut = 'C' }",
    "{ op = 'bottleneck', width = $w, inner = 4, groups = 2, repeat = $n, stride = $s, se = 2 }",
    "{ op = 'basic', width = $w, gate = 'exclusive', gate_bias = -1.0, stride = $s }",
    "{ op = 'inception', b1 = $w, b3 = [4, 8], b5 = 4, pool = 4 }",
    "{ op = 'highway', kernel = 3, width = $w, repeat = $n, gate_bias = -2.0 }",
    "{ op = 'separable', width = $w, repeat = $n, stride = $s }",
    "{ op = 'mbconv', kernel = 5, expand = $n, width = $w, repeat = $n, stride = $s }",
    "{ op = 'inverted_residual', expand = 2, width = $w, repeat = $n, stride = $s }",
    "{ op = 'inception_resnet', kind = 'b', width = 4, repeat = 2, scale = 0.2 }",
    "{ op = 'branches', branches = [[{ op = 'conv', kernel = 1, width = $w }], \
     [{ op = 'pool', kind = 'avg', kernel = 3, padding = 'half' }]] }",
    "{ op = 'residual', body = [{ op = 'norm' }, { op = 'act', act = 'relu6' }, { op = 'conv', kernel = 3, width = $w }], \
     shortcut = [{ op = 'conv', kernel = 1, width = $w }] }",
    "{ op = 'pool', kind = 'max', kernel = 3, stride = $s, padding = 'half' }",
    "{ op = 'lrn', size = 4, alpha = 1e-4, beta = 0.75, k = 2.0 }",
    "{ op = 'dropout', rate = 0.2 }",
];

/// A row of `ROWS` with numbers.
fn any_row() -> impl Strategy<Value = String> {
    let width = prop_oneof![Just(4), Just(8), Just(12)];
    let stride = prop_oneof![3 => Just(1), 1 => Just(2)];
    let row = (proptest::sample::select(ROWS), width, stride, 1usize..3);
    row.prop_map(|(row, width, stride, repeat)| {
        [("$w", width), ("$s", stride), ("$n", repeat)]
            .into_iter()
            .fold(row.to_owned(), |row, (letter, number)| row.replace(letter, &number.to_string()))
    })
}

/// Random networks have every row but those that end a network or need a map of a certain size.
#[test]
fn random_networks_have_every_row() {
    let apart = ["linear", "classifier", "aux", "global_avg_pool", "adaptive_avg_pool", "reduction"];
    let has = |op: &str| ROWS.iter().any(|row| row.contains(&format!("op = '{op}'")));
    let missing: Vec<&&str> = OpName::TEXTS.iter().filter(|op| !apart.contains(op) && !has(op)).collect();
    assert!(missing.is_empty(), "add a line to ROWS for {missing:?}");
}

fn plan(rows: &[String]) -> Plan {
    #[derive(serde::Deserialize)]
    struct Rows {
        rows: Vec<Row>,
    }
    let text = format!("rows = [{}, {{ op = 'global_avg_pool' }}, {{ op = 'classifier' }}]", rows.join(", "));
    let Rows { rows } = toml::from_str(&text).unwrap();
    let (style, stochastic_depth) = (Style::default(), StochasticDepth::default());
    Plan { rows, style, stochastic_depth, input: [2, 17, 14], classes: 5 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_rows_build_what_they_say(rows in proptest::collection::vec(any_row(), 1..5)) {
        let network = Network::new(plan(&rows)).unwrap();
        graph_equals_value(&network);
        for row in &network.rows {
            // The shapes of a row join without a gap.
            let mut first = None;
            walk(&row.nodes, false, &mut |layer, _| { first.get_or_insert(layer.input); });
            prop_assert_eq!(first.unwrap(), row.input);
        }
    }

    #[test]
    fn scaling_by_one_changes_nothing(rows in proptest::collection::vec(any_row(), 1..5), round in 1usize..17) {
        let before = plan(&rows);
        let mut after = before.clone();
        Scaling { round, ..Scaling::default() }.apply(&mut after).unwrap();
        prop_assert_eq!(before, after);
    }

    #[test]
    fn scaling_up_never_makes_a_network_cheaper(rows in proptest::collection::vec(any_row(), 1..5), depth in 1.0f64..3.0, width in 1.0f64..3.0) {
        let before = plan(&rows);
        let mut after = before.clone();
        // By the compound rule, whose depth may find nothing to multiply.
        let by = Scaling { phi: 1.0, alpha: depth, beta: width, gamma: 1.0, round: 4, ..Scaling::default() };
        by.apply(&mut after).unwrap();
        let (before, after) = (Network::new(before).unwrap().cost(), Network::new(after).unwrap().cost());
        prop_assert!(after.macs >= before.macs && after.params >= before.params);
    }
}
