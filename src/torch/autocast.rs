//! Mixed precision: autocast to bfloat16 or float16 as a guard.

use std::marker::PhantomData;

use tch::Device;

use super::ffi;

/// While it lives, convolutions and matrix products of this thread run in the half precision on its device type, and ops that
/// need the range of float32 (losses, norms, exponentials) run in float32, by libtorch's own lists. Parameters stay
/// float32.
///
/// A cast weight is kept until the outermost guard goes, so that each is cast once a pass. Hence one guard a forward
/// pass: a guard held over an optimizer step would keep using the weights from before it, and one shared by a `no_grad`
/// pass and a training pass could hand the latter a cast that carries no gradient. The backward pass needs no guard.
///
/// Dropping it, also by a panic, restores what was there before. A device that libtorch has no autocast for is left as
/// it is.
#[derive(Debug)]
#[must_use = "autocast ends when the guard is dropped"]
pub struct Autocast {
    device: i32,
    previous: Option<ffi::AutocastState>,
    /// The state is the thread's own, so the guard must not move to another.
    _this_thread: PhantomData<*const ()>,
}

impl Autocast {
    /// Turns on bfloat16 autocast for the type of `device`.
    pub fn bf16(device: Device) -> Autocast {
        Autocast::enter(device, false)
    }

    /// Turns on float16 autocast for the type of `device`, for GPUs. Never run on one yet.
    pub fn fp16(device: Device) -> Autocast {
        Autocast::enter(device, true)
    }

    fn enter(device: Device, half: bool) -> Autocast {
        let device = ffi::device_number(device);
        let mut previous = ffi::AutocastState::default();
        // SAFETY: `previous` is a valid place for the state; the returned text is taken over by `check`.
        let entered = unsafe { ffi::check(ffi::strata_autocast_enter(device, half.into(), &mut previous)) };
        Autocast { device, previous: entered.is_ok().then_some(previous), _this_thread: PhantomData }
    }

    /// Turns on bfloat16 autocast if `on`, for code that runs with and without it.
    pub fn bf16_if(on: bool, device: Device) -> Option<Autocast> {
        on.then(|| Autocast::bf16(device))
    }
}

impl Drop for Autocast {
    fn drop(&mut self) {
        if let Some(previous) = self.previous {
            // SAFETY: `previous` is the state this guard found on this thread; the text is taken over by `check`.
            // Entering worked for this device type, so leaving does; a drop could do nothing about an error anyway.
            let _ = unsafe { ffi::check(ffi::strata_autocast_exit(self.device, previous)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::{Kind, Tensor};

    use super::*;
    use crate::torch::catch;

    fn product_kind() -> Kind {
        let a = Tensor::ones([4, 4], (Kind::Float, Device::Cpu));
        a.matmul(&a).kind()
    }

    #[test]
    fn products_are_bf16_inside_and_fp32_outside() {
        assert_eq!(product_kind(), Kind::Float);
        {
            let _guard = Autocast::bf16(Device::Cpu);
            assert_eq!(product_kind(), Kind::BFloat16);
            {
                let _nested = Autocast::bf16(Device::Cpu);
                assert_eq!(product_kind(), Kind::BFloat16);
            }
            assert_eq!(product_kind(), Kind::BFloat16);
        }
        assert_eq!(product_kind(), Kind::Float);
        {
            let _half = Autocast::fp16(Device::Cpu);
            assert_eq!(product_kind(), Kind::Half);
        }
        assert_eq!(product_kind(), Kind::Float);
        assert!(Autocast::bf16_if(false, Device::Cpu).is_none());
    }

    #[test]
    fn a_panic_restores() {
        let failed = catch(|| {
            let _guard = Autocast::bf16(Device::Cpu);
            Tensor::ones([2, 2], (Kind::Float, Device::Cpu)).reshape([3])
        });
        assert!(failed.is_err());
        assert_eq!(product_kind(), Kind::Float);
    }

    #[test]
    fn a_changed_weight_is_seen_by_the_next_guard() {
        let weight = Tensor::ones([2, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let input = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
        let output = |weight: &Tensor| {
            let _guard = Autocast::bf16(Device::Cpu);
            input.matmul(weight)
        };
        let first = output(&weight);
        first.sum(Kind::Float).backward();
        assert_eq!(weight.grad().kind(), Kind::Float);
        tch::no_grad(|| {
            let _ = weight.shallow_clone().fill_(3.0);
        });
        assert_eq!(output(&weight).double_value(&[0, 0]), 6.0);
    }
}
