//! Forms that papers and frameworks give in words or code, written out by hand and compared in float64.

use super::Model;
use crate::arch::golden::network;
use crate::arch::network::{Network, Plan, StochasticDepth};
use crate::arch::node::Node;
use crate::arch::ops::{Act, Op};
use crate::arch::rows::Row;
use crate::arch::style::{Norm, Style};
use tch::{Device, Kind, Tensor};

fn from_rows(rows: &str, style: Style, input: [usize; 3]) -> Network {
    #[derive(serde::Deserialize)]
    struct Rows {
        rows: Vec<Row>,
    }
    let tail = "{ op = 'global_avg_pool' }, { op = 'classifier', name = 'fc' }";
    let Rows { rows } = toml::from_str(&format!("rows = [{rows}, {tail}]")).unwrap();
    Network::new(Plan { rows, style, stochastic_depth: StochasticDepth::default(), input, classes: 3 }).unwrap()
}

fn without_norm() -> Style {
    Style { norm: Norm::None, ..Style::default() }
}

fn input(shape: &[i64]) -> Tensor {
    let count: i64 = shape.iter().product();
    (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 0.7).sin().view(shape)
}

/// A model in float64 and its tensors by name.
struct Hand(Model);

impl Hand {
    fn of(network: &Network) -> Hand {
        let mut model = Model::new(network, Device::Cpu, 1).unwrap();
        model.to_kind(Kind::Double);
        Hand(model)
    }

    fn tensor(&self, name: &str) -> Tensor {
        let found = self.0.params().iter().find(|(param, _)| param.name == name);
        found.unwrap_or_else(|| panic!("{name}")).1.shallow_clone()
    }

    fn conv(&self, name: &str, x: &Tensor, stride: i64) -> Tensor {
        let weight = self.tensor(&format!("{name}.weight"));
        let bias = self.0.params().iter().find(|(param, _)| param.name == format!("{name}.bias"));
        let pad = weight.size()[2] / 2;
        x.conv2d(&weight, bias.map(|(_, bias)| bias), [stride, stride], [pad, pad], [1, 1], 1)
    }

    /// Normalisation by the running statistics, 0 and 1 at the start.
    fn norm(x: &Tensor) -> Tensor {
        x / (1.0f64 + 1e-5).sqrt()
    }

    /// What the classifier gives for a map.
    fn head(&self, map: &Tensor) -> Tensor {
        let mean = map.mean_dim([2i64, 3].as_slice(), false, None);
        mean.linear(&self.tensor("fc.weight"), Some(&self.tensor("fc.bias")))
    }

    fn agrees(&self, x: &Tensor, map: &Tensor) {
        let off = (self.0.forward(x, false).logits - self.head(map)).abs().max().double_value(&[]);
        assert!(off < 1e-12, "off by {off}");
    }
}

/// He et al. 2016, figure 4(d) and appendix: ReLU before every convolution, normalisation behind it; where sizes change both
/// paths start from the activated input.
#[test]
fn a_projection_of_relu_only_preactivation_takes_the_activated_input() {
    let rows = "{ op = 'basic', width = 6, stride = 2, order = 'relu_only_preact', name = 'b' }";
    let hand = Hand::of(&from_rows(rows, without_norm(), [4, 8, 8]));
    let x = input(&[2, 4, 8, 8]);
    let activated = x.relu();
    let inside = hand.conv("b.0.conv1", &activated, 2).relu();
    let sum = hand.conv("b.0.conv2", &inside, 1) + hand.conv("b.0.downsample.0", &activated, 2);
    hand.agrees(&x, &sum);
}

/// He et al. 2016, appendix: "an extra activation right after its element-wise addition" in the last unit.
#[test]
fn relu_only_preactivation_activates_its_last_sum() {
    let built = network("preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\norder = 'relu_only_preact'", [3, 8, 8], 3);
    let ops: Vec<&str> = built.rows.iter().map(|row| row.op).collect();
    assert_eq!(ops, ["conv", "basic", "basic", "basic", "act", "global_avg_pool", "classifier"]);
    let Some(Node::Layer(last)) = built.rows[4].nodes.last() else { panic!("the act row is a layer") };
    assert_eq!(last.op, Op::Act(Act::Relu));
    // The first activation stands behind the first convolution, before the paths split.
    let plan = &built.plan;
    assert!(matches!(&plan.rows[1], Row::Basic(row) if !row.preact_first));
    assert!(matches!(&plan.rows[0], Row::Conv(row) if row.act.is_none() && row.norm.is_none()));
}

