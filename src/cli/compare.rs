//! `strata compare PATH…`

use super::cost::Format;
use super::{Done, Shared, Usage, print, write_picture};
use anyhow::{Result, bail};
use clap::Args;
use comfy_table::{CellAlignment, Table as Printed, TableStyle, presets};
use std::io::IsTerminal;
use strata::analysis::collect::{Collection, collect};
use strata::analysis::compare::{Comparison, Request, Where, compare};
use strata::figures::curves::{self, CurveGroup};
use strata::figures::picture::PictureFile;
use strata::runs::Table;
use strata::runs::read_epochs;

/// One table from runs, sweeps and CSV files: what differs, seeds as mean ± standard deviation, differences and noise
///
/// A PATH is a run folder, a folder with runs below it, a sweep folder, a CSV file, a pattern such as
/// 'results/runs/resnet*', or the name of a run, a sweep or a kept result. Without one, everything below the results
/// folder is compared. Rows that differ in nothing but the seed are one line.
#[derive(Args)]
#[command(after_help = "Examples:
  strata compare                                        everything in results/
  strata compare resnet20 plain20 --baseline plain20    is the difference more than noise?
  strata compare degradation --baseline model.shortcut=none
                                                        a sweep; each depth against the plain net of the same depth
  strata compare --where train.lr=0.1 --where 'macs<4e7' --top 10
  strata compare --columns 'train.lr, max val_top1, epoch of max val_top1, final train_loss' --sort -train.lr
  strata compare old.csv new.csv --format markdown      tables from elsewhere, joined on equal column names
  strata compare resnet20 plain20 --plot curves.svg

docs/compare.md tells what the columns and the statistics mean.")]
pub struct Compare {
    /// Run folders, sweep folders, folders of them, CSV files, patterns, names
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// Keep rows with COLUMN=VALUE; operators are = != < <= > >= and ~ for "contains"; repeatable, all must hold
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<String>,
    /// Show these beside what tells the lines apart, divided by commas: names of columns, or max, min, final, first, mean,
    /// `epoch of max`, `epoch of min` of a column of epochs.csv
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    columns: Vec<String>,
    /// Show every column, also those that do not differ
    #[arg(long, conflicts_with = "columns")]
    all: bool,
    /// A line a run instead of a line for all seeds
    #[arg(long, conflicts_with_all = ["by", "baseline"])]
    runs: bool,
    /// Make groups by these columns alone, divided by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    by: Vec<String>,
    /// Differences at equal seeds against a NAME, or against what satisfies KEY=VALUE (repeatable)
    #[arg(long, value_name = "NAME|CONDITION")]
    baseline: Vec<String>,
    /// The result that is compared; val_top1 without this option
    #[arg(long, value_name = "COLUMN")]
    metric: Option<String>,
    /// Sort by a column, lowest first; -COLUMN: highest first; `delta` is the difference from the baseline. Without this
    /// option the best come first
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Sort highest first
    #[arg(long, requires = "sort")]
    desc: bool,
    /// The first N lines only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    top: Option<u32>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Draw the curves of these runs too: .svg, .png or .pdf; - is SVG on standard output, in the place of the table
    #[arg(long, value_name = "PICTURE")]
    plot: Option<PictureFile>,
    /// Draw their accuracy against multiply-adds and parameters too, as with --plot
    #[arg(long, value_name = "PICTURE")]
    plot_cost: Option<PictureFile>,
    /// Leave out the frame and the background of pictures
    #[arg(long)]
    transparent: bool,
}

pub fn run(command: &Compare, shared: &Shared) -> Result<Done> {
    let request = request(command)?;
    let mut collection = collect(&command.paths, &shared.store())?;
    if collection.table.rows.is_empty() {
        bail!(Usage("the tables have no row".to_owned()));
    }
    let mut comparison = compare(&mut collection, &request)?;
    if let Some(path) = &command.plot {
        plot(command, &collection, &comparison, path)?;
    }
    if let Some(path) = &command.plot_cost {
        plot_cost(command, &collection, &comparison, path)?;
    }
    if [&command.plot, &command.plot_cost].into_iter().flatten().any(PictureFile::is_stdout) {
        return Ok(Done::Well);
    }
    let mut text = match command.format {
        Format::Csv => comparison.table.to_csv(),
        Format::Table => {
            // A terminal breaks long lines; a file or a pipe gets everything.
            if std::io::stdout().is_terminal() && !command.all && command.columns.is_empty() {
                narrow(&mut comparison);
            }
            rendered(&comparison.table, presets::NOTHING)
        }
        Format::Markdown => rendered(&escaped(&comparison.table), presets::ASCII_MARKDOWN),
    };
    if !matches!(command.format, Format::Csv) {
        let markdown = matches!(command.format, Format::Markdown);
        for (index, note) in comparison.notes.iter().enumerate() {
            let gap = if index == 0 || markdown { "\n" } else { "" };
            text.push_str(&format!("{gap}{}\n", printable(note)));
        }
    }
    print(&text)?;
    Ok(Done::Well)
}

