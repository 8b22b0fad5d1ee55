//! Declarations of the C interface of `cpp/` and the helpers that call it.
//!
//! Every function that can fail returns null, or an error text that [`check`] takes over. Structs are those of `cpp/abi.h`.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;

use tch::{Device, Tensor};
use torch_sys::C_tensor;

use super::abi::{StepNumbers, WindowGeometry};
use super::error::{Result, TorchError};

/// A borrowed tensor; null where one may be missing.
pub(super) type Handle = *const C_tensor;
/// A borrowed list of tensors: the handles in order.
pub(super) type Handles = *const Handle;
/// Where an owned tensor is stored.
pub(super) type Out = *mut *mut C_tensor;
/// Null, or an error text owned by the receiver.
pub(super) type ErrorText = *mut c_char;

/// Autocast state of one device type on one thread: `StrataAutocast`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AutocastState {
    pub enabled: i32,
    pub dtype: i32,
    pub cache: i32,
}

/// What batch normalisation needs beside its input, each pointer or null: `StrataNorm`.
#[repr(C)]
pub(super) struct NormHandles {
    pub gamma: Handle,
    pub beta: Handle,
    pub mean: Handle,
    pub var: Handle,
    pub momentum: f64,
    pub eps: f64,
    pub group: *mut GroupHandle,
}

/// Weighted means along an axis: `Taps` in `cpp/kernels/pictures.h`.
#[repr(C)]
pub(super) struct Taps {
    pub first: *const i64,
    pub weights: *const f32,
    pub count: i64,
    pub reach: i64,
}

/// A recording of `cpp/graph.cpp`, behind a pointer only.
#[repr(C)]
pub(super) struct GraphHandle(());

/// A process group of `cpp/process_group.cpp`, behind a pointer only.
#[repr(C)]
pub(super) struct GroupHandle(());

/// The buckets of `cpp/buckets.cpp`, behind a pointer only.
#[repr(C)]
pub(super) struct BucketsHandle(());

