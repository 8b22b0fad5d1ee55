//! `strata convert IN -o OUT`

use super::{Done, Shared, Usage, wrote};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use std::collections::BTreeMap;
use std::path::PathBuf;
use strata::arch::Network;
use strata::export::Library;
use strata::files::write_output;
use strata::model::{read_tensors, tensor_bytes};
use tch::Tensor;

/// Convert weights between files and between the parameter names of libraries
///
/// Reads safetensors, and .pth and .pt files of plain tensors; writes safetensors. Without --from and --to the names stay as they
/// are.
#[derive(Args)]
#[command(after_help = "Examples:
  strata convert r18.pth -o r18.safetensors
  strata convert b0.safetensors -o ours.safetensors --from timm --network imagenet/efficientnet_b0
  strata convert weights.safetensors -o timm.safetensors --to timm --network imagenet/mobilenet_v2")]
pub(crate) struct Convert {
    /// File of weights
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// File to write
    #[arg(short, long, value_name = "OUT.safetensors")]
    output: PathBuf,
    /// Library whose parameter names the file uses [default: torchvision, as Strata does]
    #[arg(long, value_name = "LIBRARY", requires = "network")]
    from: Option<Name>,
    /// Library whose parameter names to write [default: torchvision, as Strata does]
    #[arg(long, value_name = "LIBRARY", requires = "network")]
    to: Option<Name>,
    /// The experiment file with the network
    #[arg(long, value_name = "FILE")]
    network: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    Torchvision,
    Timm,
    /// lukemelas's efficientnet_pytorch
    EfficientnetPytorch,
    /// facenet_pytorch's InceptionResnetV1; its embedding and classifier become one linear layer
    Facenet,
}

impl Name {
    fn library(self) -> Option<Library> {
        match self {
            Name::Torchvision => None,
            Name::Timm => Some(Library::Timm),
            Name::EfficientnetPytorch => Some(Library::EfficientNetPytorch),
            Name::Facenet => Some(Library::Facenet),
        }
    }
}

pub(crate) fn run(command: &Convert, shared: &Shared) -> Result<Done> {
    if command
        .output
        .extension()
        .is_some_and(|ending| ["pth", "pt", "bin", "ckpt", "onnx", "h5"].iter().any(|other| ending == *other))
    {
        let named = command.output.with_extension("safetensors");
        bail!(Usage(format!("convert writes safetensors: name the file {}", named.display())));
    }
    let mut tensors = read_tensors(&command.input)?;
    if let Some(file) = &command.network {
        let mut plan = super::description(file, &shared.set, None)?.network.plan.clone();
        plan.classes = classes(&tensors).unwrap_or(plan.classes);
        let network = Network::inference(plan).map_err(|error| Usage(error.to_string()))?;
        let [from, to] = [command.from, command.to].map(|name| name.and_then(Name::library));
        if let Some(library) = from {
            tensors = library.read(&network, tensors)?;
        }
        if let Some(library) = to {
            tensors = library.write(&network, tensors)?;
        }
    } else if !shared.set.is_empty() {
        bail!(Usage("--set changes a key of the experiment that --network names".to_owned()));
    }
    let listed: Vec<(String, Tensor)> = tensors.into_iter().collect();
    let bytes = tensor_bytes(&listed)?;
    write_output(&command.output, &bytes).with_context(|| format!("cannot write {}", command.output.display()))?;
    wrote(&command.output);
    Ok(Done::Well)
}

/// The number of classes that the classifier in a file has, by the names that the libraries give it.
fn classes(tensors: &BTreeMap<String, Tensor>) -> Option<usize> {
    const CLASSIFIERS: [&str; 9] =
        ["fc", "_fc", "head.fc", "logits", "classifier", "classifier.1", "classifier.6", "last_linear", "head"];
    let bias = CLASSIFIERS.iter().find_map(|layer| tensors.get(&format!("{layer}.bias")))?;
    usize::try_from(*bias.size().first()?).ok()
}
