//! Muon: momentum, made orthogonal.

use super::{Adamw, Group, OptimizerSpec, Step, UpdateRule};
use crate::named::{KeyError, check_range};
use crate::torch::{TorchError, catch};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Keys of `optimizer = "muon"` (Jordan et al. 2024), for the weights of hidden layers: linear layers, and convolutions as
/// matrices of `[out, in · height · width]`. The first layer with weights, the last one, biases and normalisations are
/// updated by AdamW, as in the author's repository. Weight decay shrinks the weights themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Muon {
    pub momentum: f64,
    pub nesterov: bool,
    /// Newton–Schulz iterations.
    pub ns_steps: usize,
    /// Peak learning rate of AdamW's part; it follows warm-up and schedule as `lr` does.
    pub adamw_lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
}

impl Default for Muon {
    fn default() -> Muon {
        let (momentum, nesterov, ns_steps) = (0.95, true, 5);
        Muon { momentum, nesterov, ns_steps, adamw_lr: 3e-4, beta1: 0.9, beta2: 0.95, eps: 1e-10 }
    }
}

impl Muon {
    fn adamw(&self) -> Adamw {
        Adamw { beta1: self.beta1, beta2: self.beta2, eps: self.eps }
    }

    fn update(&self, param: &Tensor, grad: &Tensor, momentum: &Tensor, lr: f64, weight_decay: f64) {
        let (mut param, mut momentum) = (param.shallow_clone(), momentum.shallow_clone());
        let _ = momentum.lerp_(grad, 1.0 - self.momentum);
        let direction = if self.nesterov { grad.lerp(&momentum, self.momentum) } else { momentum };
        let rows = param.size().first().copied().unwrap_or(1);
        let matrix = direction.reshape([rows, -1]);
        // An update of a tall matrix would otherwise change outputs less than that of a square one.
        let scale = (rows as f64 / matrix.size()[1] as f64).max(1.0).sqrt();
        let update = orthogonalised(&matrix, self.ns_steps).reshape(param.size());
        let _ = param.g_mul_scalar_(1.0 - lr * weight_decay);
        let _ = param.g_add_(&(update * (-lr * scale)));
    }
}

/// Moves the singular values of a matrix near 1, by iterations of an odd quintic polynomial. Its coefficients are the author's:
/// five steps bring any value from 0.01 to 1 into 0.7 to 1.2, not to exactly 1.
fn orthogonalised(matrix: &Tensor, steps: usize) -> Tensor {
    const A: f64 = 3.4445;
    const B: f64 = -4.7750;
    const C: f64 = 2.0315;
    let [rows, columns] = [0, 1].map(|axis| matrix.size()[axis]);
    let tall = rows > columns;
    let mut x = if tall { matrix.tr() } else { matrix.shallow_clone() };
    x = &x / x.norm().clamp_min(1e-7);
    for _ in 0..steps {
        let gram = x.matmul(&x.tr());
        let polynomial = &gram * B + gram.matmul(&gram) * C;
        x = &x * A + polynomial.matmul(&x);
    }
    if tall { x.tr() } else { x }
}

impl UpdateRule for Muon {
    fn default_lr(&self) -> f64 {
        0.02
    }

    fn check(&self) -> Result<(), KeyError> {
        check_range("momentum", self.momentum, 0.0, 0.9999)?;
        check_range("ns_steps", self.ns_steps as f64, 1.0, 100.0)?;
        check_range("adamw_lr", self.adamw_lr, 0.0, 1000.0)?;
        self.adamw().check()
    }

    fn buffers(&self) -> &'static [&'static str] {
        &["momentum"]
    }

    fn companion(&self) -> Option<(OptimizerSpec, f64)> {
        Some((self.adamw().into(), self.adamw_lr))
    }

    fn step(&self, group: &Group, step: Step) -> Result<(), TorchError> {
        let _no_grad = tch::no_grad_guard();
        catch(|| {
            for ((param, grad), momentum) in group.params.iter().zip(group.grads).zip(&group.buffers[0]) {
                if grad.defined() {
                    self.update(param, grad, momentum, step.lr, group.weight_decay);
                }
            }
        })
    }
}