fn request(command: &Compare) -> Result<Request> {
    let list = |texts: &[String]| -> Option<Vec<String>> {
        let names: Vec<String> = texts.iter().map(|text| words(text)).filter(|text| !text.is_empty()).collect();
        (!names.is_empty()).then_some(names)
    };
    let sort = command.sort.as_deref().map(|sort| match sort.strip_prefix('-') {
        Some(column) => (words(column), true),
        None => (words(sort), command.desc),
    });
    Ok(Request {
        conditions: command.conditions.iter().map(|text| Where::parse(text)).collect::<Result<_, _>>()?,
        columns: list(&command.columns),
        all: command.all,
        runs: command.runs,
        by: list(&command.by),
        baseline: command.baseline.clone(),
        metric: command.metric.as_deref().map(words),
        sort,
        top: command.top.map(|top| top as usize),
        plain: matches!(command.format, Format::Csv),
    })
}

/// The words with one space between them: `max  val_top1` is `max val_top1`.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn plot(command: &Compare, collection: &Collection, comparison: &Comparison, file: &PictureFile) -> Result<()> {
    let mut groups = Vec::new();
    for (name, group) in comparison.labels.iter().zip(&comparison.groups) {
        let folders = group.rows.iter().filter_map(|&row| collection.origins[row].folder.as_ref());
        let runs: Vec<_> = folders
            .filter(|folder| folder.join("epochs.csv").is_file())
            .map(|folder| read_epochs(folder))
            .collect::<Result<_, _>>()?;
        match runs.is_empty() {
            true => tracing::warn!("no curve of {name}: there is no epochs.csv"),
            false => groups.push(CurveGroup { name: name.clone(), runs }),
        }
    }
    if groups.is_empty() {
        bail!(Usage("--plot draws what epochs.csv of the runs says; none of these has one".to_owned()));
    }
    write_picture(file, &curves::chart(&groups, &title(command)), command.transparent)
}

fn plot_cost(command: &Compare, collection: &Collection, comparison: &Comparison, file: &PictureFile) -> Result<()> {
    let shown = comparison.groups.iter().flat_map(|group| &group.rows);
    let rows = shown.map(|&row| collection.table.rows[row].clone()).collect();
    let table = Table { columns: collection.table.columns.clone(), rows };
    let Some(figure) = curves::cost_picture(&table, &title(command)) else {
        bail!(Usage("--plot-cost draws runs that are done and differ in `macs` or `params`; these do not".to_owned()));
    };
    write_picture(file, &figure.svg(), command.transparent)
}

fn title(command: &Compare) -> String {
    if command.paths.is_empty() { "Runs".to_owned() } else { command.paths.join(", ") }
}

/// Leaves out the columns that are missed least until the lines fit the terminal.
fn narrow(comparison: &mut Comparison) {
    let (_, room) = console::Term::stdout().size();
    let mut hidden = Vec::new();
    for column in ["test_loss", "val_top5", "test_top5", "val_loss", "key", "params", "epochs"] {
        let lines = rendered(&comparison.table, presets::NOTHING);
        if lines.lines().map(|line| line.trim_end().chars().count()).max().unwrap_or(0) <= usize::from(room) {
            break;
        }
        if let Some(place) = comparison.table.column(column) {
            comparison.table.columns.remove(place);
            comparison.table.rows.iter_mut().for_each(|row| drop(row.remove(place)));
            hidden.push(column);
        }
    }
    if !hidden.is_empty() {
        comparison.notes.push(format!("left out for want of room: {}; --all shows them", hidden.join(", ")));
    }
}

fn rendered(table: &Table, style: TableStyle) -> String {
    let mut printed = Printed::new();
    printed.load_style(style);
    printed.set_header(table.columns.iter().map(|column| printable(column)).collect::<Vec<_>>());
    let grouped = |(column, text): (&String, &String)| match column.as_str() {
        "params" | "macs" | "activations" => super::cost::grouped(text),
        _ => printable(text),
    };
    for row in &table.rows {
        printed.add_row(table.columns.iter().zip(row).map(grouped).collect::<Vec<_>>());
    }
    for index in 0..table.columns.len() {
        let number = |text: &str| {
            text.is_empty() || text.split([' ', ',']).next().is_some_and(|word| word.parse::<f64>().is_ok())
        };
        let numbers = table.rows.iter().filter_map(|row| row.get(index)).all(|text| number(text));
        if let (true, Some(column)) = (numbers, printed.column_mut(index)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n", printed.trim_fmt())
}

/// A bar would end the cell of a Markdown table.
fn escaped(table: &Table) -> Table {
    let escape = |texts: &Vec<String>| texts.iter().map(|text| text.replace('|', "\\|")).collect();
    Table { columns: escape(&table.columns), rows: table.rows.iter().map(escape).collect() }
}

/// Tables from elsewhere shall not command the terminal, nor break its lines.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