unsafe extern "C" {
    fn strata_free_text(text: *mut c_char);

    pub(super) fn strata_start_threads(count: c_int) -> ErrorText;
    #[cfg(test)]
    pub(super) fn strata_parallel_regions() -> u64;
    #[cfg(test)]
    pub(super) fn strata_test_threads(count: c_int) -> ErrorText;

    pub(super) fn strata_autocast_enter(device: c_int, half: c_int, previous: *mut AutocastState) -> ErrorText;
    pub(super) fn strata_autocast_exit(device: c_int, previous: AutocastState) -> ErrorText;

    pub(super) fn strata_contiguous(tensor: Handle, channels_last: c_int, out: Out) -> ErrorText;
    pub(super) fn strata_images(from: *const f32, shape: *const i64, out: Out) -> ErrorText;
    pub(super) fn strata_set_channels_last(tensor: Handle) -> ErrorText;

    pub(super) fn strata_optimizer_step(
        kind: c_int,
        n: usize,
        params: Handles,
        grads: Handles,
        states: usize,
        state: *const Handles,
        numbers: *const StepNumbers,
    ) -> ErrorText;
    pub(super) fn strata_ema_update(n: usize, averages: Handles, params: Handles, decay: f64) -> ErrorText;

    pub(super) fn strata_zero_grad(n: usize, params: Handles) -> ErrorText;
    pub(super) fn strata_clip_grad_norm(n: usize, grads: Handles, max_norm: f64, norm: *mut f64) -> ErrorText;
    pub(super) fn strata_all_finite(n: usize, tensors: Handles, finite: *mut c_int) -> ErrorText;

    pub(super) fn strata_graph_begin(device: c_int, out: *mut *mut GraphHandle) -> ErrorText;
    pub(super) fn strata_graph_end(graph: *mut GraphHandle) -> ErrorText;
    pub(super) fn strata_graph_replay(graph: *mut GraphHandle) -> ErrorText;
    pub(super) fn strata_graph_free(graph: *mut GraphHandle);

    pub(super) fn strata_group_open(
        host: *const c_char,
        port: u16,
        rank: c_int,
        world: c_int,
        serves: c_int,
        prefix: *const c_char,
        seconds: f64,
        out: *mut *mut GroupHandle,
    ) -> ErrorText;
    pub(super) fn strata_group_free(group: *mut GroupHandle);
    pub(super) fn strata_group_sum(group: *mut GroupHandle, tensor: Handle) -> ErrorText;
    pub(super) fn strata_group_broadcast(group: *mut GroupHandle, tensor: Handle) -> ErrorText;
    pub(super) fn strata_group_set_idle(group: *mut GroupHandle, idle: c_int);
    pub(super) fn strata_group_failed(group: *const GroupHandle) -> c_int;
    pub(super) fn strata_group_set(group: *mut GroupHandle, key: *const c_char, value: *const c_char) -> ErrorText;
    pub(super) fn strata_group_get(group: *mut GroupHandle, key: *const c_char, out: *mut *mut c_char) -> ErrorText;

    pub(super) fn strata_buckets_new(
        group: *mut GroupHandle,
        n: usize,
        params: Handles,
        m: usize,
        statistics: Handles,
        first: usize,
        limit: usize,
        out: *mut *mut BucketsHandle,
    ) -> ErrorText;
    pub(super) fn strata_buckets_free(buckets: *mut BucketsHandle);
    #[cfg(test)]
    pub(super) fn strata_buckets_state(buckets: *const BucketsHandle, count: *mut usize, begun: *mut usize);
    pub(super) fn strata_buckets_arm(buckets: *mut BucketsHandle);
    pub(super) fn strata_buckets_finish(buckets: *mut BucketsHandle, share: f64) -> ErrorText;
    pub(super) fn strata_buckets_abandon(buckets: *mut BucketsHandle) -> ErrorText;

    pub(super) fn strata_blocks(
        coefficients: *const i16,
        last: *const u8,
        quantizer: *const i16,
        count: i64,
        out: *mut u8,
        ld: i64,
    );
    pub(super) fn strata_chroma(
        near: *const u8,
        far: *const u8,
        count: i64,
        across: c_int,
        down: c_int,
        out: *mut u8,
        workspace: *mut u16,
    );
    pub(super) fn strata_colours(
        y: *const u8,
        cb: *const u8,
        cr: *const u8,
        count: i64,
        r: *mut u8,
        g: *mut u8,
        b: *mut u8,
    );
    pub(super) fn strata_resample(
        plane: *const u8,
        rows: i64,
        width: i64,
        ld: i64,
        down: *const Taps,
        across: *const Taps,
        out: *mut u8,
        workspace: *mut f32,
    );

    /// The C library's.
    pub(super) fn _exit(code: c_int) -> !;

    pub(super) fn strata_keep_memory();
    pub(super) fn strata_release_memory();
    pub(super) fn strata_keep_weights();
    pub(super) fn strata_forget_weights();
    pub(super) fn strata_begin_direct();
    pub(super) fn strata_end_direct();
    pub(super) fn strata_dlopen(path: *const c_char) -> ErrorText;
    pub(super) fn strata_synchronize(device: c_int) -> ErrorText;
    pub(super) fn strata_peak_memory(device: c_int, bytes: *mut i64) -> ErrorText;
    pub(super) fn strata_reset_peak_memory(device: c_int) -> ErrorText;

    pub(super) fn strata_set_deterministic(on: c_int) -> ErrorText;
    pub(super) fn strata_set_tf32(on: c_int) -> ErrorText;
    pub(super) fn strata_version(out: *mut *mut c_char) -> ErrorText;
    pub(super) fn strata_loaded_version(out: *mut *mut c_char) -> ErrorText;

    #[cfg(test)]
    pub(super) fn strata_activation(name: *const c_char) -> c_int;
    pub(super) fn strata_conv(
        x: Handle,
        weight: Handle,
        bias: Handle,
        shortcut: Handle,
        factor: f64,
        relu: c_int,
        window: *const WindowGeometry,
        out: Out,
    ) -> ErrorText;
    pub(super) fn strata_norm_act(
        x: Handle,
        add: Handle,
        norm: *const NormHandles,
        act: c_int,
        batch: c_int,
        out: Out,
    ) -> ErrorText;
    pub(super) fn strata_max_pool(
        x: Handle,
        kernel_h: i64,
        kernel_w: i64,
        window: *const WindowGeometry,
        out: Out,
    ) -> ErrorText;
    pub(super) fn strata_lrn(x: Handle, size: i64, alpha: f64, beta: f64, k: f64, out: Out) -> ErrorText;

    pub(super) fn strata_depthwise(
        x: Handle,
        weight: Handle,
        bias: Handle,
        kernel_h: i64,
        kernel_w: i64,
        window: *const WindowGeometry,
        out: Out,
    ) -> ErrorText;
    pub(super) fn strata_grad_enabled() -> c_int;
    pub(super) fn strata_conv_norm(
        x: Handle,
        weight: Handle,
        bias: Handle,
        norm: *const NormHandles,
        add: Handle,
        act: c_int,
        window: *const WindowGeometry,
        out: Out,
    ) -> ErrorText;
    pub(super) fn strata_depthwise_norm(
        x: Handle,
        weight: Handle,
        bias: Handle,
        norm: *const NormHandles,
        act: c_int,
        kernel_h: i64,
        kernel_w: i64,
        window: *const WindowGeometry,
        out: Out,
    ) -> ErrorText;
    pub(super) fn strata_concat(n: usize, parts: Handles, out: Out) -> ErrorText;

    pub(super) fn strata_subsample(x: Handle, channels: i64, stride: i64, out: Out) -> ErrorText;
    pub(super) fn strata_gate(x: Handle, factor: Handle, out: Out) -> ErrorText;
    pub(super) fn strata_gated_sum(
        gate: Handle,
        body: Handle,
        shortcut: Handle,
        shortcut_only: c_int,
        out: Out,
    ) -> ErrorText;
    pub(super) fn strata_dropout(x: Handle, rate: f64, key: u64, out: Out) -> ErrorText;
    pub(super) fn strata_squeeze(x: Handle, same: Out, mean: Out) -> ErrorText;
    pub(super) fn strata_fork(x: Handle, one: Out, other: Out) -> ErrorText;

    pub(super) fn strata_profile_start() -> ErrorText;
    pub(super) fn strata_profile_stop(out: *mut *mut c_char) -> ErrorText;
    pub(super) fn strata_cpu_capability(out: *mut *mut c_char) -> ErrorText;
}

