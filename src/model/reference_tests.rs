//! Logits of torchvision's models, repeated: same names, same filling of weights and input, same numbers.
//!
//! `tests/data/torchvision_logits.csv` was made with torchvision 0.29. Weights and input are filled by a rule instead of a
//! file: h = FNV-1a of the tensor's name, u(i) = (splitmix64(h + i) >> 40) / 2^24; one-dimensional weights and running
//! variances 0.5 + u, biases and running means (u - 0.5)/5, matrices and kernels (u - 0.5)·√(24 / fan_in), input 2u - 1.

use super::Model;
use crate::arch::golden::network;
use std::collections::BTreeMap;
use tch::{Device, Tensor};

fn uniform(name: &str, count: usize) -> Vec<f64> {
    let hash =
        name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    (0..count as u64)
        .map(|index| {
            let mut x = hash.wrapping_add(index).wrapping_add(0x9E37_79B9_7F4A_7C15);
            x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((x ^ (x >> 31)) >> 40) as f64 / (1u64 << 24) as f64
        })
        .collect()
}

fn filled(name: &str, shape: &[i64]) -> Tensor {
    let count: i64 = shape.iter().product();
    let values: Vec<f32> = uniform(name, count as usize)
        .into_iter()
        .map(|u| match shape.len() {
            1 if name.ends_with("weight") || name.ends_with("running_var") => 0.5 + u,
            1 => (u - 0.5) * 0.2,
            _ => (u - 0.5) * (24.0 / (count as f64 / shape[0] as f64)).sqrt(),
        } as f32)
        .collect();
    Tensor::from_slice(&values).view(shape)
}

fn published() -> BTreeMap<String, Vec<(i64, i64, f64)>> {
    let text = include_str!("../../tests/data/torchvision_logits.csv");
    let mut logits: BTreeMap<String, Vec<(i64, i64, f64)>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let [model, _, image, class, logit] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let entry = (image.parse().unwrap(), class.parse().unwrap(), logit.parse().unwrap());
        logits.entry(model.to_owned()).or_default().push(entry);
    }
    logits
}

fn agrees(name: &str, keys: &str) {
    let expected = &published()[name];
    let mut model = Model::new(&network(keys, [3, 96, 96], 1000), Device::Cpu, 0).unwrap();
    let tensors: Vec<(String, Tensor)> =
        model.params().iter().map(|(param, _)| (param.name.clone(), filled(&param.name, &param.shape))).collect();
    model.copy_weights(&tensors).unwrap();
    let pixels: Vec<f32> = uniform("input", 2 * 3 * 96 * 96).iter().map(|u| (2.0 * u - 1.0) as f32).collect();
    let input = Tensor::from_slice(&pixels).view([2, 3, 96, 96]);
    let _no_grad = tch::no_grad_guard();
    for channels_last in [false, true] {
        if channels_last {
            model.use_channels_last().unwrap();
        }
        let logits = model.forward(&input, false).logits;
        let largest = logits.abs().max().double_value(&[]);
        for &(image, class, wanted) in expected {
            let got = logits.double_value(&[image, class]);
            assert!((got - wanted).abs() < 1e-3 * largest, "{name}, image {image}, class {class}: {got}, not {wanted}");
        }
    }
}

macro_rules! logits {
    ($($name:ident: $keys:expr;)*) => { $(#[test] fn $name() { agrees(stringify!($name), $keys); })* };
}

logits! {
    alexnet: "preset = 'alexnet'";
    vgg11: "preset = 'vgg'\ncolumn = 'A'";
    vgg16_bn: "preset = 'vgg'\ncolumn = 'D'\nnorm = 'batch'";
    googlenet: "preset = 'googlenet'\nform = 'torchvision'";
    resnet18: "preset = 'resnet'\ndepth = 18";
    resnet50: "preset = 'resnet'\ndepth = 50";
    resnext50_32x4d: "preset = 'resnext'";
    mobilenet_v2: "preset = 'mobilenet_v2'";
    efficientnet_b0: "preset = 'efficientnet'";
}