/// He et al. 2016, appendix: "we adopt the first activation right after conv1 and before splitting into two paths".
#[test]
fn preactivation_with_basic_blocks_activates_before_the_paths_split() {
    let keys = "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\norder = 'preact'\nshortcut = 'A'";
    let first_block = |keys: &str| {
        let built = network(keys, [3, 8, 8], 3);
        let mut plan = built.plan;
        // The stem and the first stage, of one block.
        plan.rows.drain(2..plan.rows.len() - 2);
        Network::new(plan).unwrap()
    };
    let x = input(&[2, 3, 8, 8]);
    let paper = Hand::of(&first_block(keys));
    let activated = Hand::norm(&paper.conv("conv1", &x, 1)).relu();
    let inside = Hand::norm(&paper.conv("layer1.0.conv1", &activated, 1)).relu();
    paper.agrees(&x, &(&activated + paper.conv("layer1.0.conv2", &inside, 1)));
    // The other form: conv1 alone, and the block activates what its body takes.
    let code = Hand::of(&first_block(&format!("{keys}\npreact_first = true")));
    let stem = code.conv("conv1", &x, 1);
    let inside = Hand::norm(&code.conv("layer1.0.conv1", &Hand::norm(&stem).relu(), 1)).relu();
    code.agrees(&x, &(&stem + code.conv("layer1.0.conv2", &inside, 1)));
}

/// KaimingHe/resnet-1k-layers: one convolution at the beginning, the first bottleneck has the first activation.
#[test]
fn preactivation_with_bottlenecks_is_that_of_the_authors_code() {
    let keys = "preset = 'resnet'\nlayout = 'cifar'\ndepth = 11\nbottleneck = true\norder = 'preact'";
    let written = |keys: &str| network(keys, [3, 8, 8], 3).plan.rows;
    assert_eq!(written(keys), written(&format!("{keys}\npreact_first = true")));
    let Row::Conv(stem) = &written(keys)[0] else { panic!("a stem is a convolution") };
    assert_eq!((stem.norm, stem.act, stem.bias), (Some(Norm::None), Some(Act::None), Some(false)));
    let paper = written(&format!("{keys}\npreact_first = false"));
    assert!(matches!(&paper[1], Row::Bottleneck(row) if !row.preact_first));
}

/// TensorFlow and Keras average over the pixels in a window, not over padding.
#[test]
fn average_pooling_with_same_padding_leaves_padding_out() {
    for (kernel, stride, side) in [(3, 1, 5), (3, 2, 6), (2, 2, 5), (4, 1, 6), (5, 3, 7)] {
        let rows = format!("{{ op = 'pool', kind = 'avg', kernel = {kernel}, stride = {stride}, padding = 'same' }}");
        let hand = Hand::of(&from_rows(&rows, without_norm(), [2, side, side]));
        let side = side as i64;
        let ones = Tensor::ones([1, 2, side, side], (Kind::Double, Device::Cpu));
        // Over a map of ones every mean is 1.
        let out = (side + stride - 1) / stride;
        hand.agrees(&ones, &Tensor::ones([1, 2, out, out], (Kind::Double, Device::Cpu)));
    }
    let hand =
        Hand::of(&from_rows("{ op = 'pool', kind = 'avg', kernel = 2, padding = 'same' }", without_norm(), [1, 2, 2]));
    let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0]).view([1, 1, 2, 2]);
    hand.agrees(&x, &Tensor::from_slice(&[2.5, 3.0, 3.5, 4.0]).view([1, 1, 2, 2]));
    // Padding by half a kernel goes on counting as zeros, as in PyTorch.
    let half =
        Hand::of(&from_rows("{ op = 'pool', kind = 'avg', kernel = 3, padding = 'half' }", without_norm(), [1, 2, 2]));
    half.agrees(&x, &(Tensor::ones([1, 1, 2, 2], (Kind::Double, Device::Cpu)) * (10.0 / 9.0)));
}

/// Keras's MobileNets pad a map below and on the right before a convolution of stride 2.
#[test]
fn mobilenets_with_same_padding_pad_below_and_on_the_right() {
    for (rows, name) in [
        ("{ op = 'separable', width = 4, stride = 2, padding = 'same', name = 'm' }", "m.0.dw.conv"),
        (
            "{ op = 'inverted_residual', expand = 1, width = 4, stride = 2, padding = 'same', name = 'm' }",
            "m.0.conv.0.0",
        ),
        (
            "{ op = 'mbconv', kernel = 3, expand = 1, width = 4, stride = 2, se = 0.0, padding = 'same', name = 'm' }",
            "m.0.block.0.0",
        ),
    ] {
        let hand = Hand::of(&from_rows(rows, without_norm(), [4, 8, 8]));
        let x = input(&[2, 4, 8, 8]);
        let (weight, bias) = (hand.tensor(&format!("{name}.weight")), hand.tensor(&format!("{name}.bias")));
        let padded = x.constant_pad_nd([0, 1, 0, 1]);
        let deep = padded.conv2d(&weight, Some(&bias), [2, 2], [0, 0], [1, 1], 4).relu();
        let point = hand
            .0
            .params()
            .iter()
            .map(|(param, _)| param.name.as_str())
            .find(|other| other.ends_with("weight") && *other != format!("{name}.weight") && *other != "fc.weight");
        let point = point.unwrap().trim_end_matches(".weight").to_owned();
        let wide = hand.conv(&point, &deep, 1);
        hand.agrees(&x, &if name == "m.0.dw.conv" { wide.relu() } else { wide });
    }
    let padding = |keys: &str| {
        let built = network(keys, [3, 32, 32], 10);
        let windows = built.layers().into_iter().filter_map(|(layer, _)| match &layer.op {
            Op::Conv(conv) if conv.window.kernel.h > 1 => Some(conv.window.padding),
            _ => None,
        });
        windows.collect::<Vec<_>>()
    };
    for preset in ["mobilenet_v1", "mobilenet_v2", "efficientnet"] {
        let keys = format!("preset = '{preset}'\npadding = 'same'");
        assert!(padding(&keys).iter().all(|padding| *padding == crate::arch::window::Padding::Same), "{preset}");
    }
}

