//! Batch normalisation as it runs, fused with the residual sum and the activation that follow.

use super::activations;
use super::tensors::{Tensors, or_panic};
use crate::arch::activations::Act;
use crate::arch::ops;
use crate::torch::fused::{self, Activation, Norm};
use crate::torch::{ProcessGroup, TorchError};
use std::sync::Arc;
use tch::Tensor;

/// Batch normalisation of `[N, C, H, W]`.
#[derive(Debug)]
pub(super) struct BatchNorm {
    /// `None` where the network has `bn_scale = false`: γ is 1 then.
    pub(super) gamma: Option<Tensor>,
    pub(super) beta: Tensor,
    pub(super) mean: Tensor,
    pub(super) var: Tensor,
    eps: f64,
    momentum: f64,
    /// Whether a kernel of [`fused`] may compute it together with what follows.
    fused: bool,
    /// The ranks whose images are normalised together in training.
    sync: Option<Arc<ProcessGroup>>,
}

impl BatchNorm {
    /// # Errors
    /// When one of β and the running statistics is missing.
    pub(super) fn new(
        norm: &ops::BatchNorm,
        fused: bool,
        sync: Option<Arc<ProcessGroup>>,
        mut tensors: Tensors,
    ) -> Result<BatchNorm, TorchError> {
        Ok(BatchNorm {
            gamma: tensors.take_optional("weight"),
            beta: tensors.take("bias")?,
            mean: tensors.take("running_mean")?,
            var: tensors.take("running_var")?,
            eps: norm.eps,
            momentum: norm.momentum,
            fused,
            sync,
        })
    }

    pub(super) fn numbers(&self) -> Norm<'_> {
        Norm {
            gamma: self.gamma.as_ref(),
            beta: Some(&self.beta),
            mean: Some(&self.mean),
            var: Some(&self.var),
            momentum: self.momentum,
            eps: self.eps,
            group: None,
        }
    }

    /// factor · norm(x), with the same running statistics.
    pub(super) fn times(&self, factor: f64) -> BatchNorm {
        let gamma = self.gamma.as_ref().map_or_else(|| self.beta.detach().ones_like(), Tensor::shallow_clone);
        BatchNorm {
            gamma: Some(gamma * factor),
            beta: &self.beta * factor,
            mean: self.mean.shallow_clone(),
            var: self.var.shallow_clone(),
            sync: self.sync.clone(),
            ..*self
        }
    }

    /// act(norm(x) + add).
    pub(super) fn forward(&self, x: &Tensor, add: Option<&Tensor>, act: Act, train: bool) -> Tensor {
        let group = self.sync.as_deref().filter(|_| train);
        // The variance of one value per channel is 0/0, and libtorch would make the running one NaN: use the running
        // statistics instead. With a group the kernel does, which alone knows the number of values.
        let values = x.numel() as i64 / x.size().get(1).copied().unwrap_or(1).max(1);
        let train = train && (values > 1 || group.is_some());
        // Neither the fused kernel nor libtorch takes β without γ.
        let ones = if self.gamma.is_none() { Some(self.beta.detach().ones_like()) } else { None };
        let norm = Norm { gamma: self.gamma.as_ref().or(ones.as_ref()), group, ..self.numbers() };
        let by_kernel = |add, act| or_panic(fused::norm_act(x, add, &norm, act, train));
        let y = match activations::kernel(act).filter(|_| add.is_none() || act.joins_sum()) {
            Some(whole) if group.is_some() || (self.fused && fused::supports(x)) => return by_kernel(add, whole),
            _ if group.is_some() => by_kernel(None, Activation::None),
            _ => {
                let Norm { gamma, beta, mean, var, momentum, eps, .. } = norm;
                x.batch_norm(gamma, beta, mean, var, train, momentum, eps, true)
            }
        };
        activations::apply_to_sum(act, y, add)
    }
}
