//! Published and recomputed sizes of every network: parameters and multiply-adds, exact.
//!
//! The figures with a ✔ are torchvision's own (its metadata, and a count over the modules it builds); the others follow from
//! the papers' tables.

use super::network::Plan;
use super::presets::PresetName;
use super::{Network, Scaling};
use crate::named::Named;

/// A network from the keys of a `[model]` table.
pub fn network(keys: &str, input: [usize; 3], classes: usize) -> Network {
    let mut table: toml::Table = toml::from_str(keys).unwrap();
    let toml::Value::String(name) = table.remove("preset").unwrap() else { panic!("preset is a name") };
    let batch_norm = table.remove("norm").is_some();
    let bn_scale = table.remove("bn_scale").map(|scale| scale.as_bool().unwrap());
    let preset = PresetName::parse(&name).unwrap().read(table).unwrap();
    let mut rows = preset.expand(classes).unwrap();
    if batch_norm {
        rows.style.norm = super::style::Norm::Batch;
    }
    rows.style.bn_scale = bn_scale.unwrap_or(rows.style.bn_scale);
    Network::new(Plan { rows: rows.rows, style: rows.style, stochastic_depth: rows.stochastic_depth, input, classes })
        .unwrap()
}

const IMAGENET: [usize; 3] = [3, 224, 224];
const CIFAR: [usize; 3] = [3, 32, 32];

fn check(rows: &[(&str, u64, u64)], input: [usize; 3], classes: usize) {
    for &(keys, params, macs) in rows {
        let cost = network(&keys.replace("; ", "\n"), input, classes).cost();
        assert_eq!((cost.params, cost.macs), (params, macs), "{keys}");
    }
}

/// Figures that are known to fewer digits: multiply-adds in units of 0.1 M.
fn check_rounded(rows: &[(&str, u64, f64)], input: [usize; 3], classes: usize, unit: f64) {
    for &(keys, params, macs) in rows {
        let cost = network(&keys.replace("; ", "\n"), input, classes).cost();
        assert_eq!(cost.params, params, "{keys}");
        let got = cost.macs as f64 / unit;
        assert!((got - macs).abs() < 0.0501 * if unit > 1e8 { 0.01 } else { 1.0 }, "{keys}: {got} against {macs}");
    }
}

#[test]
fn torchvision_models_cost_what_torchvision_counts() {
    let rows = [
        ("preset = 'alexnet'", 61_100_840, 714_188_480),
        ("preset = 'vgg'; column = 'A'", 132_863_336, 7_609_090_048),
        ("preset = 'vgg'; column = 'A'; norm = 'batch'", 132_868_840, 7_609_090_048),
        ("preset = 'vgg'; column = 'B'", 133_047_848, 11_308_466_176),
        ("preset = 'vgg'; column = 'B'; norm = 'batch'", 133_053_736, 11_308_466_176),
        ("preset = 'vgg'; column = 'D'", 138_357_544, 15_470_264_320),
        ("preset = 'vgg'; column = 'D'; norm = 'batch'", 138_365_992, 15_470_264_320),
        ("preset = 'vgg'; column = 'E'", 143_667_240, 19_632_062_464),
        ("preset = 'vgg'; column = 'E'; norm = 'batch'", 143_678_248, 19_632_062_464),
        ("preset = 'googlenet'; form = 'torchvision'; aux = true", 6_624_904, 1_498_376_192),
        ("preset = 'resnet'; depth = 18", 11_689_512, 1_814_073_344),
        ("preset = 'resnet'; depth = 34", 21_797_672, 3_663_761_408),
        ("preset = 'resnet'; depth = 50", 25_557_032, 4_089_184_256),
        ("preset = 'resnet'; depth = 101", 44_549_160, 7_801_405_440),
        ("preset = 'resnet'; depth = 152", 60_192_808, 11_513_626_624),
        ("preset = 'resnext'", 25_028_904, 4_230_479_872),
        ("preset = 'resnext'; depth = 101; base_width = 8", 88_791_336, 16_414_015_488),
        ("preset = 'resnext'; depth = 101; cardinality = 64", 83_455_272, 15_460_270_080),
        ("preset = 'resnet'; depth = 50; base_width = 128", 68_883_240, 11_398_021_120),
        ("preset = 'resnet'; depth = 101; base_width = 128", 126_886_696, 22_753_050_624),
        ("preset = 'mobilenet_v2'", 3_504_872, 300_774_272),
    ];
    check(&rows, IMAGENET, 1000);
}

