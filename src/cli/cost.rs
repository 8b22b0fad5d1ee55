//! `strata cost FILE…`

use super::{Done, Shared, Usage, description, print};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table, presets};
use strata::arch::{Cost as Counts, Network};
use strata::runs::{csv_cell, markdown_cell};

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

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    Table,
    Csv,
    Markdown,
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
    print(&render(command.format, header, &lines)?)?;
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

/// A table for people, for programs or for a page.
pub(crate) fn render(format: Format, header: &[&str], lines: &[Vec<String>]) -> Result<String> {
    if let Format::Csv = format {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(header)?;
        for line in lines {
            writer.write_record(line.iter().map(|cell| csv_cell(cell).into_owned()))?;
        }
        return Ok(String::from_utf8(writer.into_inner()?)?);
    }
    // A key is no number, not even where it happens to have digits alone.
    let is_number = |index: usize, text: &str| is_count(text) && header.get(index).is_none_or(|name| *name != "key");
    let written = |(index, text): (usize, &String)| match format {
        _ if is_number(index, text) => grouped(text),
        Format::Markdown => markdown_cell(text),
        _ => text.clone(),
    };
    let mut table = Table::new();
    table.load_style(if let Format::Markdown = format { presets::ASCII_MARKDOWN } else { presets::NOTHING });
    table.set_header(header.iter().map(|name| match format {
        Format::Markdown => markdown_cell(name),
        _ => (*name).to_owned(),
    }));
    for line in lines {
        table.add_row(line.iter().enumerate().map(written).collect::<Vec<_>>());
    }
    for index in 0..header.len() {
        let numbers =
            lines.iter().filter_map(|line| line.get(index)).all(|text| text.is_empty() || is_number(index, text));
        if let (true, Some(column)) = (numbers, table.column_mut(index)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    Ok(format!("{table}\n"))
}

/// A count with its digits in groups of three; any other text as it is.
pub(crate) fn grouped(text: &str) -> String {
    strata::runs::grouped(text, ' ')
}

fn is_count(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}
