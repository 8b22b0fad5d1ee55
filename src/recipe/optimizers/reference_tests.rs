//! Four steps of each optimizer on fixed tensors and gradients, in float64, against the numbers of PyTorch 2.13 and timm 1.0.31
//! in tests/data/optimizers.csv. Parameter `i` starts at the values of seed `i`, and its gradient in step `s` has those of seed
//! `10 + i + s`. Muon's, of `torch.optim.Muon`, iterate in float64 instead of bfloat16, on convolutions as matrices.

use super::*;
use crate::named::Named;
use tch::{Device, Kind};

const NUMBERS: &str = include_str!("../../../tests/data/optimizers.csv");
const SHAPES: [&[i64]; 4] = [&[3, 2, 2, 2], &[5, 3], &[3, 5], &[4]];

/// Name in the table, optimizer, its keys, learning rate, weight decay.
const CASES: [(&str, &str, &str, f64, f64); 10] = [
    ("sgd", "sgd", "nesterov = true", 0.1, 0.1),
    ("adam", "adam", "", 1e-3, 0.1),
    ("adamw", "adamw", "", 1e-3, 0.1),
    ("rmsprop", "rmsprop", "", 0.01, 0.1),
    ("lamb", "lamb", "", 1e-3, 0.1),
    ("lamb_free", "lamb", "", 1e-3, 0.0),
    ("lamb_always", "lamb", "always_adapt = true", 1e-3, 0.0),
    ("lion", "lion", "", 1e-2, 0.1),
    ("muon", "muon", "", 0.02, 0.1),
    ("muon_plain", "muon", "nesterov = false\nns_steps = 3", 0.02, 0.1),
];

fn values(shape: &[i64], seed: usize) -> Tensor {
    let count: i64 = shape.iter().product();
    (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 1.7 + seed as f64).sin().reshape(shape)
}

/// The parameters after four steps.
fn stepped(optimizer: &OptimizerSpec, shapes: &[&[i64]], lr: f64, weight_decay: f64) -> Vec<Tensor> {
    let list =
        |first: usize| -> Vec<Tensor> { shapes.iter().zip(first..).map(|(shape, i)| values(shape, i)).collect() };
    let params = list(0);
    let buffers: Vec<_> = optimizer.buffers().iter().map(|_| params.iter().map(Tensor::zeros_like).collect()).collect();
    for step in 0..4 {
        let grads = list(10 + step);
        let group = Group { params: &params, grads: &grads, buffers: &buffers, weight_decay };
        optimizer.step(&group, Step { lr, number: step as u64 + 1 }).unwrap();
    }
    params
}

#[test]
fn optimizers_step_as_in_pytorch_and_timm() {
    for (case, name, keys, lr, weight_decay) in CASES {
        let optimizer = OptimizerName::parse(name).unwrap().read(toml::from_str::<toml::Table>(keys).unwrap()).unwrap();
        let rows: Vec<&str> = NUMBERS.lines().filter(|line| line.split(',').next() == Some(case)).collect();
        assert!(rows.len() >= 3, "{case}");
        for (row, param) in rows.iter().zip(stepped(&optimizer, &SHAPES[..rows.len()], lr, weight_decay)) {
            let numbers = row.split(',').next_back().unwrap().split(' ').map(|number| number.parse().unwrap());
            let expected = Tensor::from_slice(&numbers.collect::<Vec<f64>>()).reshape(param.size());
            let gap = (param - expected).abs().max().double_value(&[]);
            assert!(gap < 1e-12, "{case} differs by {gap}");
        }
    }
}