#[test]
fn efficientnets_cost_what_torchvision_counts() {
    let rows = [
        ("b0", 224, 5_288_548, 385_814_752),
        ("b1", 240, 7_794_184, 686_802_832),
        ("b2", 260, 9_109_994, 993_561_872),
        ("b3", 300, 12_233_232, 1_827_141_392),
        ("b4", 380, 19_341_616, 4_393_771_024),
        ("b5", 456, 30_389_784, 10_266_384_752),
        ("b6", 528, 43_040_704, 19_067_593_536),
        ("b7", 600, 66_347_960, 37_745_884_192),
    ];
    for (variant, side, params, macs) in rows {
        check(&[(&format!("preset = 'efficientnet'; variant = '{variant}'"), params, macs)], [3, side, side], 1000);
    }
}

/// Channels that facenet normalises: stem, blocks A, reduction A, blocks B, reduction B, blocks C.
const FACENET_CHANNELS: u64 = (32 + 32 + 64 + 80 + 192 + 256)
    + 5 * 6 * 32
    + (384 + 192 + 192 + 256)
    + 10 * 4 * 128
    + (3 * 256 + 384 + 256 + 256 + 256)
    + 6 * 4 * 192;

#[test]
fn imagenet_networks_that_torchvision_lacks() {
    check_rounded(
        &[
            ("preset = 'vgg'; column = 'C'", 133_638_952, 11.771),
            ("preset = 'googlenet'", 6_998_552, 1.583),
            ("preset = 'resnet'; depth = 18; shortcut = 'A'", 11_515_688, 1.795),
            ("preset = 'resnet'; depth = 18; shortcut = 'none'", 11_515_688, 1.795),
            ("preset = 'resnet'; depth = 34; shortcut = 'A'", 21_623_848, 3.644),
            ("preset = 'resnet'; depth = 34; shortcut = 'none'", 21_623_848, 3.644),
            ("preset = 'resnet'; depth = 34; shortcut = 'C'", 22_716_840, 3.831),
            ("preset = 'resnet'; depth = 50; stride_in = '1x1'", 25_557_032, 3.858),
            ("preset = 'resnet'; depth = 101; stride_in = '1x1'", 44_549_160, 7.570),
            ("preset = 'resnet'; depth = 152; stride_in = '1x1'", 60_192_808, 11.282),
            ("preset = 'resnet'; depth = 200; stride_in = '1x1'", 64_673_832, 14.776),
            ("preset = 'resnet'; depth = 200", 64_673_832, 15.007),
            ("preset = 'resnext'; depth = 101", 44_177_704, 7.970),
            ("preset = 'resnext'; cardinality = 2; base_width = 40", 25_425_000, 4.125),
            ("preset = 'resnext'; cardinality = 4; base_width = 24", 25_292_968, 4.160),
            ("preset = 'resnext'; cardinality = 8; base_width = 14", 25_603_016, 4.267),
            ("preset = 'resnext'; depth = 101; cardinality = 2; base_width = 64", 84_198_184, 15.123),
            ("preset = 'resnext'; depth = 101; cardinality = 1; base_width = 100", 85_611_336, 15.273),
        ],
        IMAGENET,
        1000,
        1e9,
    );
    check_rounded(
        &[
            ("preset = 'inception_resnet'", 22_756_328, 6.206),
            // With a factor in every normalisation, as facenet-pytorch has it; facenet has none.
            ("preset = 'inception_resnet'; form = 'facenet'; bn_scale = true", 24_357_096, 6.309),
            ("preset = 'inception_resnet'; form = 'facenet'", 24_357_096 - FACENET_CHANNELS, 6.309),
        ],
        [3, 299, 299],
        1000,
        1e9,
    );
    check_rounded(&[("preset = 'alexnet'; form = 'paper'", 60_965_224, 724.4)], [3, 227, 227], 1000, 1e6);
    check_rounded(
        &[
            ("preset = 'mobilenet_v1'", 4_231_976, 568.7),
            ("preset = 'mobilenet_v1'; alpha = 0.75", 2_585_560, 325.4),
            ("preset = 'mobilenet_v1'; alpha = 0.5", 1_331_592, 149.5),
            ("preset = 'mobilenet_v1'; alpha = 0.25", 470_072, 41.0),
            ("preset = 'mobilenet_v2'; alpha = 1.4", 6_108_776, 582.2),
            ("preset = 'mobilenet_v2'; alpha = 0.75", 2_636_424, 209.1),
            ("preset = 'mobilenet_v2'; alpha = 0.5", 1_968_680, 97.1),
            ("preset = 'mobilenet_v2'; alpha = 0.35", 1_677_128, 59.3),
        ],
        IMAGENET,
        1000,
        1e6,
    );
    let se = network("preset = 'resnet'\nse = 16", IMAGENET, 1000).cost().params;
    assert_eq!(se - 25_557_032, 2_514_944);
    // The authors' Caffe model has biases in both layers: C/16 + C more in every block.
    let biased = network("preset = 'resnet'\nse = 16\nse_bias = true", IMAGENET, 1000).cost().params;
    assert_eq!(biased - se, 3 * (16 + 256) + 4 * (32 + 512) + 6 * (64 + 1024) + 3 * (128 + 2048));
}

