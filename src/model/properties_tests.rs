//! The graph that is built has exactly the parameters, names and shapes that the value says, for every preset and for
//! random rows.

use super::Model;
use crate::arch::golden::network;
use crate::arch::network::{Network, Plan, StochasticDepth};
use crate::arch::node::walk;
use crate::arch::rows::Row;
use crate::arch::{Scaling, Style};
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

/// Rows of blocks that keep or halve the map, in any order.
fn any_row() -> impl Strategy<Value = String> {
    let width = prop_oneof![Just(4), Just(8), Just(12)];
    let stride = prop_oneof![3 => Just(1), 1 => Just(2)];
    let row = (0usize..13, width, stride, 1usize..3);
    row.prop_map(|(kind, width, stride, repeat)| match kind {
        0 => format!("{{ op = 'conv', kernel = 3, width = {width}, stride = {stride} }}"),
        1 => format!("{{ op = 'conv', kernel = [1, 5], width = {width}, padding = 'same', norm = 'none', act = 'silu' }}"),
        2 => format!("{{ op = 'basic', width = {width}, repeat = {repeat}, stride = {stride} }}"),
        3 => format!("{{ op = 'basic', width = {width}, repeat = {repeat}, stride = {stride}, order = 'preact', shortcut = 'C' }}"),
        4 => format!("{{ op = 'bottleneck', width = {width}, inner = 4, groups = 2, repeat = {repeat}, stride = {stride}, se = 2 }}"),
        5 => format!("{{ op = 'basic', width = {width}, gate = 'exclusive', gate_bias = -1.0, stride = {stride} }}"),
        6 => format!("{{ op = 'inception', b1 = {width}, b3 = [4, 8], b5 = 4, pool = 4 }}"),
        7 => format!("{{ op = 'highway', kernel = 3, width = {width}, repeat = {repeat}, gate_bias = -2.0 }}"),
        8 => format!("{{ op = 'separable', width = {width}, repeat = {repeat}, stride = {stride} }}"),
        9 => format!("{{ op = 'mbconv', kernel = 5, expand = {repeat}, width = {width}, repeat = {repeat}, stride = {stride} }}"),
        10 => format!("{{ op = 'inverted_residual', expand = 2, width = {width}, repeat = {repeat}, stride = {stride} }}"),
        11 => "{ op = 'inception_resnet', kind = 'b', width = 4, repeat = 2, scale = 0.2 }".to_owned(),
        _ => format!(
            "{{ op = 'branches', branches = [[{{ op = 'conv', kernel = 1, width = {width} }}], \
             [{{ op = 'pool', kind = 'avg', kernel = 3, padding = 'half' }}]] }}"
        ),
    })
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
