//! The number of threads that libtorch, oneDNN and our kernels divide their work among.
//!
//! The threads themselves are those of `cpp/threads.cpp`, which replaces libgomp. On the CPU the number is part of what
//! decides a result's last digits, since sums are divided by it.

use crate::input_error::IsInputError;
use std::num::NonZero;
use std::thread::available_parallelism;

use super::{TorchError, ffi};

/// The most threads that can be asked for.
pub const MAX_THREADS: usize = 1024;

/// Why threads could not be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThreadsError {
    #[error("{count} threads are more than OMP_THREAD_LIMIT={limit} allows; lower the number or unset the variable")]
    OverLimit { count: usize, limit: usize },
    #[error("cannot start {count} threads: {reason}; take fewer (--threads), or raise the limit (ulimit -u)")]
    NotStarted { count: usize, reason: TorchError },
}

impl IsInputError for ThreadsError {}

/// Starts `count` threads for the operations that the calling thread runs, or without a count as many as
/// `OMP_NUM_THREADS` says or there are cores, but no more than `OMP_THREAD_LIMIT` allows. Returns their number.
///
/// Exactly that many take part in every operation: `OMP_DYNAMIC` has no effect.
///
/// # Errors
/// [`ThreadsError`]; operations may then not be called.
pub fn start_threads(count: Option<usize>) -> Result<usize, ThreadsError> {
    let variable = |name| std::env::var(name).ok().and_then(|text| leading_number(&text));
    let limit = variable("OMP_THREAD_LIMIT");
    let count = match (count, limit) {
        (Some(count), Some(limit)) if count > limit => return Err(ThreadsError::OverLimit { count, limit }),
        (Some(count), _) => count,
        (None, limit) => {
            let cores = available_parallelism().map_or(1, NonZero::get);
            variable("OMP_NUM_THREADS").unwrap_or(cores).min(limit.unwrap_or(MAX_THREADS))
        }
    };
    let count = count.clamp(1, MAX_THREADS);
    let number = i32::try_from(count).unwrap_or(i32::MAX);
    // SAFETY: takes a number; the text is taken over by `check`.
    unsafe { ffi::check(ffi::strata_start_threads(number)) }
        .map_err(|reason| ThreadsError::NotStarted { count, reason })?;
    tch::set_num_threads(number);
    Ok(count)
}

/// The first of a list such as `4,2`, which OpenMP's variables may hold. 0 and anything but a number count as unset, as in libgomp.
fn leading_number(text: &str) -> Option<usize> {
    text.split(',').next()?.trim().parse().ok().filter(|&number| number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    /// Whether the dynamic linker resolves libtorch's calls to `cpp/threads.cpp`.
    #[test]
    fn libtorch_runs_on_these_threads() {
        tch::set_num_threads(2);
        // SAFETY: takes and returns numbers only.
        let regions = || unsafe { ffi::strata_parallel_regions() };
        let before = regions();
        let ones = Tensor::ones([1 << 20], (Kind::Float, Device::Cpu));
        assert_eq!((&ones + &ones).sum(Kind::Double).double_value(&[]), f64::from(1 << 21));
        assert!(regions() > before, "libtorch opened its parallel regions elsewhere");
    }

    /// A function of OpenMP that libtorch finds in libgomp knows nothing of these threads.
    #[test]
    fn everything_that_libtorch_imports_is_here() {
        let library = concat!(env!("STRATA_LIBTORCH"), "/libtorch_cpu.so");
        let output = std::process::Command::new("nm").args(["-D", "--undefined-only", library]).output().unwrap();
        let symbols = String::from_utf8(output.stdout).unwrap();
        let imported = symbols.lines().filter_map(|line| line.split_whitespace().last()?.split('@').next());
        let (mut count, here) = (0, include_str!("cpp/threads.cpp"));
        for name in imported.filter(|name| name.starts_with("GOMP_") || name.starts_with("omp_")) {
            let mutex = name.starts_with("GOMP_critical") || name.starts_with("GOMP_atomic");
            assert!(mutex || name == "omp_get_num_procs" || here.contains(&format!(" {name}(")), "{name}");
            count += 1;
        }
        assert!(count > 10, "{symbols:.200}");
    }

    #[test]
    fn constructs_share_work_out() {
        for threads in [1, 2, 3, 8].into_iter().cycle().take(40) {
            // SAFETY: takes a number; the text is taken over by `check`.
            unsafe { ffi::check(ffi::strata_test_threads(threads)) }.unwrap();
        }
    }

    #[test]
    fn variables_of_openmp_are_read_as_there() {
        assert_eq!(
            ["4", " 3,2 ", "0", "", "-1", "many"].map(leading_number),
            [Some(4), Some(3), None, None, None, None]
        );
    }
}
