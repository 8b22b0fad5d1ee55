//! Each step against its formula written in plain tch ops, over several steps, shapes and memory formats.

use tch::{Device, Kind, Tensor, nn, nn::OptimizerConfig};

use super::*;
use crate::torch::{grads, set_channels_last};

const SHAPES: [&[i64]; 4] = [&[8, 3, 3, 3], &[16], &[5, 7], &[4, 8, 1, 1]];

/// Values in (-1, 1) that differ by seed: no global random numbers, so that tests do not depend on their order.
fn values(shape: &[i64], seed: f64, kind: Kind) -> Tensor {
    let count: i64 = shape.iter().product();
    (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 1.7 + seed).sin().reshape(shape).to_kind(kind)
}

fn list(seed: f64, kind: Kind) -> Vec<Tensor> {
    SHAPES.iter().zip(0..).map(|(shape, i)| values(shape, seed + f64::from(i), kind)).collect()
}

fn zeros(like: &[Tensor]) -> Vec<Tensor> {
    like.iter().map(Tensor::zeros_like).collect()
}

fn copies(of: &[Tensor]) -> Vec<Tensor> {
    of.iter().map(Tensor::copy).collect()
}

/// Handles of the very tensors, as a list of states.
fn same(of: &[Tensor]) -> Vec<Tensor> {
    of.iter().map(Tensor::shallow_clone).collect()
}

fn assert_close(a: &[Tensor], b: &[Tensor], tolerance: f64) {
    for (a, b) in a.iter().zip(b) {
        let gap = (a - b).abs().max().double_value(&[]);
        assert!(gap <= tolerance, "differs by {gap}");
    }
}

fn textbook_sgd(param: &Tensor, grad: &Tensor, buffer: &Tensor, o: &StepNumbers) -> (Tensor, Tensor) {
    let g = grad + o.weight_decay * param;
    if o.momentum == 0.0 {
        return (param - o.lr * &g, buffer.copy());
    }
    let buffer = if o.first != 0 { g.copy() } else { o.momentum * buffer + &g };
    let step = if o.nesterov != 0 { &g + o.momentum * &buffer } else { buffer.copy() };
    (param - o.lr * step, buffer)
}

#[test]
fn sgd_is_the_textbook_formula() {
    let base = StepNumbers { lr: 0.1, momentum: 0.9, weight_decay: 5e-2, ..StepNumbers::default() };
    for options in [base, StepNumbers { nesterov: 1, ..base }, StepNumbers { momentum: 0.0, ..base }] {
        let params = list(0.0, Kind::Double);
        let buffers = zeros(&params);
        let (mut expected, mut moments) = (copies(&params), copies(&buffers));
        for step in 0..5 {
            let slopes = list(10.0 + f64::from(step), Kind::Double);
            let options = StepNumbers { first: i32::from(step == 0), ..options };
            let given: &[Vec<Tensor>] = if options.momentum == 0.0 { &[] } else { &[same(&buffers)] };
            optimizer_step(StepKind::Sgd, &params, &slopes, given, &options).unwrap();
            for i in 0..expected.len() {
                (expected[i], moments[i]) = textbook_sgd(&expected[i], &slopes[i], &moments[i], &options);
            }
        }
        assert_close(&params, &expected, 1e-14);
        assert_close(&buffers, &moments, 1e-14);
    }
}

/// Equal but for the last bit of the few elements after the last full vector, which the fused kernel rounds otherwise.
#[test]
fn sgd_equals_the_optimizer_of_tch() {
    let store = nn::VarStore::new(Device::Cpu);
    let root = store.root();
    let theirs: Vec<Tensor> =
        list(0.0, Kind::Float).iter().enumerate().map(|(i, v)| root.var_copy(&format!("p{i}"), v)).collect();
    let mut optimizer = nn::sgd(0.9, 0.0, 1e-4, true).build(&store, 0.1).unwrap();
    let ours: Vec<Tensor> = list(0.0, Kind::Float).into_iter().map(|v| v.set_requires_grad(true)).collect();
    let buffers = zeros(&ours);
    let options = StepNumbers { lr: 0.1, momentum: 0.9, weight_decay: 1e-4, nesterov: 1, ..StepNumbers::default() };
    let loss = |params: &[Tensor]| params.iter().map(|p| (p * p * p).sum(Kind::Float)).sum::<Tensor>();
    for step in 0..4 {
        optimizer.backward_step(&loss(&theirs));
        crate::torch::zero_grad(&ours).unwrap();
        loss(&ours).backward();
        let options = StepNumbers { first: i32::from(step == 0), ..options };
        optimizer_step(StepKind::Sgd, &ours, &grads(&ours), &[same(&buffers)], &options).unwrap();
    }
    assert_close(&ours, &theirs, 2.5e-7);
}

