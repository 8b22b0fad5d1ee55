//! The process-wide side of libtorch: switches, versions, memory and synchronization.

use std::ffi::c_int;
use std::fs;

use tch::Device;

use super::error::Result;
use super::ffi;

/// Keeps freed memory for later tensors instead of returning it to the system. Call it once at the start, before other threads use
/// libtorch. The process stays as large as its tensors were at their peak; the memory of a freed large tensor is reused for tensors of
/// any size.
pub fn keep_memory() {
    // SAFETY: takes and returns nothing; replaces libtorch's CPU allocator, and earlier tensors keep their own deleter.
    unsafe { ffi::strata_keep_memory() }
}

/// Makes libtorch choose algorithms that give the same bits in every run, in cuDNN and oneDNN too. On CPU, results
/// still depend on the number of threads. An op that has no such algorithm warns.
///
/// # Errors
/// Only those of libtorch.
pub fn set_deterministic(on: bool) -> Result<()> {
    // SAFETY: no pointers; the text is taken over by `check`.
    unsafe { ffi::check(ffi::strata_set_deterministic(c_int::from(on))) }
}

/// Lets float32 convolutions and matrix products on CUDA round their inputs to TF32, 10 bits of mantissa. No effect on
/// CPU.
///
/// # Errors
/// Only those of libtorch.
pub fn set_tf32(on: bool) -> Result<()> {
    // SAFETY: no pointers; the text is taken over by `check`.
    unsafe { ffi::check(ffi::strata_set_tf32(c_int::from(on))) }
}

/// The version of libtorch the program was built with, such as `2.13.0`.
pub fn version() -> String {
    // SAFETY: C++ stores an owned text.
    unsafe { ffi::text_from(ffi::strata_version) }.unwrap_or_else(|_| "unknown".into())
}

/// The version of the libtorch that is loaded, which may have been replaced since the build.
pub fn loaded_version() -> String {
    // SAFETY: C++ stores an owned text.
    unsafe { ffi::text_from(ffi::strata_loaded_version) }.unwrap_or_else(|_| "unknown".into())
}

/// The vector instructions that libtorch's CPU kernels use, such as `AVX2`.
pub fn cpu_capability() -> String {
    // SAFETY: C++ stores an owned text.
    unsafe { ffi::text_from(ffi::strata_cpu_capability) }.unwrap_or_else(|_| "unknown".into())
}

/// Waits until all work given to `device` is done, for honest timing. Nothing to do on CPU.
///
/// # Errors
/// If the device is not there, or work on it failed.
pub fn synchronize(device: Device) -> Result<()> {
    // SAFETY: no pointers; the text is taken over by `check`.
    unsafe { ffi::check(ffi::strata_synchronize(ffi::device_number(device))) }
}

/// The most memory used so far, in MiB, since the start or [`reset_peak_memory`]: of the process for the CPU, of
/// libtorch's allocator for a GPU. `None` where neither is known.
pub fn peak_memory_mib(device: Device) -> Option<f64> {
    if device == Device::Cpu {
        return high_water_mark(&fs::read_to_string("/proc/self/status").ok()?);
    }
    let mut bytes: i64 = 0;
    // SAFETY: `bytes` is a valid place; the text is taken over by `check`.
    unsafe { ffi::check(ffi::strata_peak_memory(ffi::device_number(device), &mut bytes)) }.ok()?;
    Some(bytes as f64 / (1024.0 * 1024.0))
}

/// Memory that is free, or that the system can free without swapping, in MiB; `None` where the system does not say.
pub fn available_memory_mib() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib / 1024)
}

/// Starts [`peak_memory_mib`] anew from what is in use now; on CPU, memory that is kept for later tensors is returned to the system
/// first. Returns whether that was possible.
pub fn reset_peak_memory(device: Device) -> bool {
    if device == Device::Cpu {
        // SAFETY: takes and returns nothing; only memory that no tensor uses is unmapped.
        unsafe { ffi::strata_release_memory() };
        // 5 resets the high-water mark, see proc_pid_clear_refs(5).
        return fs::write("/proc/self/clear_refs", "5").is_ok();
    }
    // SAFETY: no pointers; the text is taken over by `check`.
    unsafe { ffi::check(ffi::strata_reset_peak_memory(ffi::device_number(device))) }.is_ok()
}

