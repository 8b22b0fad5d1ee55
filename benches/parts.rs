//! Benchmarks of the parts: `make bench-parts`, or `cargo bench --bench parts NAME` for those whose name has NAME in it.
//!
//! Criterion compares with the run before: change a part, run again, read what changed. Whole steps beside PyTorch are
//! bench/run.py's (`make bench`); why a step takes as long as it does is found here.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::Path;
use strata::config::{Experiment, Machine};
use strata::data::{self, Augment, Batch, Crop, Flip, Images, Normalise};
use strata::torch::{self, Autocast, StepKind, StepNumbers};
use strata::train::bench::Workload;
use tch::{Device, Kind, Tensor};

const BATCH: usize = 128;

criterion_group! {
    name = parts;
    config = Criterion::default().sample_size(20).without_plots();
    targets = network_value, batches, optimizer_steps, operations, whole_steps
}
criterion_main!(parts);

fn experiment(name: &str, overrides: &[&str]) -> Experiment {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(name);
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    Experiment::load(&path, &overrides, Machine::default()).expect("the experiments of this repository can be read")
}

/// From a file to a network and its cost: no tensor, so milliseconds.
fn network_value(criterion: &mut Criterion) {
    let deep = experiment("imagenet/resnet152.toml", &[]);
    let mut group = criterion.benchmark_group("network");
    group.bench_function("cost of ResNet-152", |bencher| bencher.iter(|| black_box(&deep.network).cost()));
    group.bench_function("ResNet-152 read, expanded and checked", |bencher| {
        bencher.iter(|| experiment("imagenet/resnet152.toml", &[]));
    });
    group.finish();
}

/// Gathering and augmenting a training batch, on the one thread that prepares batches.
fn batches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (shape, name) in [([1, 28, 28], "28x28 grey"), ([3, 32, 32], "32x32 colour")] {
        let count = 8 * BATCH;
        let size = shape.iter().product::<usize>();
        let pixels = (0..count * size).map(|index| (index % 251) as u8).collect();
        let images = Images::new(shape, pixels, (0..count).map(|index| (index % 10) as u16).collect());
        let normalise = Normalise { mean: vec![0.5], std: vec![0.25] };
        let order = data::order(count, 0, 0);
        let crop_and_flip = Augment { crop: Crop(2), flip: Flip::Random, ..Augment::default() };
        for (augment, what) in [(Augment::default(), "as they are"), (crop_and_flip, "crop and flip")] {
            let mut batch = Batch::default();
            group.bench_function(format!("{name}, {what}"), |bencher| {
                bencher.iter(|| batch.fill_train(&images, &order[..BATCH], &normalise, &augment, 0, 0));
            });
        }
        let batch = data::eval_batch(&images, 0..BATCH, &normalise).expect("images in memory");
        group.bench_function(format!("{name}, into a tensor"), |bencher| {
            bencher.iter(|| strata::train::tensors(&batch, Device::Cpu));
        });
    }
    group.finish();
}

/// One step over the tensors of a network of six million parameters.
fn optimizer_steps(criterion: &mut Criterion) {
    let network = experiment("googlenet.toml", &[]).network;
    let model = strata::model::Model::new(&network, Device::Cpu, 0).expect("it fits into memory");
    let params: Vec<Tensor> = model.trainable().into_iter().map(|(_, tensor)| tensor.detach()).collect();
    let like = |fill: f64| params.iter().map(|tensor| tensor.full_like(fill)).collect::<Vec<_>>();
    let grads = like(1e-4);
    let states = [like(0.0), like(1e-6)];
    let numbers = StepNumbers { lr: 1e-6, weight_decay: 1e-4, ..StepNumbers::default() };
    let sgd = StepNumbers { momentum: 0.9, nesterov: 1, ..numbers };
    let adam = StepNumbers { beta1: 0.9, beta2: 0.999, eps: 1e-8, step: 10, ..numbers };
    let mut group = criterion.benchmark_group("optimizer");
    group.throughput(Throughput::Elements(network.cost().params));
    group.bench_function("SGD with momentum", |bencher| {
        bencher.iter(|| torch::optimizer_step(StepKind::Sgd, &params, &grads, &states, &sgd));
    });
    group.bench_function("AdamW", |bencher| {
        bencher.iter(|| torch::optimizer_step(StepKind::Adamw, &params, &grads, &states, &adam));
    });
    group.finish();
}