#[test]
fn adam_and_adamw_are_the_papers_formula() {
    let o = StepNumbers { lr: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.1, ..StepNumbers::default() };
    for decoupled in [false, true] {
        let params = list(0.0, Kind::Double);
        let (m, v) = (zeros(&params), zeros(&params));
        let (mut expected, mut em, mut ev) = (copies(&params), copies(&m), copies(&v));
        for step in 1..=5_i64 {
            let slopes = list(20.0 + step as f64, Kind::Double);
            let kind = if decoupled { StepKind::Adamw } else { StepKind::Adam };
            let o = StepNumbers { step, ..o };
            optimizer_step(kind, &params, &slopes, &[same(&m), same(&v)], &o).unwrap();
            let (c1, c2) = (1.0 - o.beta1.powi(step as i32), 1.0 - o.beta2.powi(step as i32));
            for i in 0..expected.len() {
                let p = &expected[i];
                let (p, g) = if decoupled {
                    (p * (1.0 - o.lr * o.weight_decay), slopes[i].copy())
                } else {
                    (p.copy(), &slopes[i] + o.weight_decay * p)
                };
                em[i] = o.beta1 * &em[i] + (1.0 - o.beta1) * &g;
                ev[i] = o.beta2 * &ev[i] + (1.0 - o.beta2) * &g * &g;
                expected[i] = p - o.lr * (&em[i] / c1) / ((&ev[i] / c2).sqrt() + o.eps);
            }
        }
        assert_close(&params, &expected, 1e-12);
        assert_close(&m, &em, 1e-14);
        assert_close(&v, &ev, 1e-14);
    }
}

#[test]
fn rmsprop_is_pytorchs_formula() {
    for momentum in [0.0, 0.9] {
        let o = StepNumbers { lr: 0.01, alpha: 0.9, eps: 1e-3, weight_decay: 0.1, momentum, ..StepNumbers::default() };
        let params = list(0.0, Kind::Double);
        let (s, b) = (zeros(&params), zeros(&params));
        let (mut expected, mut es, mut eb) = (copies(&params), copies(&s), copies(&b));
        for step in 0..4 {
            let slopes = list(30.0 + f64::from(step), Kind::Double);
            let states = &[same(&s), same(&b)][..if momentum == 0.0 { 1 } else { 2 }];
            optimizer_step(StepKind::Rmsprop, &params, &slopes, states, &o).unwrap();
            for i in 0..expected.len() {
                let g = &slopes[i] + o.weight_decay * &expected[i];
                es[i] = o.alpha * &es[i] + (1.0 - o.alpha) * &g * &g;
                eb[i] = momentum * &eb[i] + &g / (es[i].sqrt() + o.eps);
                expected[i] = &expected[i] - o.lr * &eb[i];
            }
        }
        assert_close(&params, &expected, 1e-13);
        assert_close(&s, &es, 1e-14);
    }
}

/// Long enough that every kernel splits it between threads and RMSprop into pieces, with a remainder.
#[test]
fn long_tensors_are_stepped_whole() {
    let long = |seed: f64| [values(&[400_003], seed, Kind::Double)];
    let (params, slopes, buffers, squares) = (long(0.0), long(1.0), long(2.0), [long(3.0)[0].square()]);
    let (p, g, b, s) = (params[0].copy(), &slopes[0] + 0.01 * &params[0], buffers[0].copy(), squares[0].copy());
    let options =
        StepNumbers { lr: 0.1, alpha: 0.9, eps: 1e-2, weight_decay: 0.01, momentum: 0.9, ..StepNumbers::default() };
    optimizer_step(StepKind::Rmsprop, &params, &slopes, &[same(&squares), same(&buffers)], &options).unwrap();
    let s: Tensor = 0.9 * s + 0.1 * &g * &g;
    let moved = &p - 0.1 * (0.9 * &b + &g / (s.sqrt() + 1e-2));
    assert_close(&params, &[moved], 1e-13);

    let (params, buffers) = ([p.copy()], [b.copy()]);
    optimizer_step(StepKind::Sgd, &params, &slopes, &[same(&buffers)], &options).unwrap();
    assert_close(&params, &[&p - 0.1 * (0.9 * &b + &g)], 1e-14);
}

