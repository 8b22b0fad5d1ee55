//! Memory formats: the order of the elements of an image tensor [N, C, H, W] in memory.
//!
//! In channels_last (NHWC) order the channels of a pixel are contiguous, which convolution kernels read faster on most
//! hardware. The shape and the values of a tensor do not change with it.

use std::ffi::c_int;

use tch::Tensor;

use super::error::{Result, TorchError};
use super::ffi;

/// `tensor`, 4-D, in channels_last order: the tensor itself if it is so already, else a copy. Differentiable.
///
/// # Errors
/// If the tensor is not 4-D.
pub fn channels_last(tensor: &Tensor) -> Result<Tensor> {
    require_4d(tensor)?;
    in_format(tensor, true)
}

/// `tensor` in row-major order (NCHW for images): the tensor itself if it is in that order already, else a copy.
/// Differentiable.
///
/// # Errors
/// Only those of libtorch.
pub fn contiguous(tensor: &Tensor) -> Result<Tensor> {
    in_format(tensor, false)
}

/// Puts the data of a leaf `parameter`, 4-D, into channels_last order.
///
/// The tensor stays the same variable: a `VarStore`, an optimizer or a layer that holds it sees the new order.
/// Optimizer state made before has the old order and must be made again.
///
/// # Errors
/// If the tensor is not 4-D, or was computed.
pub fn set_channels_last(parameter: &mut Tensor) -> Result<()> {
    require_4d(parameter)?;
    // SAFETY: the handle is valid while borrowed; the text is taken over by `check`.
    unsafe { ffi::check(ffi::strata_set_channels_last(parameter.as_ptr())) }
}

fn require_4d(tensor: &Tensor) -> Result<()> {
    match tensor.dim() {
        4 => Ok(()),
        _ => Err(TorchError(format!("channels_last needs a tensor [N, C, H, W], this one is {:?}", tensor.size()))),
    }
}

fn in_format(tensor: &Tensor, channels_last: bool) -> Result<Tensor> {
    // SAFETY: the handle is valid while borrowed; on success C++ stores an owned tensor.
    unsafe { ffi::tensor_from(|out| ffi::strata_contiguous(tensor.as_ptr(), c_int::from(channels_last), out)) }
}

/// Images in memory, one channel's rows after the other's, as a tensor `[N, C, H, W]` on the CPU with channels last.
///
/// # Errors
/// When the number of `values` is not that of `shape`, or 0.
pub fn images(values: &[f32], shape: [usize; 4]) -> Result<Tensor> {
    let count = shape.iter().try_fold(1usize, |count, &side| count.checked_mul(side));
    if count != Some(values.len()) || values.is_empty() {
        return Err(TorchError(format!("{} values are no images of shape {shape:?}", values.len())));
    }
    let shape = shape.map(|side| side as i64);
    // SAFETY: as many values are read as the shape says, which are there; C++ stores an owned tensor.
    unsafe { ffi::tensor_from(|out| ffi::strata_images(values.as_ptr(), shape.as_ptr(), out)) }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, nn};

    use super::*;

    fn counting(shape: &[i64]) -> Tensor {
        Tensor::arange(shape.iter().product::<i64>(), (Kind::Float, Device::Cpu)).reshape(shape)
    }

    #[test]
    fn values_stay_and_the_order_changes() {
        let image = counting(&[2, 3, 4, 5]);
        let last = channels_last(&image).unwrap();
        assert_eq!(last.stride(), [60, 1, 15, 3]);
        assert_eq!(last, image);
        let back = contiguous(&last).unwrap();
        assert_eq!(back.stride(), [60, 20, 5, 1]);
        assert_eq!(back, image);
    }

    #[test]
    fn other_ranks_are_refused() {
        let error = channels_last(&counting(&[2, 3])).unwrap_err();
        assert_eq!(error.0, "channels_last needs a tensor [N, C, H, W], this one is [2, 3]");
        assert!(set_channels_last(&mut counting(&[2])).is_err());
    }

    #[test]
    fn a_parameter_keeps_its_identity_and_its_gradient_the_new_order() {
        let store = nn::VarStore::new(Device::Cpu);
        let layer = nn::conv2d(store.root() / "conv", 3, 8, 3, Default::default());
        let before = layer.ws.copy();
        for (name, mut variable) in store.variables() {
            if name.ends_with("weight") {
                set_channels_last(&mut variable).unwrap();
            }
        }
        assert!(layer.ws.stride()[1] == 1 && layer.ws.requires_grad() && layer.ws.is_leaf());
        assert_eq!(layer.ws, before);
        let input = channels_last(&counting(&[2, 3, 8, 8])).unwrap();
        let output = input.apply(&layer);
        assert_eq!(output.stride()[1], 1);
        output.sum(Kind::Float).backward();
        assert_eq!(layer.ws.grad().stride(), layer.ws.stride());
    }

    #[test]
    fn images_from_memory_keep_their_places() {
        for channels in [1usize, 3] {
            let values: Vec<f32> = (0..2 * channels * 6).map(|i| i as f32).collect();
            let made = images(&values, [2, channels, 2, 3]).unwrap();
            assert_eq!(made, Tensor::from_slice(&values).view([2, channels as i64, 2, 3]));
            assert_eq!(made.stride()[1], 1);
        }
        assert!(images(&[1.0; 5], [1, 1, 2, 3]).is_err());
        assert!(images(&[], [usize::MAX, 2, 1, 1]).is_err());
        // No images, and sides that are negative as libtorch's numbers.
        assert!(images(&[], [0, usize::MAX, 1, 1]).is_err());
    }
}