#[test]
fn cifar_networks() {
    let a = "layout = 'cifar'; shortcut = 'A'";
    let plain = "layout = 'cifar'; shortcut = 'none'";
    let sizes = [
        (20, 269_722, 40.55),
        (32, 464_154, 68.86),
        (44, 658_586, 97.17),
        (56, 853_018, 125.49),
        (110, 1_727_962, 252.89),
        (1202, 19_421_274, 2829.2),
    ];
    for (depth, params, macs) in sizes {
        for shortcut in [a, plain] {
            check_rounded(
                &[(&format!("preset = 'resnet'; depth = {depth}; {shortcut}"), params, macs)],
                CIFAR,
                10,
                1e6,
            );
        }
        let b = network(&format!("preset = 'resnet'\ndepth = {depth}\nlayout = 'cifar'"), CIFAR, 10).cost();
        assert_eq!(b.params, params + 2_752);
    }
    let preact = "layout = 'cifar'; order = 'preact'";
    check_rounded(
        &[
            (&format!("preset = 'resnet'; depth = 110; shortcut = 'A'; {preact}"), 1_727_962, 252.9),
            (&format!("preset = 'resnet'; depth = 110; {preact}"), 1_730_522, 253.1),
            (
                &format!("preset = 'resnet'; depth = 164; bottleneck = true; stride_in = '1x1'; {preact}"),
                1_703_258,
                244.5,
            ),
            (
                &format!("preset = 'resnet'; depth = 1001; bottleneck = true; stride_in = '1x1'; {preact}"),
                10_327_706,
                1487.8,
            ),
            ("preset = 'nin'", 966_986, 222.5),
        ],
        CIFAR,
        10,
        1e6,
    );
}

#[test]
fn wide_and_grouped_cifar_networks() {
    let next = "preset = 'resnext'; depth = 29; layout = 'cifar'";
    check_rounded(
        &[
            ("preset = 'wide_resnet'; depth = 16; widen = 4", 2_748_890, 0.393),
            ("preset = 'wide_resnet'; depth = 16; widen = 8", 10_961_370, 1.548),
            ("preset = 'wide_resnet'", 36_479_194, 5.243),
            ("preset = 'wide_resnet'; depth = 40; widen = 2", 2_243_546, 0.328),
            ("preset = 'wide_resnet'; depth = 40; widen = 4", 8_949_210, 1.299),
            (&format!("{next}; cardinality = 1; base_width = 64"), 4_914_250, 0.748),
            (&format!("{next}; cardinality = 2; base_width = 64"), 9_130_314, 1.411),
            (&format!("{next}; cardinality = 4; base_width = 64"), 17_562_442, 2.736),
            (&format!("{next}; cardinality = 8; base_width = 64"), 34_426_698, 5.387),
            (&format!("{next}; cardinality = 16; base_width = 64"), 68_155_210, 10.689),
            (&format!("{next}; cardinality = 32; base_width = 4"), 4_775_754, 0.774),
        ],
        CIFAR,
        10,
        1e9,
    );
}

#[test]
fn a_hundred_classes_add_ninety_outputs() {
    let params = |classes| network("preset = 'resnet'\ndepth = 20\nlayout = 'cifar'", CIFAR, classes).cost().params;
    assert_eq!(params(100) - params(10), 90 * 65);
}

