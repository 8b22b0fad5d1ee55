//! What a network costs, known before anything runs.
//!
//! Multiply-adds are those of convolutions and linear layers; biases, normalisation, pooling and sums are not counted, which
//! is torchvision's convention. Activations are the outputs of those same layers. All figures are for one image.

use std::ops::AddAssign;

/// Counts for one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Values that are learned.
    pub params: u64,
    /// Values of buffers: running statistics of batch normalisation.
    pub buffers: u64,
    /// Multiply-adds.
    pub macs: u64,
    /// Values that convolutions and linear layers output.
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
