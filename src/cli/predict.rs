//! `strata predict RUN_OR_FILE`

use super::epoch_table::percent;
use super::precision::{PrecisionArgs, precision};
use super::runs::{TrainedRun, build, find, is_run, run_of_file};
use super::table::{Format, render};
use super::{Done, Shared, Usage, locate, print};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::PathBuf;
use strata::arch::Network;
use strata::config::{Experiment, Precision};
use strata::data::{self, Batch, Images};
use strata::files::write_output;
use strata::model::{Model, WeightsError, read_tensors, tensor_bytes};
use strata::torch::{Autocast, catch};
use tch::{Device, Kind, Tensor};

/// Predict the classes of images with a trained network, or write its logits for a tensor
///
/// Prints the most probable classes of image files, or with --input and --output writes the logits of a tensor.
#[derive(Args)]
#[command(after_help = "Examples:
  strata predict googlenet shoe.png
  strata predict mine photos/ --top 1 --format csv > predictions.csv
  strata predict imagenet/resnet18 --weights r18.safetensors dog.jpg")]
pub(crate) struct Predict {
    /// A run (a folder, NAME, NAME/KEY, NAME@latest or NAME@best), or an experiment file together with --weights
    #[arg(value_name = "RUN_OR_FILE")]
    network: String,
    /// JPEG, PNG, WebP or BMP images, or folders: all images in them and in the folders below
    #[arg(value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Load these weights, stored under the network's parameter names
    #[arg(long, value_name = "W.safetensors")]
    weights: Option<PathBuf>,
    /// Read the images from a tensor `input` [N, C, H, W], already normalised, of any size that the network accepts
    #[arg(long, value_name = "X.safetensors", requires = "output", conflicts_with = "images")]
    input: Option<PathBuf>,
    /// Write the tensor `logits` [N, classes] to this file
    #[arg(long, value_name = "Y.safetensors", requires = "input")]
    output: Option<PathBuf>,
    /// Number of classes to print per image
    #[arg(long, value_name = "N", default_value_t = 5)]
    top: usize,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table, conflicts_with = "output")]
    format: Format,
    /// Precision to compute in
    #[arg(long, value_parser = precision(), default_value = "fp32")]
    precision: Precision,
}

pub(crate) fn run(command: &Predict, shared: &Shared) -> Result<Done> {
    check_network(command, shared)?;
    if command.images.is_empty() && command.input.is_none() {
        bail!(Usage("predict needs images, or --input and --output".to_owned()));
    }
    let images = images(&command.images)?;
    let device = shared.device()?;
    let bf16 = command.precision == Precision::Bf16;
    match (&command.input, &command.output) {
        (Some(input), Some(output)) => logits(command, shared, device, bf16, input, output),
        _ => classes(command, &images, shared, device, bf16),
    }
}

/// Whether there is such a run, or such a file with --weights: said before what is wrong with the images.
fn check_network(command: &Predict, shared: &Shared) -> Result<()> {
    let name = &command.network;
    match &command.weights {
        Some(_) => drop(locate(name)?),
        None if !is_run(name, &shared.results) && run_of_file(name, shared)?.is_none() && locate(name).is_ok() => {
            let error = find(name, shared).err().map_or_else(String::new, |error| error.to_string());
            bail!(Usage(format!("{error}, or give --weights W.safetensors")))
        }
        None => drop(find(name, shared)?),
    }
    Ok(())
}

/// The files that the command line names, and for a folder the images in it.
fn images(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let inside = data::image_files(path)?;
        if inside.is_empty() {
            let folder = path.display();
            bail!(Usage(format!(
                "there is no image in {folder} or below it: no .jpg, .jpeg, .png, .webp or .bmp file"
            )));
        }
        files.extend(inside);
    }
    Ok(files)
}

