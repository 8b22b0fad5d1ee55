//! Gradients added up over the processes of a group, in buckets: while a backward pass computes the gradients of the first layers,
//! those of the last ones are under way.

use tch::Tensor;

use super::error::Result;
use super::ffi;
use super::process_group::ProcessGroup;

/// Buckets for the gradients of a list of parameters. In every step, each process of the group runs any number of backward passes,
/// of which it announces the last with [`GradientBuckets::arm`], and then calls [`GradientBuckets::finish`] or, all of them,
/// [`GradientBuckets::abandon`].
///
/// The order in which numbers are added depends on shapes and sizes alone, not on what is ready first.
pub struct GradientBuckets {
    handle: *mut ffi::BucketsHandle,
}

// SAFETY: like the tensors that it holds, it may be used from one thread after another.
unsafe impl Send for GradientBuckets {}

impl GradientBuckets {
    /// Divides parameters in reverse order. A bucket is full when it has `limit` bytes, the first one when it has `first`; with a
    /// limit of 0 there is one bucket, which is added up after the backward pass. `statistics` are tensors to average meanwhile.
    ///
    /// All processes of the group pass lists of the same shapes and kind, and the same sizes.
    ///
    /// # Errors
    /// When another process ended or did not come in time, and without parameters.
    pub fn new(
        group: &ProcessGroup,
        params: &[Tensor],
        statistics: &[Tensor],
        [first, limit]: [usize; 2],
    ) -> Result<GradientBuckets> {
        let (p, s) = (ffi::handles(params), ffi::handles(statistics));
        let mut handle = std::ptr::null_mut();
        // SAFETY: group and tensors are valid while borrowed, and counted references are kept; `handle` is a valid place. On
        // success it is owned and freed by `Drop`; the text is taken over by `check`.
        unsafe {
            ffi::check(ffi::strata_buckets_new(
                group.handle(),
                p.len(),
                p.as_ptr(),
                s.len(),
                s.as_ptr(),
                first,
                limit,
                &mut handle,
            ))?;
        }
        Ok(GradientBuckets { handle })
    }

    /// How many buckets there are, and how many of them are begun with.
    #[cfg(test)]
    pub(crate) fn state(&self) -> (usize, usize) {
        let (mut count, mut begun) = (0, 0);
        // SAFETY: the buckets are valid while borrowed, and both are valid places.
        unsafe { ffi::strata_buckets_state(self.handle, &mut count, &mut begun) };
        (count, begun)
    }

    /// The next backward pass is the last one before [`GradientBuckets::finish`]: gradients that it leaves may be added up.
    pub fn arm(&self) {
        // SAFETY: the buckets are valid while borrowed.
        unsafe { ffi::strata_buckets_arm(self.handle) }
    }

    /// Replaces the gradients by their sums over all processes, and the statistics by means weighted with each process's `share`:
    /// bitwise equal on all of them. A parameter that no process has a gradient of stays without one.
    ///
    /// The sums lie in the buckets, and are valid until the next step.
    ///
    /// # Errors
    /// When another process ended or did not come in time; the buckets cannot be used after that.
    pub fn finish(&self, share: f64) -> Result<()> {
        // SAFETY: as above; the text is taken over by `check`.
        unsafe { ffi::check(ffi::strata_buckets_finish(self.handle, share)) }
    }

    /// Ends the step without sums, on all processes: gradients are undetermined, statistics remain.
    ///
    /// # Errors
    /// See [`GradientBuckets::finish`].
    pub fn abandon(&self) -> Result<()> {
        // SAFETY: as above.
        unsafe { ffi::check(ffi::strata_buckets_abandon(self.handle)) }
    }
}

impl Drop for GradientBuckets {
    fn drop(&mut self) {
        // SAFETY: made by `new` and freed once.
        unsafe { ffi::strata_buckets_free(self.handle) }
    }
}
