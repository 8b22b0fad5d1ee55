//! `strata show FILE`

use super::{Done, Shared, Usage, description, print, write_picture, wrote};
use anyhow::{Context, Result, bail};
use clap::Args;
use strata::arch::Network;
use strata::arch::node::walk;
use strata::config::{Description, Experiment, nearest};
use strata::data::cache_dir;
use strata::figures::AugmentationGrid;
use strata::figures::diagram::{block_diagram, diagram, example, row_name};
use strata::figures::picture::PictureFile;
use strata::files::write_output;
use strata::train::Splits;

/// Print an experiment with every row of the network written out, ready to edit; or draw its diagram
#[derive(Args)]
#[command(after_help = "Examples:
  strata show resnet50                                          every row, to be edited
  strata show resnet50 --diagram resnet50.pdf                   the network on a slide
  strata show resnet50 --block layer2 --diagram layer2.png      the blocks of one row
  strata show --block mbconv --diagram mbconv.svg               a kind of block by itself
  strata show resnet20 --augment grid.png                       training images as eight epochs see them")]
pub(crate) struct Show {
    /// Experiment file, or its name
    #[arg(value_name = "FILE", required_unless_present = "block")]
    file: Option<String>,
    /// Draw the network instead, to a .svg, .png or .pdf file; - is SVG on standard output. Repeatable
    #[arg(long, value_name = "PICTURE", group = "picture")]
    diagram: Vec<PictureFile>,
    /// Draw one row only, given by its name or its number from 1; without FILE, an example of a block such as mbconv
    #[arg(long, value_name = "ROW", requires = "diagram")]
    block: Option<String>,
    /// Draw eight training images, each as it is and as eight epochs see it, to a .svg or .png file; - is SVG on standard output
    #[arg(long, value_name = "PICTURE", requires = "file", group = "picture")]
    augment: Option<PictureFile>,
    /// Title of the picture [default: `title` of the file, else its name]
    #[arg(long, value_name = "TEXT", requires = "picture")]
    title: Option<String>,
    /// Leave out the frame and the background of the diagram
    #[arg(long, requires = "diagram")]
    transparent: bool,
}

pub(crate) fn run(command: &Show, shared: &Shared) -> Result<Done> {
    let read = |file: &str| description(file, &shared.set, None);
    if let Some(path) = &command.augment {
        let file = read(command.file.as_deref().unwrap_or_default())?;
        return draw_augmented(&file, path, command.title.as_deref());
    }
    if command.diagram.is_empty() {
        let file = read(command.file.as_deref().unwrap_or_default())?;
        print(&file.experiment.as_ref().map_or_else(|| network_alone(&file), written_out))?;
        return Ok(Done::Well);
    }
    let title = command.title.as_deref();
    let svg = match (&command.file, &command.block) {
        (Some(file), None) => {
            let file = read(file)?;
            diagram(&file.network, title.unwrap_or(&file.title))
        }
        (Some(file), Some(row)) => draw_row(&read(file)?, row, title)?,
        (None, block) => {
            let op = block.as_deref().unwrap_or_default();
            let network = example(op).map_err(|error| Usage(error.to_string()))?;
            block_diagram(&network, 0, title)
        }
    };
    command.diagram.iter().try_for_each(|path| write_picture(path, &svg, command.transparent))?;
    Ok(Done::Well)
}

/// Draws the first training images of an experiment as they are augmented.
fn draw_augmented(file: &Description, path: &PictureFile, title: Option<&str>) -> Result<Done> {
    if path.is_pdf() {
        bail!(Usage("augmented images are drawn to a .svg or .png file, or - for SVG on standard output".to_owned()));
    }
    let Some(experiment) = &file.experiment else {
        bail!(Usage(format!("{} lacks keys that training needs: there are no images to augment", file.name)));
    };
    let splits = Splits::load(experiment, &cache_dir()?)?;
    let shape = experiment.network.plan.input;
    let (images, normalise) = (splits.train.take(8).resized(shape), experiment.data.normalisation(shape[0]));
    let augment = &experiment.data.augment;
    let grid = AugmentationGrid::new(&images, &normalise, augment, experiment.seed)?;
    if path.is_png() {
        write_output(path.path(), &grid.png()).with_context(|| format!("cannot write {}", path.path().display()))?;
        wrote(path.path());
    } else {
        let table = toml::Table::try_from(augment).unwrap_or_default();
        let keys = inline(&toml::Value::Table(table));
        write_picture(path, &grid.svg(title.unwrap_or(&file.name), &keys), false)?;
    }
    Ok(Done::Well)
}

/// A row of an experiment by its name, by its number, or the first of an operation.
fn draw_row(file: &Description, row: &str, title: Option<&str>) -> Result<String> {
    let rows = &file.network.rows;
    let numbered = row.parse().ok().filter(|number| (1..=rows.len()).contains(number)).map(|number: usize| number - 1);
    let mut named = rows.iter().position(|known| known.label == row);
    for (index, known) in rows.iter().enumerate() {
        // Also a layer or a block inside of the row: `layer1.0`, `features.5`.
        walk(&known.nodes, false, &mut |layer, _| {
            if layer.name.strip_prefix(row).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
                named.get_or_insert(index);
            }
        });
    }
    let Some(index) = named.or(numbered).or_else(|| rows.iter().position(|known| known.op == row)) else {
        let names: Vec<String> = rows.iter().map(row_name).collect();
        let known: Vec<&str> = names.iter().map(String::as_str).chain(rows.iter().map(|row| row.op)).collect();
        let hint = match nearest(row, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("its rows are {}", names.join(", ")),
        };
        bail!(Usage(format!("{} has no row `{row}`; {hint}", file.name)));
    };
    let own = format!("{}: {}", file.title, row_name(&rows[index]));
    Ok(block_diagram(&file.network, index, Some(title.unwrap_or(&own))))
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
         # To vary it, change `name` and edit the rows; the output of each row is in the comment after it.\n\n",
        experiment.name,
        cost.params,
        cost.macs,
        experiment.key()
    );
    text.push_str(&root.to_string());
    text.push_str(&model_table(model, &experiment.network));
    text.push_str("\n[train]\n");
    for (key, value) in train.iter().filter_map(toml::Value::as_table).flatten() {
        let comment = if key == "precision" { PRECISION } else { "" };
        text.push_str(&format!("{key} = {}{comment}\n", inline(value)));
    }
    text
}

/// The key decides the result, so that it is written as what `auto` came to.
const PRECISION: &str = "  # \"auto\" is bf16 on processors that compute it natively, fp32 on others";

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
        toml::Value::Float(number) if *number != 0.0 && number.abs() < 1e-4 => format!("{number:e}"),
        other => other.to_string(),
    }
}