/// Single operations, forward and backward, in the layout and precision of training.
fn operations(criterion: &mut Criterion) {
    let image = |shape: [i64; 4]| {
        let tensor = Tensor::randn(shape, (Kind::Float, Device::Cpu)).to_kind(Kind::BFloat16);
        torch::channels_last(&tensor).expect("four axes").detach().set_requires_grad(true)
    };
    let weight = |shape: [i64; 4]| {
        let tensor = Tensor::randn(shape, (Kind::Float, Device::Cpu)) * 0.05;
        torch::channels_last(&tensor).expect("four axes").detach().set_requires_grad(true)
    };
    let batch = BATCH as i64;
    let mut group = criterion.benchmark_group("forward and backward, bf16");

    let (x, other) = (image([batch, 16, 32, 32]), image([batch, 16, 32, 32]));
    let ones = || Tensor::ones([16], (Kind::Float, Device::Cpu));
    let (gamma, beta) = (ones().set_requires_grad(true), (ones() * 0.0).detach().set_requires_grad(true));
    let (mean, variance) = (ones() * 0.0, ones());
    let normalised =
        |x: &Tensor| x.batch_norm(Some(&gamma), Some(&beta), Some(&mean), Some(&variance), true, 0.1, 1e-5, false);
    // Gradients are given back, not added to those of the turn before.
    let backward =
        |output: Tensor, inputs: &[&Tensor]| Tensor::run_backward(&[output.sum(Kind::Float)], inputs, false, false);
    let inputs = [&x, &gamma, &beta];
    group.bench_function("batch norm 16x32x32", |bencher| bencher.iter(|| backward(normalised(&x), &inputs)));
    group.bench_function("batch norm, ReLU 16x32x32", |bencher| {
        bencher.iter(|| backward(normalised(&x).relu(), &inputs));
    });
    group.bench_function("batch norm, sum, ReLU 16x32x32", |bencher| {
        bencher.iter(|| backward((normalised(&x) + &other).relu(), &[&x, &gamma, &beta, &other]));
    });

    // (name, input, weight, padding): a step's typical convolutions, and the small maps where weight gradients are slow.
    let convolutions = [
        ("conv 3x3 16x32x32", [batch, 16, 32, 32], [16, 16, 3, 3], 1),
        ("conv 3x3 64x8x8", [batch, 64, 8, 8], [64, 64, 3, 3], 1),
        ("conv 3x3 160 to 320 on 2x2", [batch, 160, 2, 2], [320, 160, 3, 3], 1),
        ("conv 1x1 832 to 384 on 2x2", [batch, 832, 2, 2], [384, 832, 1, 1], 0),
        ("conv 1x1 512 to 2048 on 1x1", [batch, 512, 1, 1], [2048, 512, 1, 1], 0),
    ];
    for (name, input, shape, padding) in convolutions {
        let (x, weight) = (image(input), weight(shape));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let _autocast = Autocast::bf16_if(true, Device::Cpu);
                let output = x.conv2d(&weight, None::<&Tensor>, [1, 1], [padding, padding], [1, 1], 1);
                backward(output, &[&x, &weight])
            });
        });
    }
    group.finish();
}

/// Whole steps of small networks: what a step costs besides arithmetic.
fn whole_steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("step");
    for (name, overrides) in [("smoke", &["train.batch=4"][..]), ("resnet20", &["train.batch=32"])] {
        let experiment = experiment(&format!("{name}.toml"), overrides);
        let workload = Workload::new(&experiment, Device::Cpu, 1).expect("it fits into memory");
        let mut bench = workload.bench();
        group.bench_function(format!("{name}, {}", overrides[0]), |bencher| {
            // A round of one step has one before it that its clock runs from: two steps a go.
            bencher.iter_batched(|| (), |()| bench.train(1), BatchSize::PerIteration);
        });
    }
    group.finish();
}