/// `bn_scale = false`: γ is 1 and no parameter, in training, in evaluation, by libtorch and by our own operations.
#[test]
fn normalisation_without_a_factor_is_that_with_a_factor_of_one() {
    let rows = "{ op = 'conv', kernel = 3, width = 6, name = 'c' }, { op = 'basic', width = 6, name = 'b' }";
    let build = |bn_scale| from_rows(rows, Style { bn_scale, ..Style::default() }, [3, 8, 8]);
    let (with, without) = (build(true), build(false));
    assert_eq!(with.cost().params - without.cost().params, 3 * 6);
    assert!(!without.params().iter().any(|param| param.name.ends_with("bn.weight")));
    let x = input(&[4, 3, 8, 8]);
    for rewrite in [true, false] {
        let run = |network: &Network| {
            let mut model = Model::build(network, Device::Cpu, 1, rewrite).unwrap();
            model.to_kind(Kind::Double);
            let trained = model.forward(&x, true).logits;
            trained.sum(Kind::Double).backward();
            let grad = model.trainable().into_iter().find(|(param, _)| param.name == "c.conv.weight").unwrap().1.grad();
            (trained, grad, model.forward(&x, false).logits)
        };
        let ((a, b, c), (d, e, f)) = (run(&with), run(&without));
        for (with, without) in [(a, d), (b, e), (c, f)] {
            assert!((with - without).abs().max().double_value(&[]) < 1e-12);
        }
    }
}

/// torchvision/models/alexnet.py: dropout in front of each hidden linear layer, so that their names are 1, 4 and 6.
#[test]
fn torchvisions_alexnet_drops_before_its_hidden_layers() {
    let built = network("preset = 'alexnet'", [3, 224, 224], 1000);
    let head: Vec<&str> = built.rows.iter().map(|row| row.op).skip_while(|op| *op != "adaptive_avg_pool").collect();
    assert_eq!(head, ["adaptive_avg_pool", "dropout", "linear", "dropout", "linear", "classifier"]);
    let names: Vec<String> = built.params().into_iter().map(|param| param.name).collect();
    assert!(
        ["classifier.1.weight", "classifier.4.weight", "classifier.6.weight"]
            .iter()
            .all(|name| names.iter().any(|n| n == name))
    );
}

/// BVLC's GoogLeNet: `xavier` looks at the inputs alone, biases start at 0.2, those of the three classifiers at 0.
#[test]
fn the_papers_googlenet_starts_as_caffes() {
    let built = network("preset = 'googlenet'\naux = true", [3, 224, 224], 10);
    let model = Model::new(&built, Device::Cpu, 0).unwrap();
    for (param, tensor) in model.params() {
        let largest = tensor.abs().max().double_value(&[]);
        if param.name.ends_with("bias") {
            let classifier = ["fc.bias", "aux1.fc2.bias", "aux2.fc2.bias"].contains(&param.name.as_str());
            assert!((largest - if classifier { 0.0 } else { 0.2 }).abs() < 1e-6, "{}: {largest}", param.name);
        } else {
            let fan_in: i64 = param.shape.iter().skip(1).product();
            let bound = (3.0 / fan_in as f64).sqrt();
            assert!(largest <= bound * 1.000_001 && largest > 0.9 * bound, "{}: {largest} of {bound}", param.name);
        }
    }
}

/// facenet's inception_resnet_v1.py: decay 0.995, epsilon 0.001, no factor, a truncated normal of deviation 0.1.
#[test]
fn facenets_normalisation_and_weights_are_its_own() {
    let built = network("preset = 'inception_resnet'\nform = 'facenet'\nblocks = [1, 1, 1]", [3, 96, 96], 10);
    let style = &built.plan.style;
    assert_eq!((style.bn_eps, style.bn_momentum, style.bn_scale), (1e-3, 0.005, false));
    let model = Model::new(&built, Device::Cpu, 0).unwrap();
    let kernels = model.params().iter().filter(|(param, _)| param.shape.len() == 4 && param.count() > 10_000);
    for (param, kernel) in kernels {
        let (largest, std) = (kernel.abs().max().double_value(&[]), kernel.std(true).double_value(&[]));
        assert!(largest <= 0.2 && (std - 0.088).abs() < 0.003, "{}: {largest}, {std}", param.name);
    }
}
