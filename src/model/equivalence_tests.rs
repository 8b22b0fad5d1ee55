//! Things that the papers say are the same, and are.

use super::Model;
use crate::arch::golden::network;
use crate::arch::network::{Plan, StochasticDepth};
use crate::arch::rows::Row;
use crate::arch::{Network, Style};
use tch::{Device, Kind, Tensor};

fn from_rows(rows: &str, norm: crate::arch::style::Norm, input: [usize; 3]) -> Network {
    #[derive(serde::Deserialize)]
    struct Rows {
        rows: Vec<Row>,
    }
    let Rows { rows } = toml::from_str(rows).unwrap();
    let style = Style { norm, ..Style::default() };
    Network::new(Plan { rows, style, stochastic_depth: StochasticDepth::default(), input, classes: 3 }).unwrap()
}

/// Numbers between -1 and 1 that no other test can disturb.
fn input(shape: &[i64]) -> Tensor {
    let count: i64 = shape.iter().product();
    (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 0.7).sin().view(shape)
}

fn double(network: &Network) -> Model {
    let mut model = Model::new(network, Device::Cpu, 1).unwrap();
    model.to_kind(Kind::Double);
    model
}

fn tensor(model: &Model, name: &str) -> Tensor {
    let found = model.params().iter().find(|(param, _)| param.name == name);
    found.unwrap_or_else(|| panic!("{name}")).1.shallow_clone()
}

