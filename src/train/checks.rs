//! Checks before a run starts or resumes.

use super::RunOptions;
use super::error::TrainError;
use crate::config::{Experiment, Precision};
use crate::ranks::RanksError;
use crate::runs::Environment;
use std::path::Path;
use tch::Device;

/// Checks the number of ranks, and that they can train on the device.
///
/// # Errors
/// [`TrainError::Ranks`].
pub(super) fn check_ranks(experiment: &Experiment, options: &RunOptions) -> Result<(), TrainError> {
    let (wanted, world) = (experiment.train.ranks, options.ranks.world());
    if wanted != world {
        let there = if world == 1 { "this is a single process".to_owned() } else { format!("{world} were started") };
        return Err(RanksError::Launcher(format!(
            "train.ranks = {wanted}, but {there}: `torchrun --no-python --nproc-per-node {wanted} strata train …`"
        ))
        .into());
    }
    if world > 1 && options.device.is_cuda() {
        return Err(RanksError::Device.into());
    }
    Ok(())
}

/// Checks that the device can train in the experiment's precision.
///
/// # Errors
/// [`TrainError::Fp16OnCpu`].
pub(super) fn check_precision(experiment: &Experiment, device: Device) -> Result<(), TrainError> {
    let fits = experiment.train.precision != Precision::Fp16 || device.is_cuda();
    fits.then_some(()).ok_or(TrainError::Fp16OnCpu)
}

pub(super) fn device_name(device: Device) -> String {
    format!("{device:?}").to_lowercase()
}

/// Checks that a run was trained on the images that are in the cache now. Runs without a recorded fingerprint pass.
///
/// # Errors
/// [`TrainError::DataChanged`] when the fingerprints differ.
pub fn check_data(run: &Path, dataset: &str, fingerprint: &str) -> Result<(), TrainError> {
    match Environment::read(run) {
        Some(info) if !info.data.is_empty() && info.data != fingerprint => {
            Err(TrainError::DataChanged { name: dataset.to_owned(), run: run.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Checks that a resumed run decodes its image files to the same pixels as before. Runs without a recorded decoder pass.
pub(super) fn check_decoder(run: &Path, before: Option<u32>, now: Option<u32>) -> Result<(), TrainError> {
    match (before, now) {
        (Some(before), Some(now)) if before != now => {
            Err(TrainError::DecoderChanged { run: run.to_owned(), before, now })
        }
        _ => Ok(()),
    }
}
