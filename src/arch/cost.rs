//! What a network costs, known before anything runs.
//!
//! Multiply-adds are those of convolutions and linear layers; biases, normalisation, pooling and sums are not counted, which
//! is torchvision's convention. Activations are the outputs of those same layers. All figures are for one image.

use super::layer::{Layer, Op};
use std::ops::AddAssign;

/// Counts for one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Values that are learned.
    pub params: u64,
    /// Values that are kept but not learned: running statistics of batch normalisation.
    pub buffers: u64,
    pub macs: u64,
    pub activations: u64,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.params = self.params.saturating_add(other.params);
        self.buffers = self.buffers.saturating_add(other.buffers);
        self.macs = self.macs.saturating_add(other.macs);
        self.activations = self.activations.saturating_add(other.activations);
    }
}

impl Layer {
    pub fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        for param in self.params() {
            *if param.role.trainable() { &mut cost.params } else { &mut cost.buffers } += param.count();
        }
        let products = match &self.op {
            Op::Conv(conv) => {
                (self.input.channels() / conv.groups) as u64 * (conv.window.kernel.h * conv.window.kernel.w) as u64
            }
            Op::Linear { .. } => self.input.channels() as u64,
            _ => return cost,
        };
        cost.activations = self.output.values();
        cost.macs = cost.activations.saturating_mul(products);
        cost
    }
}
