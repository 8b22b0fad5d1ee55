//! How libtorch computes the non-linearities of [`Act`].

use crate::arch::activations::Act;
use crate::torch::fused::Activation;
use tch::Tensor;

/// The number of its fused kernel, if it has one, and the tensor operation.
fn entry(act: Act) -> (Option<Activation>, fn(&Tensor) -> Tensor) {
    match act {
        Act::None => (Some(Activation::None), Tensor::shallow_clone),
        Act::Relu => (Some(Activation::Relu), Tensor::relu),
        Act::Relu6 => (Some(Activation::Relu6), |x| x.clamp(0.0, 6.0)),
        Act::Silu => (Some(Activation::Silu), Tensor::silu),
        Act::Sigmoid => (None, Tensor::sigmoid),
    }
}

/// The kernel that computes it together with the normalisation in front of it.
pub(super) fn kernel(act: Act) -> Option<Activation> {
    entry(act).0
}

/// Computes it by itself.
pub(super) fn apply(act: Act, x: &Tensor) -> Tensor {
    entry(act).1(x)
}

/// act(y + add)
pub(super) fn apply_to_sum(act: Act, y: Tensor, add: Option<&Tensor>) -> Tensor {
    apply(act, &add.map_or_else(|| y.shallow_clone(), |add| &y + add))
}
