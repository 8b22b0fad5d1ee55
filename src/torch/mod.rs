//! What tch leaves out of libtorch, and the only `unsafe` of the project: everything public here is safe to call.
//!
//! | file | idea |
//! | --- | --- |
//! | `cpp/`, `ffi` | the C++ side, a unit an idea, and its declarations |
//! | [`error`](TorchError) | C++ errors and tch panics as one-line errors |
//! | [`Autocast`] | mixed precision as a guard |
//! | [`memory format`](channels_last) | channels_last tensors and parameters |
//! | `cpp/kernels/`, [`fused`] | operations fused forward and backward |
//! | [`optim`] | fused optimizer steps, moving averages |
//! | [`grad`] | reading, clearing, clipping and checking gradients |
//! | [`ProcessGroup`] | processes that add up their tensors: c10d's store and Gloo |
//! | [`GradientBuckets`] | their gradients, added up while the backward pass runs |
//! | [`Graph`] | kernels of a GPU recorded and launched at once |
//! | [`cuda`] | CUDA found at run time, in a program that starts without it |
//! | `cpp/threads.cpp`, [`start_threads`] | the threads that operations are divided among |
//! | `cpp/memory.cpp`, [`keep_memory`] | memory of large tensors, kept for others of any size |
//! | [`pictures`] | loops over pixels, for decoding and resampling images |
//! | `process` | exit without destructors, fork, SIGUSR1 |
//! | [`context`] | process-wide switches, versions, memory, synchronization |
//!
//! Tensors are taken by shared reference even where they are changed in place: a [`tch::Tensor`] is a counted reference
//! to storage that others may hold as well, so `&mut` would promise nothing. `Tensor` is not `Sync`, which rules out
//! races.

#![allow(unsafe_code)]

mod abi;
mod autocast;
mod buckets;
pub mod context;
pub mod cuda;
mod error;
mod ffi;
pub mod fused;
pub mod grad;
mod graph;
mod memory_format;
#[cfg(test)]
mod misuse_tests;
pub mod optim;
pub mod pictures;
mod process;
mod process_group;
mod profile;
mod threads;

pub use autocast::Autocast;
pub use buckets::GradientBuckets;
pub use context::{
    available_memory_mib, cpu_capability, keep_memory, loaded_version, peak_memory_mib, reset_peak_memory,
    set_deterministic, set_tf32, synchronize, version,
};
pub use error::{Result, TorchError, catch, first_line, throw};
pub use ffi::MAX_GPU;
pub use grad::{all_finite, clip_grad_norm, grads, zero_grad};
pub use graph::Graph;
pub use memory_format::{channels_last, contiguous, images, set_channels_last};
pub use optim::{StepKind, StepNumbers, ema_update, optimizer_step};
pub use process::{block_usr1, exit_at_once, fork, wait_for_usr1};
pub use process_group::{Meeting, ProcessGroup};
pub use profile::{OpTime, Profile};
pub use threads::{MAX_THREADS, ThreadsError, start_threads};