fn set(model: &Model, name: &str, value: &Tensor) {
    let _no_grad = tch::no_grad_guard();
    tensor(model, name).copy_(value);
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

/// Network in Network, section 3: a 1x1 convolution is a dense layer at every pixel.
#[test]
fn a_one_by_one_convolution_is_a_dense_layer_per_pixel() {
    let rows = "rows = [{ op = 'conv', kernel = 1, width = 7, act = 'none', name = 'c' }, { op = 'global_avg_pool' }, { op = 'classifier' }]";
    let model = double(&from_rows(rows, crate::arch::style::Norm::None, [5, 6, 6]));
    let x = input(&[4, 5, 6, 6]);
    let (weight, bias) = (tensor(&model, "c.conv.weight"), tensor(&model, "c.conv.bias"));
    let convolved = x.conv2d(&weight, Some(&bias), [1, 1], [0, 0], [1, 1], 1);
    let dense = x.permute([0, 2, 3, 1]).linear(&weight.view([7, 5]), Some(&bias)).permute([0, 3, 1, 2]);
    assert!(largest_difference(&convolved, &dense) < 1e-14);
    // The graph built from the row computes that convolution.
    let logits = model.forward(&x, false).logits;
    let head = dense.mean_dim([2i64, 3].as_slice(), false, None);
    let expected = head.linear(&tensor(&model, "row3.weight"), Some(&tensor(&model, "row3.bias")));
    assert!(largest_difference(&logits, &expected) < 1e-14);
}

/// ResNeXt, figure 3: (a) the sum of C bottlenecks, (b) C branches concatenated before one 1x1, (c) a grouped convolution.
#[test]
fn the_three_forms_of_a_resnext_block_compute_the_same() {
    let (cardinality, width, channels) = (4, 2, 12);
    let inner = cardinality * width;
    let tail = "{ op = 'global_avg_pool' }, { op = 'classifier', name = 'fc' }";
    let path = |last: &str| {
        format!(
            "[{{ op = 'conv', kernel = 1, width = {width} }}, {{ op = 'conv', kernel = 3, width = {width} }}{last}]"
        )
    };
    let many = |last: &str| vec![path(last); cardinality].join(", ");
    let expand = format!(", {{ op = 'conv', kernel = 1, width = {channels}, act = 'none', bias = false }}");
    let a = format!(
        "rows = [{{ op = 'residual', name = 'r', body = [{{ op = 'branches', join = 'sum', branches = [{}] }}] }}, {tail}]",
        many(&expand)
    );
    let b = format!(
        "rows = [{{ op = 'residual', name = 'r', body = [{{ op = 'branches', branches = [{}] }}{expand}] }}, {tail}]",
        many("")
    );
    let c = format!(
        "rows = [{{ op = 'residual', name = 'r', body = [{{ op = 'conv', kernel = 1, width = {inner} }}, \
         {{ op = 'conv', kernel = 3, width = {inner}, groups = {cardinality} }}{expand}] }}, {tail}]"
    );
    let none = crate::arch::style::Norm::None;
    let [a, b, c] = [a, b, c].map(|rows| double(&from_rows(&rows, none, [channels, 5, 5])));
    // One set of weights, cut up as each form needs it.
    for part in ["weight", "bias"] {
        for (index, row) in [(0, "r.body.0"), (1, "r.body.1")] {
            let whole = tensor(&c, &format!("{row}.conv.{part}"));
            for i in 0..cardinality {
                let piece = whole.narrow(0, (i * width) as i64, width as i64);
                for form in [&a, &b] {
                    set(form, &format!("r.body.0.{i}.{index}.conv.{part}"), &piece);
                }
            }
        }
    }
    let last = tensor(&c, "r.body.2.conv.weight");
    set(&b, "r.body.1.conv.weight", &last);
    for i in 0..cardinality {
        set(&a, &format!("r.body.0.{i}.2.conv.weight"), &last.narrow(1, (i * width) as i64, width as i64));
    }
    for name in ["fc.weight", "fc.bias"] {
        for form in [&a, &b] {
            set(form, name, &tensor(&c, name));
        }
    }
    let x = input(&[2, channels as i64, 5, 5]);
    let [a, b, c] = [&a, &b, &c].map(|model| model.forward(&x, false).logits);
    assert!(largest_difference(&a, &c) < 1e-12 && largest_difference(&b, &c) < 1e-12);
    assert!(c.abs().max().double_value(&[]) > 1e-3, "the outputs are not all zero");
}

/// Zero-initialised last γ: every block starts as its shortcut, so that depth changes nothing at the start.
#[test]
fn zero_init_makes_blocks_start_as_their_shortcut() {
    let logits = |keys: &str| {
        let network = network(&format!("preset = 'resnet'\nlayout = 'cifar'\nshortcut = 'A'\n{keys}"), [3, 8, 8], 3);
        let model = double(&network);
        model.forward(&input(&[2, 3, 8, 8]), false).logits
    };
    let shallow = logits("depth = 8\nzero_init = true");
    assert!(largest_difference(&shallow, &logits("depth = 20\nzero_init = true")) < 1e-12);
    assert!(largest_difference(&shallow, &logits("depth = 20")) > 1e-3);
}

/// A gate far below zero carries the input on: a Highway layer is then the identity.
#[test]
fn a_closed_gate_is_the_identity() {
    let rows = |bias: f64| {
        format!(
            "rows = [{{ op = 'highway', kernel = 3, width = 4, repeat = 3, gate_bias = {bias:?}, name = 'h' }}, \
             {{ op = 'global_avg_pool' }}, {{ op = 'classifier', name = 'fc' }}]"
        )
    };
    let x = input(&[2, 4, 6, 6]);
    let difference = |bias: f64| {
        let model = double(&from_rows(&rows(bias), crate::arch::style::Norm::None, [4, 6, 6]));
        let mean = x.mean_dim([2i64, 3].as_slice(), false, None);
        let plain = mean.linear(&tensor(&model, "fc.weight"), Some(&tensor(&model, "fc.bias")));
        largest_difference(&model.forward(&x, false).logits, &plain)
    };
    assert!(difference(-60.0) < 1e-12 && difference(0.0) > 1e-3);
}

/// Stochastic depth: at test the branch is multiplied by p; a step that drops every block runs the shortcuts alone.
#[test]
fn stochastic_depth_scales_by_p_at_test_and_skips_whole_blocks_in_training() {
    let build = |survival: f64| {
        let mut plan = network("preset = 'resnet'\ndepth = 8\nlayout = 'cifar'\nshortcut = 'A'", [3, 8, 8], 3).plan;
        plan.stochastic_depth =
            StochasticDepth { survival, decay: crate::arch::network::Decay::Uniform, ..plan.stochastic_depth };
        Network::new(plan).unwrap()
    };
    let network = build(0.5);
    let (half, whole) = (double(&network), double(&build(1.0)));
    let x = input(&[4, 3, 8, 8]);
    assert!(largest_difference(&half.forward(&x, false).logits, &whole.forward(&x, false).logits) > 1e-4);
    // The fused sum scales β as well.
    let mut unfused = Model::build(&network, Device::Cpu, 1, false).unwrap();
    unfused.to_kind(Kind::Double);
    for model in [&half, &unfused] {
        let _ = tch::no_grad(|| tensor(model, "layer1.0.bn2.bias").fill_(0.3));
    }
    assert!(largest_difference(&half.forward(&x, false).logits, &unfused.forward(&x, false).logits) < 1e-12);
    // Batch statistics of a block that was skipped do not move.
    let never = double(&build(1e-12));
    never.forward(&x, true);
    let mean = tensor(&never, "layer1.0.bn1.running_mean");
    assert_eq!(mean.abs().max().double_value(&[]), 0.0);
    let stem = tensor(&never, "bn1.running_mean");
    assert!(stem.abs().max().double_value(&[]) > 0.0);
}

/// Rewrites change how, not what: outputs and the gradient of every parameter agree in float64.
#[test]
fn rewrites_keep_outputs_and_gradients() {
    for (keys, side) in [
        ("preset = 'googlenet'\nform = 'keras'\ndropout = 0.0", 28),
        ("preset = 'resnet'\ndepth = 50\nwidth = 8\nstride_in = '1x1'", 28),
        ("preset = 'inception_resnet'\nform = 'small'\ndropout = 0.0", 28),
        ("preset = 'resnet'\ndepth = 11\nlayout = 'cifar'\nbottleneck = true\norder = 'preact'\nscale = 0.5", 16),
        ("preset = 'resnet'\ndepth = 8\nlayout = 'cifar'\nscale = 0.5", 16),
        ("preset = 'mobilenet_v2'\nalpha = 0.35\ndropout = 0.0", 28),
        ("preset = 'vgg'\nwidth = 4\nhidden = 16\ngrid = 1\ndropout = 0.0", 32),
        ("preset = 'alexnet'\nhidden = 16\ndropout = 0.0", 64),
    ] {
        let network = network(keys, [1, side, side], 10);
        let run = |mut model: Model| {
            model.to_kind(Kind::Double);
            let x = input(&[3, 1, side as i64, side as i64]);
            let logits = model.forward(&x, true).logits;
            (&logits * &logits).sum(Kind::Double).backward();
            let gradients: Vec<Tensor> = model.trainable().iter().map(|(_, tensor)| tensor.grad()).collect();
            (logits, gradients)
        };
        let (logits, gradients) = run(Model::new(&network, Device::Cpu, 2).unwrap());
        let (plain_logits, plain_gradients) = run(Model::build(&network, Device::Cpu, 2, false).unwrap());
        let scale = plain_logits.abs().max().double_value(&[]);
        let off = largest_difference(&logits, &plain_logits) / scale;
        // Normalisation over the three values of a 1x1 map enlarges rounding.
        assert!(off < 1e-9, "{keys}: {off}");
        // A bias in front of a normalisation has gradient zero: only its rounding is left, so the scale is common.
        let largest = plain_gradients.iter().map(|g| g.abs().max().double_value(&[])).fold(0.0, f64::max);
        let params = network.params().into_iter().filter(|param| param.role.trainable());
        for (param, (ours, plain)) in params.zip(gradients.iter().zip(&plain_gradients)) {
            assert!(largest_difference(ours, plain) < 1e-9 * largest, "{keys}: gradient of {}", param.name);
        }
    }
}

/// Strides that an output of one pixel has no use for, in bf16 by libtorch alone, in memory full of NaN.
#[test]
fn a_stride_on_a_map_of_one_pixel_reads_nothing_unwritten() {
    for (side, kernel, stride, pad) in [(1, 3, 2, 1), (2, 3, 3, 1), (1, 2, 2, 1), (3, 5, 4, 2), (4, 3, 2, 1)] {
        let rows = format!(
            "rows = [{{ op = 'conv', kernel = {kernel}, width = 8, stride = {stride}, padding = {pad}, act = 'none' }}, \
             {{ op = 'global_avg_pool' }}, {{ op = 'classifier' }}]"
        );
        let network = from_rows(&rows, crate::arch::style::Norm::None, [8, side, side]);
        let mut model = Model::build(&network, Device::Cpu, 1, false).unwrap();
        model.use_channels_last().unwrap();
        for _ in 0..20 {
            let dirty: Vec<Tensor> = [16, 64, 256, 1024, 4096, 16384]
                .iter()
                .flat_map(|&n| (0..10).map(move |_| Tensor::full([n], f64::NAN, (Kind::Float, Device::Cpu))))
                .collect();
            drop(dirty);
            let side = side as i64;
            let x = Tensor::ones([2, 8, side, side], (Kind::Float, Device::Cpu));
            let loss = {
                let _autocast = crate::torch::Autocast::bf16(Device::Cpu);
                model.forward(&x, true).logits
            };
            loss.to_kind(Kind::Float).sum(Kind::Float).backward();
            for (param, tensor) in model.params() {
                let finite = tensor.grad().isfinite().all().int64_value(&[]) == 1;
                assert!(finite, "{}: {side}x{side}, kernel {kernel}, stride {stride}", param.name);
            }
        }
    }
}

/// A strided 1x1 convolution of a few channels used to write past its memory in the backward pass (channels last, AVX2).
#[test]
fn a_thin_strided_convolution_steps_without_a_crash() {
    let rows = "rows = [{ op = 'conv', kernel = 3, width = 4 }, { op = 'conv', kernel = 1, stride = 2, width = 8, name = 'thin' }, \
                { op = 'global_avg_pool' }, { op = 'classifier' }]";
    let gradient = |channels_last: bool, input: Tensor| {
        let mut model =
            Model::new(&from_rows(rows, crate::arch::style::Norm::None, [1, 28, 28]), Device::Cpu, 3).unwrap();
        if channels_last {
            model.use_channels_last().unwrap();
        }
        model.forward(&input, true).logits.sum(Kind::Float).backward();
        tensor(&model, "thin.conv.weight").grad()
    };
    let images = input(&[64, 1, 28, 28]).to_kind(Kind::Float);
    let (plain, last) = (gradient(false, images.shallow_clone()), gradient(true, images));
    assert!(largest_difference(&plain, &last) < 1e-3 * plain.abs().max().double_value(&[]));
}

/// Windows with more taps than a byte tells apart are left to libtorch; the gradient goes to the largest pixel alone.
#[test]
fn a_window_over_a_large_map_has_its_gradient() {
    let rows = "rows = [{ op = 'pool', kind = 'max', kernel = 28 }, { op = 'global_avg_pool' }, { op = 'classifier' }]";
    let model = double(&from_rows(rows, crate::arch::style::Norm::None, [2, 28, 28]));
    let x = input(&[3, 2, 28, 28]).set_requires_grad(true);
    model.forward(&x, true).logits.sum(Kind::Double).backward();
    assert_eq!(x.grad().count_nonzero(None::<i64>).int64_value(&[]), 6);
}

/// A network is built for one size of map; another goes through libtorch's operations and is not misread.
#[test]
fn images_of_another_size_are_not_read_past_their_end() {
    let rows = "rows = [{ op = 'conv', kernel = 3, width = 4 }, { op = 'pool', kind = 'max', kernel = 3, stride = 2 }, \
                { op = 'global_avg_pool' }, { op = 'classifier' }]";
    let network = from_rows(rows, crate::arch::style::Norm::Batch, [2, 12, 12]);
    let fast = double(&network);
    let mut plain = Model::build(&network, Device::Cpu, 1, false).unwrap();
    plain.to_kind(Kind::Double);
    let x = input(&[3, 2, 20, 20]);
    assert!(largest_difference(&fast.forward(&x, false).logits, &plain.forward(&x, false).logits) < 1e-12);
}
