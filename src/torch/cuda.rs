//! CUDA found at run time, by a program that starts without it.
//!
//! The program is linked to libtorch's CPU half alone, so that it starts in a fraction of a second on any machine. The
//! CUDA half is opened when a GPU is asked for. libtorch decides once, at the first CUDA query of the process, whether
//! it has CUDA: call [`load`] or [`load_if_present`] before any other CUDA query, and that includes
//! [`tch::manual_seed`].
//!
//! This has never been run on a machine with a GPU.

use std::ffi::CString;
use std::fmt;
use std::path::Path;
use std::sync::OnceLock;

use super::error::Result;
use super::ffi;

/// What was found when CUDA was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CudaStatus {
    /// CUDA works, on this many devices.
    Available {
        /// The number of GPUs that libtorch sees.
        devices: i64,
    },
    /// No NVIDIA driver on this machine; libtorch's CUDA half was not opened.
    NoDriver,
    /// libtorch's CUDA half is missing or does not load: the loader's own words.
    NotLoaded(String),
    /// CUDA was queried before its half of libtorch was opened, and is off for the life of this process.
    TooLate,
    /// libtorch's CUDA half is there, a GPU it can use is not.
    NoDevice,
}

impl CudaStatus {
    /// Whether tensors can be put on a GPU.
    pub fn is_available(&self) -> bool {
        matches!(self, CudaStatus::Available { .. })
    }
}

impl fmt::Display for CudaStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CudaStatus::Available { devices: 1 } => write!(f, "1 CUDA device"),
            CudaStatus::Available { devices } => write!(f, "{devices} CUDA devices"),
            CudaStatus::NoDriver => write!(f, "no NVIDIA driver found"),
            CudaStatus::NotLoaded(reason) => write!(f, "the CUDA part of libtorch does not load: {reason}"),
            CudaStatus::TooLate => write!(f, "the CUDA part of libtorch was loaded after the first CUDA query"),
            CudaStatus::NoDevice => write!(f, "libtorch finds no usable CUDA device"),
        }
    }
}

/// Opens libtorch's CUDA half, whatever the machine looks like, and returns the outcome: for a user who asked for
/// CUDA. The first call does the work, later ones return its result.
pub fn load() -> CudaStatus {
    static STATUS: OnceLock<CudaStatus> = OnceLock::new();
    STATUS.get_or_init(find).clone()
}

/// [`load`] if this machine has an NVIDIA driver, else [`CudaStatus::NoDriver`] at no cost: for `--device auto`.
pub fn load_if_present() -> CudaStatus {
    let driver = ["/dev/nvidiactl", "/proc/driver/nvidia"].iter().any(|path| Path::new(path).exists());
    if driver { load() } else { CudaStatus::NoDriver }
}

fn find() -> CudaStatus {
    // The real folder of libtorch, not one of links to it: the CUDA half finds its own libraries relative to itself.
    if let Err(error) = open(&Path::new(env!("STRATA_LIBTORCH")).join("libtorch_cuda.so")) {
        return CudaStatus::NotLoaded(error.0);
    }
    if !tch::utils::has_cudart() {
        return CudaStatus::TooLate;
    }
    if tch::Cuda::is_available() {
        CudaStatus::Available { devices: tch::Cuda::device_count() }
    } else {
        CudaStatus::NoDevice
    }
}

/// Opens a shared library with its symbols visible to all, for good.
fn open(library: &Path) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let path = CString::new(library.as_os_str().as_bytes())
        .map_err(|_| super::error::TorchError("the path of libtorch has a NUL in it".into()))?;
    // SAFETY: the path is NUL-terminated. Loading runs the library's initializers: it is libtorch's own, from the
    // folder the program was linked with. The text is taken over by `check`.
    unsafe { ffi::check(ffi::strata_dlopen(path.as_ptr())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_reported_in_the_loaders_words() {
        let error = open(Path::new("/nowhere/libtorch_cuda.so")).unwrap_err();
        assert!(error.0.contains("/nowhere/libtorch_cuda.so"), "{error}");
        assert!(open(Path::new("a\0b")).is_err());
    }

    #[test]
    fn the_status_is_the_same_every_time() {
        let status = load();
        assert_eq!(load(), status);
        assert!(!status.to_string().is_empty());
        assert!(matches!(load_if_present(), CudaStatus::NoDriver) || load_if_present() == status);
    }

    #[test]
    fn a_status_reads_well() {
        assert_eq!(CudaStatus::Available { devices: 2 }.to_string(), "2 CUDA devices");
        assert!(CudaStatus::Available { devices: 1 }.is_available());
        assert!(!CudaStatus::NotLoaded("x".into()).is_available());
    }
}
