//! `strata show FILE`

use super::{Done, Shared, Usage, description, print};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::PathBuf;
use strata::arch::Network;
use strata::config::{Description, Experiment};
use strata::figures::diagram::diagram;
use strata::say;

/// The experiment with every row of the network written out, ready to edit
#[derive(Args)]
pub struct Show {
    /// Experiment file, or its name
    #[arg(value_name = "FILE")]
    file: String,
    /// Draw the network as SVG instead
    #[arg(long, value_name = "FILE.svg")]
    diagram: Option<PathBuf>,
}

pub fn run(command: &Show, shared: &Shared) -> Result<Done> {
    let file = description(&command.file, &shared.set, None)?;
    match &command.diagram {
        Some(path) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
                let (path, folder) = (path.display(), folder.display());
                bail!(Usage(format!("cannot write {path}: there is no folder {folder}")));
            }
            let svg = diagram(&file.network, &file.name);
            strata::files::write_output(path, svg.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
            say(format_args!("wrote {}", path.display()));
        }
        None => print(&file.experiment.as_ref().map_or_else(|| network_alone(&file), written_out))?,
    }
    Ok(Done::Well)
}

/// The experiment as a file that a person goes on from: every row on a line of its own, with the shape it gives.
fn written_out(experiment: &Experiment) -> String {
    let mut root = experiment.to_toml_rows();
    let model = match root.remove("model") {
        Some(toml::Value::Table(model)) => model,
        _ => toml::Table::new(),
    };
    let train = root.remove("train");
    let cost = experiment.network.cost();
    let mut text = format!(
        "# {}: {} parameters, {} multiply-adds, key {}\n\
         # Every row of the network is written out; this file runs to the same key as the one it came from.\n\
         # To vary it, change `name` and edit the rows; what each row gives stands behind it.\n\n",
        experiment.name,
        cost.params,
        cost.macs,
        experiment.key()
    );
    text.push_str(&root.to_string());
    text.push_str(&model_table(model, &experiment.network));
    if let Some(train) = train {
        let table = toml::Table::from_iter([("train".to_owned(), train)]);
        text.push_str(&format!("\n{table}"));
    }
    text
}

/// The network of a file that lacks what training needs.
fn network_alone(file: &Description) -> String {
    let cost = file.network.cost();
    let text = format!(
        "# {}: {} parameters, {} multiply-adds\n\
         # Every row of the network is written out. To train it, the file needs [data] and [train] too.\n",
        file.name, cost.params, cost.macs
    );
    text + &model_table(file.model(), &file.network)
}

/// `[model]` with each row on a line of its own.
fn model_table(mut model: toml::Table, network: &Network) -> String {
    let rows = model.remove("rows");
    let mut text = "\n[model]\n".to_owned();
    for (key, value) in &model {
        text.push_str(&format!("{key} = {}\n", inline(value)));
    }
    text.push_str("rows = [\n");
    let rows = rows.as_ref().and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let lines: Vec<String> = rows.iter().map(|row| format!("  {},", inline(row))).collect();
    let width = lines.iter().map(String::len).filter(|&width| width <= 110).max().unwrap_or(0);
    for (line, row) in lines.iter().zip(&network.rows) {
        text.push_str(&format!("{line:width$}  # {}\n", row.output));
    }
    text.push_str("]\n");
    text
}

/// A value on one line.
fn inline(value: &toml::Value) -> String {
    match value {
        toml::Value::Table(table) => {
            let pairs: Vec<String> = table.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
        }
        toml::Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
