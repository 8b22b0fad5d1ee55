//! `strata compare PATH…`

mod table;

use super::epoch_table::{width_of, wrapped};
use super::table::Format;
use super::{Done, Shared, Usage, print, write_picture};
use anyhow::{Result, bail};
use clap::Args;
use comfy_table::presets;
use console::Term;
use strata::analysis::collect::collect;
use strata::analysis::compare::{Comparison, Request, Where, compare, epochs};
use strata::figures::curves::{self, CurveGroup};
use strata::figures::picture::PictureFile;
use strata::runs::{Epochs, Records, Table, counted};
use table::{fitted, rendered, whole};

/// One table from runs, sweeps and CSV files: what differs, seeds as mean ± standard deviation, differences and noise
///
/// A PATH is a run folder, a folder of runs, a sweep folder, a CSV file, a pattern such as 'results/runs/resnet*', or the
/// name of a run, a sweep or an archived result. The default is the results folder. Runs that differ in the seed only are
/// one line.
#[derive(Args)]
#[command(after_help = "Examples:
  strata compare                                        everything in results/
  strata compare resnet20 plain20 --baseline plain20    is the difference more than noise?
  strata compare degradation --baseline model.shortcut=none
                                                        a sweep; each depth against the plain net of the same depth
  strata compare --where train.lr=0.1 --where 'macs<4e7' --top 10
  strata compare --columns 'train.lr, max val_top1, epoch of max val_top1, final train_loss' --sort -train.lr
  strata compare old.csv new.csv --format markdown      tables of other programs, joined on equal column names
  strata compare resnet20 plain20 --plot curves.svg
  strata compare degradation --epochs --format csv      every epoch of every run, for pandas and polars

docs/compare.md explains the columns and the statistics.")]
pub(crate) struct Compare {
    /// Run folders, sweep folders, folders of them, CSV files, patterns, names
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// Keep rows with COLUMN=VALUE; operators are = != < <= > >= and ~ for "contains"; repeatable, all must hold
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<String>,
    /// Show these columns along with what distinguishes the lines, separated by commas: names of columns, or max, min, final,
    /// first, mean, `epoch of max`, `epoch of min` of a column of epochs.csv
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    columns: Vec<String>,
    /// Show all columns, including those that do not differ, however wide the table is
    #[arg(long, conflicts_with = "columns")]
    all: bool,
    /// One line for each run, instead of one for all seeds
    #[arg(long, conflicts_with_all = ["by", "baseline"])]
    runs: bool,
    /// Show a line for each epoch of each run: name, key, seed, what differs, and the columns of epochs.csv
    #[arg(long, conflicts_with_all = ["columns", "by", "baseline", "all"])]
    epochs: bool,
    /// Group by these columns only, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    by: Vec<String>,
    /// Show differences at equal seeds from a NAME, or from the runs with KEY=VALUE (repeatable)
    #[arg(long, value_name = "NAME|CONDITION")]
    baseline: Vec<String>,
    /// The result to compare; val_top1 by default
    #[arg(long, value_name = "COLUMN")]
    metric: Option<String>,
    /// Sort by a column, lowest first; -COLUMN: highest first; `delta` is the difference from the baseline. The best come
    /// first by default
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Sort highest first
    #[arg(long, requires = "sort")]
    desc: bool,
    /// Show the first N lines only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    top: Option<u32>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Also draw the curves of these runs: .svg, .png or .pdf; - is SVG on standard output instead of the table.
    /// Repeatable
    #[arg(long, value_name = "PICTURE")]
    plot: Vec<PictureFile>,
    /// Also draw their accuracy against multiply-adds and parameters, as with --plot
    #[arg(long, value_name = "PICTURE")]
    plot_cost: Vec<PictureFile>,
    /// Leave out the frame and the background of pictures
    #[arg(long)]
    transparent: bool,
}

pub(crate) fn run(command: &Compare, shared: &Shared) -> Result<Done> {
    let request = request(command)?;
    let mut records = collect(&command.paths, &shared.store())?;
    if records.rows.is_empty() {
        bail!(Usage("the tables have no row".to_owned()));
    }
    let mut comparison = compare(&mut records, &request)?;
    if !command.plot.is_empty() {
        plot(command, &records, &comparison)?;
    }
    if !command.plot_cost.is_empty() {
        plot_cost(command, &records, &mut comparison)?;
    }
    if command.plot.iter().chain(&command.plot_cost).any(PictureFile::is_stdout) {
        return Ok(Done::Well);
    }
    if command.epochs {
        comparison.table = epochs(&records, &comparison, request.plain)?;
        if comparison.table.rows.is_empty() {
            bail!(Usage("--epochs shows the epochs.csv of runs; none of these has one".to_owned()));
        }
        // They explain the columns of the other table.
        comparison.notes.clear();
    }
    print(&text(command, &records, &mut comparison))?;
    Ok(Done::Well)
}