/// The error that a C++ function returned, if any.
///
/// # Safety
/// `text` is null or was returned by C++ and not released yet.
pub(super) unsafe fn check(text: ErrorText) -> Result<()> {
    if text.is_null() {
        return Ok(());
    }
    // SAFETY: by the contract, a text owned by us, released once here.
    Err(TorchError::from_message(&unsafe { take_text(text) }))
}

/// Copies a text that C++ allocated, and releases it.
///
/// # Safety
/// `text` is not null, was returned by C++ and not released yet.
pub(super) unsafe fn take_text(text: *mut c_char) -> String {
    // SAFETY: by the contract, a NUL-terminated string until it is released, which happens after the copy.
    unsafe {
        let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
        strata_free_text(text);
        copy
    }
}

/// Runs a C++ function that hands out a tensor.
///
/// # Safety
/// `call` either returns null and stores an owned `at::Tensor*`, or returns an error text.
pub(super) unsafe fn tensor_from(call: impl FnOnce(Out) -> ErrorText) -> Result<Tensor> {
    let mut out: *mut C_tensor = ptr::null_mut();
    // SAFETY: the text comes from C++; on success `out` is an owned tensor, taken over once.
    unsafe {
        check(call(&mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// Runs a C++ function that hands out two tensors.
///
/// # Safety
/// As [`tensor_from`], for both.
pub(super) unsafe fn two_tensors_from(call: impl FnOnce(Out, Out) -> ErrorText) -> Result<(Tensor, Tensor)> {
    let (mut one, mut other): (*mut C_tensor, *mut C_tensor) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the text comes from C++; on success both are owned tensors, each taken over once.
    unsafe {
        check(call(&mut one, &mut other))?;
        Ok((Tensor::from_ptr(one), Tensor::from_ptr(other)))
    }
}

/// Runs a C++ function that hands out a text.
///
/// # Safety
/// `call` either returns null and stores an owned text, or returns an error text.
pub(super) unsafe fn text_from(call: unsafe extern "C" fn(*mut *mut c_char) -> ErrorText) -> Result<String> {
    let mut out: *mut c_char = ptr::null_mut();
    // SAFETY: the texts come from C++; on success `out` is owned and released once.
    unsafe {
        check(call(&mut out))?;
        Ok(take_text(out))
    }
}

/// The handles of `tensors`, valid as long as these are borrowed.
pub(super) fn handles(tensors: &[Tensor]) -> Vec<Handle> {
    tensors.iter().map(Tensor::as_ptr).collect()
}

/// The greatest number of a GPU: libtorch keeps it in eight bits, and C++ refuses what does not fit.
pub const MAX_GPU: usize = i8::MAX as usize;

/// The number of a device in the C interface, as in torch-sys.
pub(super) fn device_number(device: Device) -> c_int {
    match device {
        Device::Cpu => -1,
        Device::Mps => -2,
        Device::Vulkan => -3,
        Device::Cuda(index) => c_int::try_from(index).unwrap_or(c_int::MAX),
    }
}

/// The handle of a tensor that may be missing.
pub(super) fn or_null(tensor: Option<&Tensor>) -> Handle {
    tensor.map_or(ptr::null(), Tensor::as_ptr)
}

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use super::*;

    /// The numbers that `cpp/abi.h` asserts.
    #[test]
    fn structs_are_laid_out_as_in_cpp() {
        assert_eq!((size_of::<WindowGeometry>(), offset_of!(WindowGeometry, before)), (48, 16));
        assert_eq!(offset_of!(WindowGeometry, out), 32);
        assert_eq!((size_of::<NormHandles>(), offset_of!(NormHandles, mean)), (56, 16));
        assert_eq!(offset_of!(NormHandles, group), 48);
        assert_eq!((size_of::<StepNumbers>(), offset_of!(StepNumbers, step)), (80, 56));
        assert_eq!(offset_of!(StepNumbers, adapt), 72);
        assert_eq!((size_of::<AutocastState>(), offset_of!(AutocastState, cache)), (12, 8));
    }
}
