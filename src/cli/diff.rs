//! `strata diff A B`

use super::compare::printable;
use super::runs::{resolve_run, run_of_file, several_runs};
use super::table::grouped;
use super::{Done, Shared, Usage, experiment, locate, machine, print};
use anyhow::{Result, bail};
use clap::Args;
use comfy_table::{Table, presets};
use std::path::Path;
use strata::analysis::collect::collect;
use strata::analysis::diff::{DiffLine, DiffSection, Side, diff};
use strata::config::Experiment;
use strata::runs::Record;

/// The differences between two runs: keys of the experiment, rows of the network, cost, environment, results
///
/// A and B are run folders, names of runs (NAME, NAME/KEY, NAME@latest, NAME@best), or experiment files. If a name has several
/// runs, that of the experiment file of this name is used.
#[derive(Args)]
#[command(after_help = "Examples:
  strata diff resnet20 plain20
  strata diff results/runs/resnet20/0123456789 resnet20/9876543210
  strata diff experiments/resnet20.toml experiments/plain20.toml   before anything runs")]
pub(crate) struct Diff {
    /// A run or an experiment
    #[arg(value_name = "A")]
    a: String,
    /// The run or experiment to compare it with
    #[arg(value_name = "B")]
    b: String,
}

pub(crate) fn run(command: &Diff, shared: &Shared) -> Result<Done> {
    let (a, b) = (side(&command.a, shared)?, side(&command.b, shared)?);
    let sections = diff(&a, &b);
    let mut text = format!("A  {}\nB  {}\n", heading(&a), heading(&b));
    for section in sections.iter().filter(|section| !section.lines.is_empty()) {
        text.push_str(&format!("\n{}\n", section.title));
        text.push_str(&printed(section));
    }
    let same: Vec<&str> =
        sections.iter().filter(|section| section.lines.is_empty()).map(|section| section.title).collect();
    let missing = a.environment.is_null() || b.environment.is_null();
    let unknown = |title: &str| match title {
        "environment" => missing,
        "results" => a.record.is_empty() && b.record.is_empty(),
        _ => false,
    };
    let (unknown, same): (Vec<&str>, Vec<&str>) = same.into_iter().partition(|title| unknown(title));
    for (titles, word) in [(same, "equal"), (unknown, "not compared without a run")] {
        if !titles.is_empty() {
            text.push_str(&format!("\n{word}: {}\n", titles.join(", ")));
        }
    }
    print(&text)?;
    Ok(Done::Well)
}

fn heading(side: &Side) -> String {
    printable(&format!("{} (name {}, key {})", side.title, side.experiment.name, side.experiment.key()))
}

/// Longer values are printed below one another instead of side by side.
const LONGEST: usize = 48;

fn printed(section: &DiffSection) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut text = String::new();
    for line in &section.lines {
        match line {
            DiffLine::Values([key, a, b, change]) => {
                let (a, b) = (shown(section, a), shown(section, b));
                if a.len().max(b.len()) > LONGEST {
                    text.push_str(&format!("  {}\n    A  {a}\n    B  {b}\n", printable(key)));
                } else {
                    table.add_row([&printable(key), &a, &b, change]);
                }
            }
            DiffLine::Both(row) => text.push_str(&format!("    {}\n", printable(row))),
            DiffLine::Removed(row) => text.push_str(&format!("  - {}\n", printable(row))),
            DiffLine::Added(row) => text.push_str(&format!("  + {}\n", printable(row))),
            DiffLine::Skipped(count) => {
                let rows = if *count == 1 { "row" } else { "rows" };
                text.push_str(&format!("    … {count} {rows} unchanged\n"));
            }
        }
    }
    let beside: Vec<String> = table.lines().map(|line| format!(" {}\n", line.trim_end())).collect();
    if table.row_count() > 0 { beside.concat() + &text } else { text }
}

/// A cell for printing. Costs get groups of three digits; other numbers may be names.
fn shown(section: &DiffSection, cell: &str) -> String {
    if section.title == "cost" { grouped(cell) } else { printable(cell) }
}

/// Resolves a word to a run or an experiment.
fn side(word: &str, shared: &Shared) -> Result<Side> {
    if word.ends_with(".toml") && Path::new(word).is_file() {
        return experiment_side(word, shared);
    }
    let records = match collect(&[word.to_owned()], &shared.store()) {
        Ok(records) => records,
        // Perhaps an experiment of this name.
        Err(error) => match (run_of_file(word, shared)?, locate(word)) {
            (Some(folder), _) => return side(&folder.display().to_string(), shared),
            (None, Ok(_)) => return experiment_side(word, shared),
            (None, Err(_)) => return Err(error.into()),
        },
    };
    let rows = || 0..records.rows.len();
    let folders: Vec<_> = rows().filter_map(|row| records.origin(row).folder.clone()).collect();
    let folder = match (resolve_run(word, &folders, shared)?, folders.as_slice()) {
        (Some(folder), _) => folder,
        (None, []) => bail!(Usage(format!("`{word}` is not a run: diff takes two runs or two experiment files"))),
        (None, _) => bail!(several_runs(word, &folders, shared)?),
    };
    let row = rows().find(|&row| records.origin(row).folder.as_deref() == Some(folder));
    let environment = std::fs::read_to_string(folder.join("run.json")).unwrap_or_default();
    Ok(Side {
        title: folder.display().to_string(),
        experiment: Experiment::load(&folder.join("experiment.toml"), &[], machine())?,
        record: row.map(|row| records.record(row)).unwrap_or_default(),
        environment: serde_json::from_str(&environment).unwrap_or_default(),
    })
}

fn experiment_side(word: &str, shared: &Shared) -> Result<Side> {
    Ok(Side {
        title: locate(word)?.display().to_string(),
        experiment: experiment(word, &shared.set)?,
        record: Record::default(),
        environment: serde_json::Value::Null,
    })
}
