//! What the fuzz targets do with their input, one file a target. `tests/fuzz.rs` does the same with the corpora that are
//! kept, so that `make test` holds every one of them without a nightly toolchain.
//!
//! Each `read` panics where a reader does, and where what a reader took in does not come back equal from its own writer.

pub(crate) mod checkpoint;
pub(crate) mod experiment;
pub(crate) mod idx;
pub(crate) mod tables;
pub(crate) mod torch_file;
