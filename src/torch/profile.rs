//! Where the time of a step goes: seconds by operation of libtorch.

use std::marker::PhantomData;

use super::error::Result;
use super::ffi;

/// The time that one kind of operation took.
#[derive(Clone, Debug, PartialEq)]
pub struct OpTime {
    /// libtorch's name for it, `aten::mkldnn_convolution`.
    pub name: String,
    pub calls: u64,
    /// Without the operations that it called.
    pub seconds: f64,
}

/// Notes the time of every operation, on all threads, from its start to its end. Slows small operations down a little.
///
/// There is one at a time, which cannot move to another thread: operations that have not returned when it ends belong to
/// the thread that began them.
#[derive(Debug)]
#[must_use = "the profile is read by `finish`"]
pub struct Profile {
    _this_thread: PhantomData<*const ()>,
}

impl Profile {
    /// # Errors
    /// If another profile is being taken, and those of libtorch.
    pub fn start() -> Result<Profile> {
        // SAFETY: takes nothing; the text is taken over by `check`.
        unsafe { ffi::check(ffi::strata_profile_start())? };
        Ok(Profile { _this_thread: PhantomData })
    }

    /// The operations since the start, the longest first.
    ///
    /// # Errors
    /// Only those of libtorch.
    pub fn finish(self) -> Result<Vec<OpTime>> {
        std::mem::forget(self);
        // SAFETY: C++ stores an owned text.
        let lines = unsafe { ffi::text_from(ffi::strata_profile_stop)? };
        let parse = |line: &str| {
            let mut parts = line.rsplitn(3, '\t');
            let (seconds, calls) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            Some(OpTime { name: parts.next()?.to_owned(), calls, seconds })
        };
        Ok(lines.lines().filter_map(parse).collect())
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // SAFETY: without a place for it no text is stored; an error text is taken over by `check`.
        let _ = unsafe { ffi::check(ffi::strata_profile_stop(std::ptr::null_mut())) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    /// It was `Send`, and a second one emptied the first.
    #[test]
    fn operations_are_counted() {
        struct Probe<T>(PhantomData<T>);
        trait Otherwise {
            fn sends(&self) -> bool {
                false
            }
        }
        impl<T> Otherwise for Probe<T> {}
        impl<T: Send> Probe<T> {
            fn sends(&self) -> bool {
                true
            }
        }
        assert!(Probe::<u8>(PhantomData).sends() && !Probe::<Profile>(PhantomData).sends());
        drop(Profile::start().unwrap());
        let profile = Profile::start().unwrap();
        assert!(Profile::start().unwrap_err().0.contains("timed already"));
        let a = Tensor::ones([64, 64], (Kind::Float, Device::Cpu));
        let _ = (a.matmul(&a), a.matmul(&a));
        let times = profile.finish().unwrap();
        // Other tests run meanwhile, so that there may be more.
        assert!(times.iter().any(|op| op.name == "aten::mm" && op.calls >= 2 && op.seconds > 0.0), "{times:?}");
        assert!(times.is_sorted_by(|a, b| a.seconds >= b.seconds));
    }
}
