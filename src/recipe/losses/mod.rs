//! Losses that a network is trained on. Evaluation always reports the plain cross-entropy.

mod bce;
mod cross_entropy;

pub use bce::Bce;
pub use cross_entropy::CrossEntropy;

use crate::named::{KeyError, named};
use tch::Tensor;

/// A loss's keys and the loss itself.
pub trait Loss {
    /// # Errors
    /// For a key that is out of range.
    fn check(&self) -> Result<(), KeyError>;

    /// The mean over a batch of logits `[N, classes]`, a scalar with a gradient. As in PyTorch, `targets` are labels `[N]`, or
    /// probabilities `[N, classes]` where images are mixed.
    fn mean(&self, logits: &Tensor, targets: &Tensor) -> Tensor;
}

named! {
    /// A loss with its own keys.
    #[serde(untagged)]
    LossSpec: Loss,
    /// The name of a loss, as in `train.loss`.
    LossName {
        "cross_entropy" => CrossEntropy(CrossEntropy),
        "bce" => Bce(Bce),
    }
}