/// The line `VmHWM:   123456 kB` of a process status, in MiB.
fn high_water_mark(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use std::process::Command;
    use tch::{Kind, Tensor};

    #[test]
    fn versions_are_known() {
        let version = version();
        assert!(version.starts_with("2."), "{version}");
        assert_eq!(loaded_version(), version);
        assert!(!cpu_capability().is_empty());
    }

    #[test]
    fn switches_switch() {
        // Ends with determinism on, which tests running beside this one may count on.
        for on in [false, true] {
            set_deterministic(on).unwrap();
            set_tf32(on).unwrap();
        }
    }

    /// A tensor of so many KiB whose elements are all `value`.
    fn filled(kib: i64, value: i64) -> Tensor {
        Tensor::full([kib * 256], value, (Kind::Int, Device::Cpu))
    }

    /// Runs an ignored test of this module in a process of its own, which no other test shares the allocator and the peak of.
    fn in_own_process(test: &str) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &format!("torch::context::tests::{test}"), "--ignored", "--nocapture"]);
        let ran = command.output().unwrap();
        let out = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && out.contains("1 passed"), "{out}{}", String::from_utf8_lossy(&ran.stderr));
    }

    #[test]
    fn kept_memory_is_shared_without_overlap_and_does_not_grow() {
        in_own_process("tensors_of_random_sizes");
        in_own_process("tensors_of_growing_sizes");
    }

    #[test]
    #[ignore = "part of kept_memory_is_shared_without_overlap_and_does_not_grow"]
    fn tensors_of_random_sizes() {
        keep_memory();
        let mut tensors: Vec<(Tensor, i64)> = Vec::new();
        let is_filled = |tensor: &Tensor, value: i64| bool::try_from(tensor.eq(value).all()).unwrap();
        for step in 0..400 {
            let choice = |index: u64, choices: f64| (random::uniform(step, index) * choices) as usize;
            if tensors.len() > choice(0, 24.0) {
                let (tensor, value) = tensors.swap_remove(choice(1, tensors.len() as f64));
                assert!(is_filled(&tensor, value), "step {step}");
            } else {
                // Up to 12 MiB: smaller and larger than the 2 MiB from which memory.cpp allocates.
                tensors.push((filled(choice(2, 12.0 * 1024.0) as i64 + 1, step as i64), step as i64));
            }
        }
        assert!(tensors.iter().all(|(tensor, value)| is_filled(tensor, *value)), "at the end");
    }

    #[test]
    #[ignore = "part of kept_memory_is_shared_without_overlap_and_does_not_grow"]
    fn tensors_of_growing_sizes() {
        keep_memory();
        // 128 MiB at a time, in ever larger tensors, between which a little stays where it is.
        let small: Vec<(Tensor, Tensor)> = (0..32).map(|index| (filled(4 * 1024, index), filled(64, index))).collect();
        let before = peak_memory_mib(Device::Cpu).unwrap();
        let mut kept: Vec<Tensor> = small.into_iter().map(|(_, kept)| kept).collect();
        for count in [16, 8, 4, 2, 1] {
            let larger: Vec<(Tensor, Tensor)> =
                (0..count).map(|index| (filled(128 * 1024 / count, index), filled(64, index))).collect();
            kept.extend(larger.into_iter().map(|(_, kept)| kept));
        }
        let grown = peak_memory_mib(Device::Cpu).unwrap() - before;
        assert!(grown < 16.0, "128 MiB of tensors grew by {grown} MiB");
    }

    #[test]
    fn a_new_peak_does_not_count_freed_tensors() {
        in_own_process("freed_before_the_peak_was_reset");
    }

    #[test]
    #[ignore = "part of a_new_peak_does_not_count_freed_tensors"]
    fn freed_before_the_peak_was_reset() {
        keep_memory();
        let small = filled(1024, 1);
        drop((filled(192 * 1024, 1), (0..64).map(|index| filled(1024, index)).collect::<Vec<_>>()));
        let before = peak_memory_mib(Device::Cpu).unwrap();
        assert!(reset_peak_memory(Device::Cpu));
        let fallen = before - peak_memory_mib(Device::Cpu).unwrap();
        assert!(fallen > 240.0, "256 MiB were freed, the peak fell by {fallen} MiB");
        drop(small);
    }

    #[test]
    fn memory_is_measured() {
        let peak = peak_memory_mib(Device::Cpu).unwrap();
        assert!(peak > 10.0 && peak < 1e7, "{peak}");
        assert_eq!(peak_memory_mib(Device::Cuda(0)), None);
        assert!(!reset_peak_memory(Device::Cuda(0)));
        assert_eq!(high_water_mark("VmPeak:\t 9 kB\nVmHWM:\t    2048 kB\n"), Some(2.0));
        assert_eq!(high_water_mark("nothing"), None);
    }

    #[test]
    fn synchronizing_the_cpu_is_nothing() {
        synchronize(Device::Cpu).unwrap();
    }
}
