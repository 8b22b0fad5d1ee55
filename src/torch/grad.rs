//! Gradients of a list of parameters: read, clear, clip, check.

use std::ffi::c_int;

use tch::Tensor;

use super::error::Result;
use super::ffi;

/// The gradients of `params` as they are, no copies: undefined ([`Tensor::defined`]) where there is none.
pub fn grads(params: &[Tensor]) -> Vec<Tensor> {
    params.iter().map(Tensor::grad).collect()
}

/// Makes the gradients of `params` undefined, PyTorch's `set_to_none`: the next backward pass stores its gradients
/// instead of adding them to zeros, which saves two passes over memory.
///
/// # Errors
/// Only those of libtorch.
pub fn zero_grad(params: &[Tensor]) -> Result<()> {
    let p = ffi::handles(params);
    // SAFETY: the handles are valid while borrowed; the text is taken over by `check`.
    unsafe { ffi::check(ffi::strata_zero_grad(p.len(), p.as_ptr())) }
}

/// Scales `grads` in place so that their joint L2 norm is at most `max_norm`; returns the norm before, 0 for no
/// gradients. If the norm is not finite, nothing is scaled and it is returned as it is. Undefined gradients are left
/// out.
///
/// # Errors
/// If the gradients are on several devices.
pub fn clip_grad_norm(grads: &[Tensor], max_norm: f64) -> Result<f64> {
    let g = ffi::handles(grads);
    let mut norm = 0.0;
    // SAFETY: the handles are valid while borrowed, `norm` is a valid place; the text is taken over by `check`.
    unsafe { ffi::check(ffi::strata_clip_grad_norm(g.len(), g.as_ptr(), max_norm, &mut norm))? };
    Ok(norm)
}

/// Whether no element of `tensors` is infinite or NaN; one wait for the device if all are. Undefined tensors are left
/// out.
///
/// # Errors
/// Only those of libtorch.
pub fn all_finite(tensors: &[Tensor]) -> Result<bool> {
    let t = ffi::handles(tensors);
    let mut finite: c_int = 0;
    // SAFETY: the handles are valid while borrowed, `finite` is a valid place; the text is taken over by `check`.
    unsafe { ffi::check(ffi::strata_all_finite(t.len(), t.as_ptr(), &mut finite))? };
    Ok(finite != 0)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::from_slice(values)
    }

    #[test]
    fn gradients_are_read_and_cleared() {
        let params = [tensor(&[1.0, 2.0]).set_requires_grad(true), tensor(&[3.0]).set_requires_grad(true)];
        (&params[0] * &params[0]).sum(Kind::Float).backward();
        let read = grads(&params);
        assert_eq!(read[0], tensor(&[2.0, 4.0]));
        assert!(!read[1].defined());
        zero_grad(&params).unwrap();
        assert!(grads(&params).iter().all(|grad| !grad.defined()));
        (&params[0] * 3.0).sum(Kind::Float).backward();
        assert_eq!(params[0].grad(), tensor(&[3.0, 3.0]));
    }

    #[test]
    fn clipping_scales_to_the_norm() {
        let list = [tensor(&[3.0]), Tensor::new(), tensor(&[0.0, 4.0])];
        assert!((clip_grad_norm(&list, 1.0).unwrap() - 5.0).abs() < 1e-6);
        assert!((list[0].double_value(&[0]) - 0.6).abs() < 1e-5);
        assert!((list[2].double_value(&[1]) - 0.8).abs() < 1e-5);
        let before = list[2].copy();
        assert!((clip_grad_norm(&list, 10.0).unwrap() - 1.0).abs() < 1e-5);
        assert_eq!(list[2], before);
        assert_eq!(clip_grad_norm(&[], 1.0), Ok(0.0));
    }

    #[test]
    fn a_norm_that_is_not_finite_changes_nothing() {
        let list = [tensor(&[f32::NAN]), tensor(&[2.0])];
        assert!(clip_grad_norm(&list, 1.0).unwrap().is_nan());
        assert_eq!(list[1].double_value(&[0]), 2.0);
    }

    #[test]
    fn finite_is_exact() {
        let ok = tensor(&[1.0, -2.0]);
        assert_eq!(all_finite(&[ok.copy(), Tensor::new()]), Ok(true));
        assert_eq!(all_finite(&[ok.copy(), tensor(&[f32::INFINITY, f32::NEG_INFINITY])]), Ok(false));
        assert_eq!(all_finite(&[tensor(&[f32::NAN]), ok]), Ok(false));
        assert_eq!(all_finite(&[]), Ok(true));
        // The sum overflows, the elements are finite.
        assert_eq!(all_finite(&[tensor(&[f32::MAX, f32::MAX])]), Ok(true));
        let wide = Tensor::full([2], 1e300, (Kind::Double, Device::Cpu));
        assert_eq!(all_finite(&[wide]), Ok(true));
    }
}