#[test]
fn googlenet_per_layer_and_with_its_heads() {
    let paper = network("preset = 'googlenet'\naux = true", IMAGENET, 1000);
    assert_eq!(paper.cost().params + paper.aux_cost().params, 13_378_280);
    let heads: Vec<u64> = paper
        .rows
        .iter()
        .filter(|row| row.op == "aux")
        .map(|row| {
            let mut params = 0;
            super::node::walk(&row.nodes, false, &mut |layer, _| params += layer.cost().params);
            params
        })
        .collect();
    assert_eq!(heads, [3_188_840, 3_190_888]);
    let weights: u64 = paper
        .layers()
        .iter()
        .filter(|(_, aux)| !aux)
        .flat_map(|(layer, _)| layer.params())
        .filter(|param| param.role.is_weight())
        .map(|param| param.count())
        .sum();
    assert_eq!(weights, 6_990_272);
    let torchvision = network("preset = 'googlenet'\nform = 'torchvision'\naux = true", IMAGENET, 1000);
    assert_eq!(torchvision.cost().params + torchvision.aux_cost().params, 13_004_888);
}

/// The deck's `model.summary()`: every line with parameters that it prints.
#[test]
fn the_decks_keras_network_line_by_line() {
    let keras = network("preset = 'googlenet'\nform = 'keras'", [1, 28, 28], 10);
    let cost = keras.cost();
    assert_eq!((cost.params + cost.buffers, cost.params, cost.buffers), (5_978_554, 5_978_042, 512));
    assert_eq!(format!("{:.2}", cost.macs as f64 / 1e6), "28.77");
    let lines = [
        ("conv1.conv", "64x14x14", 3_200),
        ("conv1.bn", "64x14x14", 256),
        ("conv2.conv", "64x7x7", 4_160),
        ("conv3.conv", "192x7x7", 110_784),
        ("conv3.bn", "192x7x7", 768),
        ("inception5b.branch1.conv", "384x1x1", 319_872),
        ("inception5b.branch2.1.conv", "384x1x1", 663_936),
        ("inception5b.branch3.1.conv", "128x1x1", 153_728),
        ("inception5b.branch4.1.conv", "128x1x1", 106_624),
        ("fc", "10", 10_250),
    ];
    for (name, shape, params) in lines {
        let (layer, _) = keras.layers().into_iter().find(|(layer, _)| layer.name == name).unwrap();
        assert_eq!(layer.output.to_string(), shape, "{name}");
        assert_eq!(layer.cost().params + layer.cost().buffers, params, "{name}");
    }
    let pools = keras.layers().iter().filter(|(layer, _)| matches!(layer.op, super::ops::Op::MaxPool(_))).count();
    let convolutions = keras.layers().iter().filter(|(layer, _)| matches!(layer.op, super::ops::Op::Conv(_))).count();
    assert_eq!((convolutions, pools), (57, 13));
    let output = |name: &str| keras.rows.iter().find(|row| row.label == name).unwrap().output.to_string();
    assert_eq!(output("inception3b"), "480x4x4");
    assert_eq!(output("inception5a"), "832x1x1");
}

#[test]
fn depths_are_those_of_the_names() {
    for (keys, input, depth) in [
        ("preset = 'resnet'\ndepth = 152", IMAGENET, 152),
        ("preset = 'resnet'\ndepth = 34\nshortcut = 'none'", IMAGENET, 34),
        ("preset = 'resnet'\ndepth = 110\nlayout = 'cifar'", CIFAR, 110),
        ("preset = 'vgg'\ncolumn = 'E'", IMAGENET, 19),
        ("preset = 'googlenet'", IMAGENET, 22),
        ("preset = 'alexnet'", IMAGENET, 8),
    ] {
        assert_eq!(network(keys, input, 10).depth(), depth, "{keys}");
    }
}

#[test]
fn compound_scaling_of_mobilenet_v1_costs_what_the_paper_says() {
    // EfficientNet, table 3: depth 1.4, width 1.2, resolution 1.3
    let mobilenet = network("preset = 'mobilenet_v1'", IMAGENET, 1000);
    let mut plan = mobilenet.plan.clone();
    Scaling { depth: 1.4, width: 1.2, resolution: 1.3, ..Scaling::default() }.apply(&mut plan).unwrap();
    let macs = Network::new(plan).unwrap().cost().macs as f64 / 1e9;
    // The paper says 2.3 and not how it rounds repeats and widths.
    assert!((2.2..2.5).contains(&macs), "{macs} against the paper's 2.3");
}
