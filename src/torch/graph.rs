//! The kernels of a stretch of code, recorded on a GPU and launched again at once: small networks are bound by the time it
//! takes to launch kernels one by one. **Never run on a GPU yet.**

use std::fmt;
use std::marker::PhantomData;

use tch::Device;

use super::error::{Result, catch};
use super::ffi;

/// Recorded kernels. They read and write the memory of the tensors of the recording, which must be kept alive.
pub struct Graph {
    handle: *mut ffi::GraphHandle,
    /// Belongs to the thread whose stream it was recorded on.
    _this_thread: PhantomData<*const ()>,
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Graph")
    }
}

impl Graph {
    /// Records what `f` launches, without running it, and returns it with the result of `f`. `f` must not wait for the device nor read
    /// from it, and must have been run a few times before, so that libraries have made their choices.
    ///
    /// # Errors
    /// When the device has no such graphs, or an operation cannot be recorded.
    pub fn record<T>(device: Device, f: impl FnOnce() -> T) -> Result<(Graph, T)> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: `handle` is a valid place; on success it is an owned graph, freed by `Drop`.
        unsafe { ffi::check(ffi::strata_graph_begin(ffi::device_number(device), &mut handle))? };
        let graph = Graph { handle, _this_thread: PhantomData };
        let made = catch(f);
        // SAFETY: the handle is valid until `graph` is dropped. The recording is ended whatever became of `f`.
        let ended = unsafe { ffi::check(ffi::strata_graph_end(graph.handle)) };
        let made = made?;
        ended?;
        Ok((graph, made))
    }

    /// Launches the recorded kernels.
    ///
    /// # Errors
    /// Only those of libtorch.
    pub fn replay(&self) -> Result<()> {
        // SAFETY: the handle is valid until `self` is dropped.
        unsafe { ffi::check(ffi::strata_graph_replay(self.handle)) }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: owned, and freed once.
        unsafe { ffi::strata_graph_free(self.handle) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_gpu_there_is_an_error_and_no_crash() {
        if !tch::Cuda::is_available() {
            assert!(Graph::record(Device::Cuda(0), || ()).is_err());
        }
    }
}
