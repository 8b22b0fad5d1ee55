//! Each step against its formula written in plain tch ops, over several steps, shapes and memory formats.

use tch::{Device, Kind, Tensor, nn, nn::OptimizerConfig};

use super::*;
use crate::torch::{grads, is_channels_last, set_channels_last};

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

fn assert_close(a: &[Tensor], b: &[Tensor], tolerance: f64) {
    for (a, b) in a.iter().zip(b) {
        let gap = (a - b).abs().max().double_value(&[]);
        assert!(gap <= tolerance, "differs by {gap}");
    }
}

fn textbook_sgd(param: &Tensor, grad: &Tensor, buffer: &Tensor, o: &Sgd, first: bool) -> (Tensor, Tensor) {
    let g = grad + o.weight_decay * param;
    if o.momentum == 0.0 {
        return (param - o.lr * &g, buffer.copy());
    }
    let buffer = if first { g.copy() } else { o.momentum * buffer + (1.0 - o.dampening) * &g };
    let step = if o.nesterov { &g + o.momentum * &buffer } else { buffer.copy() };
    (param - o.lr * step, buffer)
}

#[test]
fn sgd_is_the_textbook_formula() {
    let base = Sgd { lr: 0.1, momentum: 0.9, dampening: 0.0, weight_decay: 5e-2, nesterov: false };
    for options in [
        base,
        Sgd { nesterov: true, ..base },
        Sgd { dampening: 0.3, weight_decay: 0.0, ..base },
        Sgd { momentum: 0.0, ..base },
    ] {
        let params = list(0.0, Kind::Double);
        let buffers = zeros(&params);
        let (mut expected, mut moments) = (copies(&params), copies(&buffers));
        for step in 0..5 {
            let slopes = list(10.0 + f64::from(step), Kind::Double);
            let given: &[Tensor] = if options.momentum == 0.0 { &[] } else { &buffers };
            fused_sgd(&params, &slopes, given, &options, step == 0).unwrap();
            for i in 0..expected.len() {
                (expected[i], moments[i]) = textbook_sgd(&expected[i], &slopes[i], &moments[i], &options, step == 0);
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
    let options = Sgd { lr: 0.1, momentum: 0.9, dampening: 0.0, weight_decay: 1e-4, nesterov: true };
    let loss = |params: &[Tensor]| params.iter().map(|p| (p * p * p).sum(Kind::Float)).sum::<Tensor>();
    for step in 0..4 {
        optimizer.backward_step(&loss(&theirs));
        crate::torch::zero_grad(&ours).unwrap();
        loss(&ours).backward();
        fused_sgd(&ours, &grads(&ours), &buffers, &options, step == 0).unwrap();
    }
    assert_close(&ours, &theirs, 2.5e-7);
}

#[test]
fn adam_and_adamw_are_the_papers_formula() {
    let o = Adam { lr: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.1 };
    for decoupled in [false, true] {
        let params = list(0.0, Kind::Double);
        let (m, v) = (zeros(&params), zeros(&params));
        let (mut expected, mut em, mut ev) = (copies(&params), copies(&m), copies(&v));
        for step in 1..=5_u64 {
            let slopes = list(20.0 + step as f64, Kind::Double);
            let run = if decoupled { fused_adamw } else { fused_adam };
            run(&params, &slopes, &m, &v, step, &o).unwrap();
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
        let o = RmsProp { lr: 0.01, alpha: 0.9, eps: 1e-3, weight_decay: 0.1, momentum };
        let params = list(0.0, Kind::Double);
        let (s, b) = (zeros(&params), zeros(&params));
        let (mut expected, mut es, mut eb) = (copies(&params), copies(&s), copies(&b));
        for step in 0..4 {
            let slopes = list(30.0 + f64::from(step), Kind::Double);
            rmsprop(&params, &slopes, &s, if momentum == 0.0 { &[] } else { &b }, &o).unwrap();
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
    let options = RmsProp { lr: 0.1, alpha: 0.9, eps: 1e-2, weight_decay: 0.01, momentum: 0.9 };
    rmsprop(&params, &slopes, &squares, &buffers, &options).unwrap();
    let s: Tensor = 0.9 * s + 0.1 * &g * &g;
    let moved = &p - 0.1 * (0.9 * &b + &g / (s.sqrt() + 1e-2));
    assert_close(&params, &[moved], 1e-13);

    let (params, buffers) = ([p.copy()], [b.copy()]);
    let options = Sgd { lr: 0.1, momentum: 0.9, dampening: 0.0, weight_decay: 0.01, nesterov: false };
    fused_sgd(&params, &slopes, &buffers, &options, false).unwrap();
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
    let options = Sgd { lr: 1.0, momentum: 0.9, dampening: 0.0, weight_decay: 0.0, nesterov: false };
    let mut param = values(&[8, 3, 3, 3], 0.0, Kind::Float);
    let grad = values(&[8, 3, 3, 3], 1.0, Kind::Float);
    let expected = &param - &grad;
    set_channels_last(&mut param).unwrap();
    let buffer = param.zeros_like();
    assert!(is_channels_last(&buffer));
    fused_sgd(&[param.shallow_clone()], &[grad], &[buffer], &options, true).unwrap();
    assert!(is_channels_last(&param));
    assert_eq!(param, expected);

    let row_major = Tensor::zeros([8, 3, 3, 3], (Kind::Float, Device::Cpu));
    let error = fused_sgd(&[param.shallow_clone()], &[param.copy()], &[row_major], &options, true).unwrap_err();
    assert!(error.0.starts_with("parameter 0: has an optimizer state of another shape"), "{error}");
}

#[test]
fn parameters_without_a_gradient_are_left_alone() {
    let params = list(0.0, Kind::Float);
    let before = copies(&params);
    let mut slopes = list(1.0, Kind::Float);
    slopes[1] = Tensor::new();
    let (m, v) = (zeros(&params), zeros(&params));
    let o = Adam { lr: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.1 };
    fused_adamw(&params, &slopes, &m, &v, 1, &o).unwrap();
    assert_eq!(params[1], before[1]);
    assert_ne!(params[0], before[0]);
    let none: Vec<Tensor> = params.iter().map(|_| Tensor::new()).collect();
    fused_adamw(&params, &none, &m, &v, 2, &o).unwrap();
}

#[test]
fn lists_that_do_not_fit_are_errors() {
    let params = list(0.0, Kind::Float);
    let o = Sgd { lr: 0.1, momentum: 0.9, dampening: 0.0, weight_decay: 0.0, nesterov: false };
    let error = |params: &[Tensor], grads: &[Tensor], buffers: &[Tensor], o: &Sgd| {
        fused_sgd(params, grads, buffers, o, true).unwrap_err().0
    };
    assert_eq!(error(&params, &[], &[], &o), "0 gradients for 4 parameters");
    assert_eq!(error(&params, &params, &[], &o), "0 momentum buffers for 4 parameters");
    assert_eq!(error(&params, &list(0.0, Kind::Double), &params, &o), "parameter 0: has a gradient of another kind");
    assert_eq!(error(&params[..1], &params[1..2], &params[..1], &o), "parameter 0: has a gradient of another shape");
    let bad = Sgd { momentum: 0.0, nesterov: true, ..o };
    assert_eq!(error(&params, &params, &[], &bad), "Nesterov momentum needs a momentum and no dampening");
    let a = Adam { lr: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.1 };
    assert!(fused_adam(&params, &params, &params, &params, 0, &a).is_err());
}
