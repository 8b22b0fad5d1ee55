//! `strata cost FILE…`

use super::table::{Format, show};
use super::{Done, Shared, Usage, description, print};
use anyhow::{Result, bail};
use clap::Args;
use strata::arch::{Cost as Counts, Network};

/// Count the parameters, multiply-adds and activations of networks
///
/// Nothing is trained. Counts are for one image, without auxiliary heads. Multiply-adds (macs) are those of convolutions and
/// linear layers; bias, normalisation, pooling and additions are not counted (torchvision's convention). A paper that counts
/// multiplications and additions separately has twice as many FLOPs. Activations are the outputs of the same layers.
#[derive(Args)]
pub(crate) struct Cost {
    /// Experiment files, or their names
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Print one line per layer
    #[arg(long)]
    layers: bool,
    /// Size of the input instead of the experiment's: channels x height x width, for example 3x224x224. It is not scaled, even
    /// if the experiment scales the resolution
    #[arg(long, value_name = "CxHxW")]
    input: Option<String>,
    /// Number of classes instead of the experiment's
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub(crate) fn run(command: &Cost, shared: &Shared) -> Result<Done> {
    let mut overrides = shared.set.clone();
    let input = command.input.as_deref().map(sides).transpose()?;
    if let Some(classes) = command.classes {
        overrides.push(format!("model.classes={classes}"));
    }
    let read = |file: &String| description(file, &overrides, input);
    let files = command.files.iter().map(read).collect::<Result<Vec<_>>>()?;
    let networks = files.iter().map(|file| (file.name.as_str(), &*file.network));
    let lines: Vec<Vec<String>> = if command.layers {
        networks.flat_map(|(name, network)| layer_lines(name, network)).collect()
    } else {
        networks.map(|(name, network)| network_line(name, network)).collect()
    };
    let header: &[&str] = if command.layers {
        &["network", "layer", "operation", "input", "output", "params", "buffers", "macs", "activations"]
    } else {
        &["network", "input", "classes", "depth", "params", "aux_params", "macs", "activations"]
    };
    print(&show(
        command.format,
        header,
        lines,
        &["aux_params", "buffers", "classes", "input", "depth", "activations"],
    )?)?;
    Ok(Done::Well)
}

/// `3x224x224` as channels, height and width.
pub(super) fn sides(input: &str) -> Result<[usize; 3]> {
    let sides: Option<Vec<usize>> = input.split('x').map(|side| side.parse().ok()).collect();
    match sides.as_deref() {
        Some(&[c, h, w]) => Ok([c, h, w]),
        _ => bail!(Usage(format!("--input takes CxHxW, for example 3x224x224, not `{input}`"))),
    }
}

fn network_line(name: &str, network: &Network) -> Vec<String> {
    let Counts { params, macs, activations, .. } = network.cost();
    let [c, h, w] = network.plan.input;
    vec![
        name.to_owned(),
        format!("{c}x{h}x{w}"),
        network.plan.classes.to_string(),
        network.depth().to_string(),
        params.to_string(),
        network.aux_cost().params.to_string(),
        macs.to_string(),
        activations.to_string(),
    ]
}

fn layer_lines(name: &str, network: &Network) -> Vec<Vec<String>> {
    let line = |layer: &str, op: String, input: String, output: String, cost: Counts| {
        let counts = [cost.params, cost.buffers, cost.macs, cost.activations].map(|count| count.to_string());
        [vec![name.to_owned(), layer.to_owned(), op, input, output], counts.to_vec()].concat()
    };
    let mut lines: Vec<Vec<String>> = network
        .layers()
        .into_iter()
        .map(|(layer, aux)| {
            let op = layer.op.describe() + if aux { " (auxiliary head)" } else { "" };
            line(&layer.name, op, layer.input.to_string(), layer.output.to_string(), layer.cost())
        })
        .collect();
    lines.push(line("total", "without auxiliary heads".to_owned(), String::new(), String::new(), network.cost()));
    lines
}