#[test]
fn ema_is_the_formula() {
    let (averages, params) = (list(0.0, Kind::Double), list(5.0, Kind::Double));
    let expected: Vec<Tensor> = averages.iter().zip(&params).map(|(a, p)| 0.99 * a + 0.01 * p).collect();
    ema_update(&averages, &params, 0.99).unwrap();
    assert_close(&averages, &expected, 1e-15);
}

/// The CPU kernels walk raw memory: a gradient in another format than its parameter used to be able to hit wrong
/// weights.
#[test]
fn a_gradient_in_another_memory_format_meets_its_own_weight() {
    let options = StepNumbers { lr: 1.0, momentum: 0.9, first: 1, ..StepNumbers::default() };
    let step = |param: &Tensor, grad: Tensor, buffer: Tensor| {
        optimizer_step(StepKind::Sgd, &[param.shallow_clone()], &[grad], &[vec![buffer]], &options)
    };
    let mut param = values(&[8, 3, 3, 3], 0.0, Kind::Float);
    let grad = values(&[8, 3, 3, 3], 1.0, Kind::Float);
    let expected = &param - &grad;
    set_channels_last(&mut param).unwrap();
    let buffer = param.zeros_like();
    assert_eq!(buffer.stride(), [27, 1, 9, 3]);
    step(&param, grad, buffer).unwrap();
    assert_eq!(param.stride(), [27, 1, 9, 3]);
    assert_eq!(param, expected);

    let row_major = Tensor::zeros([8, 3, 3, 3], (Kind::Float, Device::Cpu));
    let error = step(&param, param.copy(), row_major).unwrap_err();
    assert!(error.0.starts_with("parameter 0: has an optimizer state of another shape"), "{error}");
}

#[test]
fn parameters_without_a_gradient_are_left_alone() {
    let params = list(0.0, Kind::Float);
    let before = copies(&params);
    let mut slopes = list(1.0, Kind::Float);
    slopes[1] = Tensor::new();
    let moments = [zeros(&params), zeros(&params)];
    let o = StepNumbers { lr: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8, step: 1, ..StepNumbers::default() };
    optimizer_step(StepKind::Adamw, &params, &slopes, &moments, &o).unwrap();
    assert_eq!(params[1], before[1]);
    assert_ne!(params[0], before[0]);
    let none: Vec<Tensor> = params.iter().map(|_| Tensor::new()).collect();
    optimizer_step(StepKind::Adamw, &params, &none, &moments, &o).unwrap();
}

#[test]
fn lists_that_do_not_fit_are_errors() {
    let params = list(0.0, Kind::Float);
    let o = StepNumbers { lr: 0.1, momentum: 0.9, first: 1, ..StepNumbers::default() };
    let error = |kind, params: &[Tensor], grads: &[Tensor], states: &[Vec<Tensor>], o: &StepNumbers| {
        optimizer_step(kind, params, grads, states, o).unwrap_err().0
    };
    let sgd = |params: &[Tensor], grads: &[Tensor], buffers: &[Tensor]| {
        error(StepKind::Sgd, params, grads, &[same(buffers)], &o)
    };
    assert_eq!(sgd(&params, &[], &[]), "0 gradients for 4 parameters");
    assert_eq!(sgd(&params, &params, &[]), "0 states for 4 parameters");
    assert_eq!(error(StepKind::Sgd, &params, &params, &[], &o), "0 lists of states, where Sgd needs 1");
    assert_eq!(sgd(&params, &list(0.0, Kind::Double), &params), "parameter 0: has a gradient of another kind");
    assert_eq!(sgd(&params[..1], &params[1..2], &params[..1]), "parameter 0: has a gradient of another shape");
    let bad = StepNumbers { momentum: 0.0, nesterov: 1, ..o };
    assert_eq!(error(StepKind::Sgd, &params, &params, &[], &bad), "Nesterov momentum needs a momentum");
    let states = [zeros(&params), zeros(&params)];
    assert_eq!(error(StepKind::Adam, &params, &params, &states, &o), "Adam counts its steps from 1");
}
