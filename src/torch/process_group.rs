//! Processes that compute together: c10d's TCP store, where they meet and leave short texts, and its Gloo backend, which adds up
//! and copies tensors on CPUs. Both are part of libtorch.

use std::ffi::{CString, c_int};
use std::fmt;
use std::time::Duration;

use tch::Tensor;

use super::error::Result;
use super::ffi;

/// Where a group meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// The store's address.
    pub host: String,
    pub port: u16,
    pub rank: usize,
    pub world: usize,
    /// Whether this process serves the store, rather than only reading it.
    pub serves: bool,
    /// In front of all keys in the store, which may be older than the group.
    pub prefix: String,
    /// How long to wait for the others, at the start and in every operation.
    pub timeout: Duration,
}

/// A group that this process is part of.
pub struct ProcessGroup {
    handle: *mut ffi::GroupHandle,
}

// SAFETY: c10d's stores and backends may be used from any thread; stores lock themselves, and C++ serialises the rest.
unsafe impl Send for ProcessGroup {}
// SAFETY: as above.
unsafe impl Sync for ProcessGroup {}

impl fmt::Debug for ProcessGroup {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("ProcessGroup")
    }
}

impl ProcessGroup {
    /// Waits for all processes of the group.
    ///
    /// # Errors
    /// When the port cannot be listened on or reached, the others do not come in time, or ranks do not fit together.
    pub fn open(meeting: &Meeting) -> Result<ProcessGroup> {
        let mut handle = std::ptr::null_mut();
        let (host, prefix) = (c_text(&meeting.host), c_text(&meeting.prefix));
        let [rank, world] = [meeting.rank, meeting.world].map(|number| c_int::try_from(number).unwrap_or(c_int::MAX));
        let seconds = meeting.timeout.as_secs_f64();
        // SAFETY: the texts are valid while borrowed, `handle` is a valid place; on success it is an owned group, freed by `Drop`.
        unsafe {
            ffi::check(ffi::strata_group_open(
                host.as_ptr(),
                meeting.port,
                rank,
                world,
                c_int::from(meeting.serves),
                prefix.as_ptr(),
                seconds,
                &mut handle,
            ))?;
        }
        Ok(ProcessGroup { handle })
    }

    /// Valid while the group is borrowed.
    pub(super) fn handle(&self) -> *mut ffi::GroupHandle {
        self.handle
    }

    /// Runs `f`, whose images do not count: what a process computes to take part in the operations of the others within their
    /// forward and backward passes, while it has no image of its own.
    pub fn idle<T>(&self, f: impl FnOnce() -> T) -> T {
        struct Idle<'a>(&'a ProcessGroup);
        impl Drop for Idle<'_> {
            fn drop(&mut self) {
                // SAFETY: the group is valid while borrowed.
                unsafe { ffi::strata_group_set_idle(self.0.handle, 0) }
            }
        }
        // SAFETY: as above.
        unsafe { ffi::strata_group_set_idle(self.handle, 1) };
        let _idle = Idle(self);
        f()
    }

    /// Whether an operation failed, also one within a forward or backward pass.
    pub fn has_failed(&self) -> bool {
        // SAFETY: the group is valid while borrowed.
        unsafe { ffi::strata_group_failed(self.handle) != 0 }
    }

    /// Replaces a tensor by the sum of those of all processes, in place; the bits are the same in all of them. It is contiguous
    /// and on the CPU, and of one shape and kind everywhere.
    ///
    /// # Errors
    /// When another process ended or did not come in time, and for tensors that do not fit together.
    pub fn sum(&self, tensor: &Tensor) -> Result<()> {
        // SAFETY: group and tensor are valid while borrowed; the text is taken over by `check`.
        unsafe { ffi::check(ffi::strata_group_sum(self.handle, tensor.as_ptr())) }
    }

    /// Replaces a tensor by that of rank 0, in place; conditions and errors are those of [`ProcessGroup::sum`].
    ///
    /// # Errors
    /// See above.
    pub fn broadcast(&self, tensor: &Tensor) -> Result<()> {
        // SAFETY: as above.
        unsafe { ffi::check(ffi::strata_group_broadcast(self.handle, tensor.as_ptr())) }
    }

    /// Leaves a text in the store.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        let (key, value) = (c_text(key), c_text(value));
        // SAFETY: the texts are valid while borrowed; the error is taken over by `check`.
        unsafe { ffi::check(ffi::strata_group_set(self.handle, key.as_ptr(), value.as_ptr())) }
    }

    /// A text in the store, if there is one.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        let key = c_text(key);
        let mut out = std::ptr::null_mut();
        // SAFETY: the text is valid while borrowed; on success `out` is null or owned, and released once.
        unsafe {
            ffi::check(ffi::strata_group_get(self.handle, key.as_ptr(), &mut out))?;
            Ok((!out.is_null()).then(|| ffi::take_text(out)))
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // SAFETY: made by `open` and freed once.
        unsafe { ffi::strata_group_free(self.handle) }
    }
}

/// The text up to its first NUL.
fn c_text(text: &str) -> CString {
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}