/// The table in its format, and the notes below it.
fn text(command: &Compare, records: &Records, comparison: &mut Comparison) -> String {
    let mut text = match command.format {
        Format::Csv => return comparison.table.to_csv(),
        Format::Table => fit(command, records, comparison),
        Format::Markdown => rendered(&escaped(&comparison.table), presets::ASCII_MARKDOWN),
    };
    let markdown = matches!(command.format, Format::Markdown);
    for (index, note) in comparison.notes.iter().enumerate() {
        let gap = if index == 0 || markdown { "\n" } else { "" };
        let width = width_of(&Term::stdout()).filter(|_| !markdown);
        text.push_str(&format!("{gap}{}\n", wrapped(&printable(note), width)));
    }
    text
}

/// The width of a table that no terminal shows.
const WIDTH: usize = 100;

fn fit(command: &Compare, records: &Records, comparison: &mut Comparison) -> String {
    let room = width_of(&Term::stdout());
    if command.all {
        let fitting = room.and_then(|room| whole(&comparison.table, room));
        return fitting.unwrap_or_else(|| rendered(&comparison.table, presets::NOTHING));
    }
    let asked = command.columns.iter().chain(&command.by).chain(&command.metric);
    let sorted = command.sort.iter().map(|text| text.trim_start_matches('-'));
    let metric = comparison.metric.map(|metric| records.columns[metric].as_str());
    let kept: Vec<String> = asked.map(String::as_str).chain(sorted).chain(metric).map(words).collect();
    let (text, hidden) = fitted(comparison, records, &kept, room.unwrap_or(WIDTH));
    if hidden > 0 {
        let what = counted(hidden, "column");
        let why = if room.is_some() { "the terminal".to_owned() } else { format!("a width of {WIDTH}") };
        comparison.notes.push(format!("{what} hidden to fit {why} (use --all)"));
    }
    text
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

/// Normalises spaces: `max  val_top1` becomes `max val_top1`.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn plot(command: &Compare, records: &Records, comparison: &Comparison) -> Result<()> {
    let (mut groups, mut without) = (Vec::new(), Vec::new());
    for (name, group) in comparison.labels.iter().zip(&comparison.groups) {
        let folders = group.iter().filter_map(|&row| records.origin(row).folder.as_ref());
        let runs: Vec<_> = folders.filter_map(|folder| Epochs::find(folder).transpose()).collect::<Result<_, _>>()?;
        match runs.is_empty() {
            true => without.push(name.as_str()),
            false => groups.push(CurveGroup { name: name.clone(), runs }),
        }
    }
    if groups.is_empty() {
        bail!(Usage("--plot draws the epochs.csv of runs, and none of these runs is here; of a sweep in git only its tables are, and \
                     `strata sweep` trains its runs".to_owned()));
    }
    if !without.is_empty() {
        tracing::warn!("no curves for runs without an epochs.csv: {}", without.join(", "));
    }
    let svg = curves::chart(&groups, &title(command));
    command.plot.iter().try_for_each(|file| write_picture(file, &svg, command.transparent))
}

fn plot_cost(command: &Compare, records: &Records, comparison: &mut Comparison) -> Result<()> {
    let rows = comparison.groups.iter().flatten().map(|&row| records.rows[row].clone()).collect();
    let shown = Records::from(Table { columns: records.columns.clone(), rows });
    let Some(figure) = curves::cost_picture(&shown, &title(command)) else {
        let problem = "--plot-cost needs finished runs that differ in `macs` or `params`";
        if command.plot_cost.iter().any(PictureFile::is_stdout) {
            bail!(Usage(problem.to_owned()));
        }
        // The table is wanted all the same.
        comparison.notes.push(format!("no picture of the cost: {problem}"));
        return Ok(());
    };
    let svg = figure.svg();
    command.plot_cost.iter().try_for_each(|file| write_picture(file, &svg, command.transparent))
}

fn title(command: &Compare) -> String {
    if command.paths.is_empty() { "Runs".to_owned() } else { command.paths.join(", ") }
}

/// A bar would end the cell of a Markdown table.
fn escaped(table: &Table) -> Table {
    let escape = |texts: &Vec<String>| texts.iter().map(|text| text.replace('|', "\\|")).collect();
    Table { columns: escape(&table.columns), rows: table.rows.iter().map(escape).collect() }
}

/// Replaces control characters, which could command the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