/// The network with its weights, built for an input of `[C, H, W]` if that differs from the experiment's.
fn network(command: &Predict, shared: &Shared, device: Device, input: Option<[i64; 3]>) -> Result<(Experiment, Model)> {
    let (mut experiment, weights) = match &command.weights {
        None => {
            let TrainedRun { experiment, model, .. } =
                TrainedRun::load(&command.network, PrecisionArgs::default(), shared, device)?;
            let tensors = model.named_tensors();
            if input.is_none_or(|input| input == experiment.network.plan.input.map(|side| side as i64)) {
                return Ok((experiment, model));
            }
            (experiment, Some(tensors))
        }
        Some(_) => (shared.experiment(&command.network)?, None),
    };
    let mut plan = experiment.network.plan.clone();
    if let Some(input) = input {
        plan.input = input.map(|side| side as usize);
    }
    let input = plan.input;
    // Auxiliary heads are only trained with, and files of trained weights often lack them.
    let network = Network::inference(plan)
        .map_err(|error| Usage(format!("the network cannot take an input of {input:?}: {error}")))?;
    experiment.network = network.into();
    let mut model = build(&experiment, device)?;
    match (&command.weights, weights) {
        (Some(path), _) => model.load_weights(path)?,
        (None, Some(tensors)) => model.copy_weights(&tensors)?,
        (None, None) => {}
    }
    Ok((experiment, model))
}

fn forward(model: &Model, pixels: &Tensor, bf16: bool) -> Result<Tensor> {
    let _no_grad = tch::no_grad_guard();
    Ok(catch(|| {
        let _autocast = Autocast::bf16_if(bf16, model.device());
        model.forward(pixels, false).logits
    })?)
}

fn logits(
    command: &Predict,
    shared: &Shared,
    device: Device,
    bf16: bool,
    input: &std::path::Path,
    output: &std::path::Path,
) -> Result<Done> {
    let mut tensors = read_tensors(input)?;
    let Some(pixels) = tensors.remove("input") else {
        bail!(Usage(format!("{} has no tensor called `input`", input.display())));
    };
    let [_, c, h, w] = pixels.size()[..] else {
        bail!(Usage(format!("`input` has shape {:?}; it must be [N, C, H, W]", pixels.size())));
    };
    if pixels.numel() == 0 {
        bail!(Usage(format!("`input` has shape {:?}: there is no image in it", pixels.size())));
    }
    let (_, model) = network(command, shared, device, Some([c, h, w]))?;
    let pixels = pixels.to_kind(Kind::Float).to_device(device);
    // In batches, so that memory does not grow with the number of images.
    let pieces: Vec<Tensor> =
        pixels.split(64, 0).iter().map(|piece| forward(&model, piece, bf16)).collect::<Result<_>>()?;
    let bytes = tensor_bytes(&[("logits".to_owned(), Tensor::cat(&pieces, 0))])?;
    let failed = |error: std::io::Error| WeightsError::Write { path: output.to_owned(), reason: error.to_string() };
    write_output(output, &bytes).map_err(failed)?;
    super::wrote(output);
    Ok(Done::Well)
}

fn classes(command: &Predict, images: &[PathBuf], shared: &Shared, device: Device, bf16: bool) -> Result<Done> {
    let (experiment, model) = network(command, shared, device, None)?;
    let shape = experiment.network.plan.input;
    let normalise = experiment.data.normalisation(shape[0]);
    let source = &experiment.data.source;
    let names = match experiment.data.classes.is_empty() {
        true => data::cache_dir()
            .map_or_else(|_| Vec::new(), |cache| source.class_names(&data::folder(source.info().name, &cache))),
        false => experiment.data.classes.clone(),
    };
    let mut lines = Vec::new();
    for path in images {
        let pixels = data::decode(path, shape)?;
        let images = Images::new(shape, pixels, vec![0]);
        let mut batch = Batch::default();
        batch.fill_eval(&images, 0..1, &normalise)?;
        let (pixels, _) = strata::train::tensors(&batch, device);
        let probabilities = forward(&model, &pixels, bf16)?.softmax(1, Kind::Float).squeeze_dim(0);
        let top = command.top.clamp(1, experiment.network.plan.classes) as i64;
        let (values, indices) = probabilities.topk(top, 0, true, true);
        for rank in 0..top {
            let class = indices.int64_value(&[rank]) as usize;
            let name = names.get(class).cloned().unwrap_or_else(|| format!("class {class}"));
            let (file, probability) = (path.display().to_string(), values.double_value(&[rank]));
            let probability = match command.format {
                Format::Csv => format!("{probability:.4}"),
                _ => percent(probability),
            };
            lines.push(vec![file, (rank + 1).to_string(), name, probability]);
        }
    }
    let table = render(command.format, &["image", "rank", "class", "probability"], &lines).context("cannot print")?;
    print(&table)?;
    if experiment.train.precision == Precision::Bf16 && !bf16 {
        tracing::debug!("the run was trained in bf16; predictions are computed in fp32");
    }
    Ok(Done::Well)
}
