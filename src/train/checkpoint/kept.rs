//! Weights of single epochs (`train.keep_every`), for studies of the trajectory of training.
//!
//! They are written before the checkpoint of their epoch, so that an epoch that counts has its file. A kill between the two
//! leaves a file of an epoch that is trained again, to the same weights, and written again.

use super::CheckpointError;
use crate::files::{make_folder, write_atomic};
use crate::model::write_tensors;
use std::fs;
use std::path::{Path, PathBuf};
use tch::Tensor;

/// The folder of a run's kept weights.
const FOLDER: &str = "weights";
const ENDING: &str = ".safetensors";

/// Writes `weights/epoch-NNNN.safetensors` of a run.
///
/// # Errors
/// When the file cannot be written.
pub(in crate::train) fn keep_weights(
    run: &Path,
    epoch: usize,
    tensors: &[(String, Tensor)],
) -> Result<(), CheckpointError> {
    let folder = run.join(FOLDER);
    make_folder(&folder).map_err(CheckpointError::io("make", &folder))?;
    Ok(write_tensors(&folder.join(format!("epoch-{epoch:04}{ENDING}")), tensors)?)
}

/// Copies the weights that a run kept to another.
///
/// # Errors
/// When a file cannot be read or written.
pub(in crate::train) fn copy_kept_weights(from: &Path, to: &Path) -> Result<(), CheckpointError> {
    for (_, path) in kept_weights(from) {
        let copy = to.join(FOLDER).join(path.file_name().unwrap_or_default());
        make_folder(&to.join(FOLDER)).map_err(CheckpointError::io("make", &copy))?;
        let bytes = fs::read(&path).map_err(CheckpointError::io("read", &path))?;
        write_atomic(&copy, &bytes).map_err(CheckpointError::io("write", &copy))?;
    }
    Ok(())
}

/// The epochs whose weights a run kept, ascending, with their files; 0 is the start.
pub fn kept_weights(run: &Path) -> Vec<(usize, PathBuf)> {
    let entries = fs::read_dir(run.join(FOLDER)).into_iter().flatten().flatten();
    let epoch = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        let epoch = name.strip_prefix("epoch-")?.strip_suffix(ENDING)?.parse().ok()?;
        Some((epoch, path))
    };
    let mut kept: Vec<(usize, PathBuf)> = entries.filter_map(|entry| epoch(entry.path())).collect();
    kept.sort();
    kept
}
