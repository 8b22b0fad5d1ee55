//! A convolution followed by normalisation, activation and the sum with a shortcut: one module, so that one
//! kernel can compute them.

use super::activations;
use super::batch_norm::BatchNorm;
use super::convolution::Convolution;
use crate::arch::activations::Act;
use tch::Tensor;
use tch::nn::ModuleT;

/// act(norm(conv(x)) + shortcut); without convolution, normalisation or shortcut that part is left out.
#[derive(Debug)]
pub(super) struct ConvNormAct {
    pub(super) conv: Option<Convolution>,
    pub(super) norm: Option<BatchNorm>,
    pub(super) act: Act,
}

impl ConvNormAct {
    /// act(factor · norm(conv(x)) + shortcut).
    pub(super) fn forward_sum(&self, x: &Tensor, factor: f64, shortcut: &Tensor, train: bool) -> Tensor {
        match (&self.norm, &self.conv) {
            (Some(norm), _) if factor == 1.0 => self.forward_by(Some(norm), x, Some(shortcut), train),
            (Some(norm), _) => self.forward_by(Some(&norm.times(factor)), x, Some(shortcut), train),
            (None, Some(conv)) => conv.forward_sum(x, factor, shortcut, self.act),
            (None, None) => unreachable!("a ConvNormAct has a convolution or a normalisation"),
        }
    }

    fn forward_by(&self, norm: Option<&BatchNorm>, x: &Tensor, add: Option<&Tensor>, train: bool) -> Tensor {
        if let (Some(conv), Some(norm), Some(kernel), false) = (&self.conv, norm, activations::kernel(self.act), train)
            && let Some(y) = conv.evaluated(x, norm, add, kernel)
        {
            return y;
        }
        let relu_inside = norm.is_none() && self.act == Act::Relu;
        let (y, act) = match self.conv.as_ref().map(|conv| conv.forward(x, relu_inside)) {
            Some((y, true)) => (y, Act::None),
            Some((y, false)) => (y, self.act),
            None => (x.shallow_clone(), self.act),
        };
        match norm {
            Some(norm) => norm.forward(&y, add, act, train),
            None => activations::apply(act, &y),
        }
    }
}

impl ModuleT for ConvNormAct {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        self.forward_by(self.norm.as_ref(), x, None, train)
    }
}
