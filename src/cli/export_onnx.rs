//! `strata export onnx RUN_OR_FILE`

use super::cost::sides;
use super::precision::PrecisionArgs;
use super::runs::{TrainedRun, build, is_run, run_of_file};
use super::{Done, Shared, Usage, wrote};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use strata::arch::Network;
use strata::config::Experiment;
use strata::export::onnx;
use strata::files::write_output;
use tch::{Device, Tensor};

/// What `strata export onnx` is asked for.
pub(super) struct OnnxExport<'a> {
    pub runs: &'a [String],
    pub output: Option<&'a Path>,
    pub weights: Option<&'a Path>,
    pub input: Option<&'a str>,
}

pub(super) fn run(command: &OnnxExport, shared: &Shared) -> Result<Done> {
    let [word] = command.runs else {
        bail!(Usage("`strata export onnx` takes one run or experiment file".to_owned()));
    };
    shared.device()?; // starts the threads; what is exported does not depend on the device
    let (experiment, tensors) = network(word, command, shared)?;
    let mut plan = experiment.network.plan.clone();
    plan.input = command.input.map(sides).transpose()?.unwrap_or(plan.input);
    let input = plan.input;
    // Auxiliary heads are only trained with, and may not fit another input.
    let network = Network::inference(plan)
        .map_err(|error| Usage(format!("the network cannot take an input of {input:?}: {error}")))?;
    let bytes = onnx::encode(&network, &tensors, &experiment.name, &metadata(&experiment))?;
    let output = command.output.map_or_else(|| PathBuf::from(format!("{}.onnx", experiment.name)), Path::to_owned);
    write_output(&output, &bytes).with_context(|| format!("cannot write {}", output.display()))?;
    wrote(&output);
    Ok(Done::Well)
}

/// The experiment of a run with its best weights; that of a file with those of `--weights`, else those that training starts
/// from.
fn network(word: &str, command: &OnnxExport, shared: &Shared) -> Result<(Experiment, Vec<(String, Tensor)>)> {
    if command.weights.is_none() && (is_run(word, &shared.results) || run_of_file(word, shared)?.is_some()) {
        let TrainedRun { experiment, model, .. } =
            TrainedRun::load(word, PrecisionArgs::default(), shared, Device::Cpu)?;
        return Ok((experiment, model.named_tensors()));
    }
    let mut experiment = shared.experiment(word)?;
    experiment.network =
        Network::inference(experiment.network.plan.clone()).map_err(|error| Usage(error.to_string()))?.into();
    let mut model = build(&experiment, Device::Cpu)?;
    match command.weights {
        Some(path) => model.load_weights(path)?,
        None => {
            tracing::warn!("note: `{word}` is not a run: its weights are initialised from seed {}", experiment.seed)
        }
    }
    Ok((experiment, model.named_tensors()))
}

/// What a user of the model has to know: how pixels from 0 to 1 are normalised, and the classes by label.
fn metadata(experiment: &Experiment) -> Vec<(&'static str, String)> {
    let normalise = experiment.data.normalisation(experiment.network.plan.input[0]);
    let numbers = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
    let mut entries = vec![("mean", numbers(&normalise.mean)), ("std", numbers(&normalise.std))];
    let known = experiment.data.source.info().class_names;
    let chosen = &experiment.data.classes;
    let classes = if chosen.is_empty() { known.join(",") } else { chosen.join(",") };
    if !classes.is_empty() {
        entries.push(("classes", classes));
    }
    entries
}
