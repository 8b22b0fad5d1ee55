//! `strata diff A B`

use super::compare::printable;
use super::cost::grouped;
use super::runs::{resolve_run, several_runs};
use super::{Done, Shared, Usage, experiment, locate, machine, print};
use anyhow::{Result, bail};
use clap::Args;
use comfy_table::{Table, presets};
use std::path::Path;
use strata::analysis::collect::collect;
use strata::analysis::diff::{Line, Section, Side, diff};
use strata::config::Experiment;
use strata::runs::Record;

/// What differs between two runs: keys of the experiment, rows of the network, cost, environment, results
///
/// A and B are run folders, names of runs (NAME, NAME/KEY, NAME@latest, NAME@best), or experiment files. Of several runs of
/// one name, that of the experiment file of this name is taken.
#[derive(Args)]
#[command(after_help = "Examples:
  strata diff resnet20 plain20
  strata diff results/runs/resnet20/0123456789 resnet20/9876543210
  strata diff experiments/resnet20.toml experiments/plain20.toml   before anything runs")]
pub struct Diff {
    /// A run or an experiment
    #[arg(value_name = "A")]
    a: String,
    /// The one to hold beside it
    #[arg(value_name = "B")]
    b: String,
}

pub fn run(command: &Diff, shared: &Shared) -> Result<Done> {
    let (a, b) = (side(&command.a, shared)?, side(&command.b, shared)?);
    let sections = diff(&a, &b);
    let mut text = format!("A  {}\nB  {}\n", heading(&a), heading(&b));
    for section in sections.iter().filter(|section| !section.lines.is_empty()) {
        text.push_str(&format!("\n{}\n", section.title));
        text.push_str(&printed(section));
    }
    let same: Vec<&str> =
        sections.iter().filter(|section| section.lines.is_empty()).map(|section| section.title).collect();
    let missing = a.circumstances.is_null() || b.circumstances.is_null();
    let unknown = |title: &str| match title {
        "environment" => missing,
        "results" => a.summary.is_empty() && b.summary.is_empty(),
        _ => false,
    };
    let (unknown, same): (Vec<&str>, Vec<&str>) = same.into_iter().partition(|title| unknown(title));
    for (titles, word) in [(same, "no difference"), (unknown, "not known of both")] {
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

/// Longest value that stands beside its counterpart; longer ones stand below it.
const BESIDE: usize = 48;

fn printed(section: &Section) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut text = String::new();
    for line in &section.lines {
        match line {
            Line::Values([key, a, b, change]) => {
                let (a, b) = (shown(section, a), shown(section, b));
                if a.len().max(b.len()) > BESIDE {
                    text.push_str(&format!("  {}\n    A  {a}\n    B  {b}\n", printable(key)));
                } else {
                    table.add_row([&printable(key), &a, &b, change]);
                }
            }
            Line::Both(row) => text.push_str(&format!("    {}\n", printable(row))),
            Line::Removed(row) => text.push_str(&format!("  - {}\n", printable(row))),
            Line::Added(row) => text.push_str(&format!("  + {}\n", printable(row))),
            Line::Skipped(count) => {
                let rows = if *count == 1 { "row" } else { "rows" };
                text.push_str(&format!("    … {count} {rows} as in the other\n"));
            }
        }
    }
    let beside: Vec<String> = table.lines().map(|line| format!(" {}\n", line.trim_end())).collect();
    if table.row_count() > 0 { beside.concat() + &text } else { text }
}

/// Counts in groups of three digits; elsewhere a number may be a name.
fn shown(section: &Section, cell: &str) -> String {
    if section.title == "cost" { grouped(cell) } else { printable(cell) }
}

/// The run, or the experiment, that a word stands for.
fn side(word: &str, shared: &Shared) -> Result<Side> {
    if word.ends_with(".toml") && Path::new(word).is_file() {
        return experiment_side(word, shared);
    }
    let collection = match collect(&[word.to_owned()], &shared.store()) {
        Ok(collection) => collection,
        // Not a run: an experiment of that name may be meant.
        Err(error) => match locate(word) {
            Ok(_) => return experiment_side(word, shared),
            Err(_) => return Err(error.into()),
        },
    };
    let folders: Vec<_> = collection.origins.iter().filter_map(|origin| origin.folder.clone()).collect();
    let folder = match (resolve_run(word, &folders, shared)?, folders.as_slice()) {
        (Some(folder), _) => folder,
        (None, []) => bail!(Usage(format!("`{word}` is no run: diff takes two runs or two experiment files"))),
        (None, _) => bail!(several_runs(word, &folders, shared)?),
    };
    let row = collection.origins.iter().position(|origin| origin.folder.as_deref() == Some(folder));
    let row = row.and_then(|row| collection.table.rows.get(row)).cloned().unwrap_or_default();
    let summary: Record = collection.table.columns.iter().cloned().zip(row).collect();
    let circumstances = std::fs::read_to_string(folder.join("run.json")).unwrap_or_default();
    Ok(Side {
        title: folder.display().to_string(),
        experiment: Experiment::load(&folder.join("experiment.toml"), &[], machine())?,
        summary,
        circumstances: serde_json::from_str(&circumstances).unwrap_or_default(),
    })
}

fn experiment_side(word: &str, shared: &Shared) -> Result<Side> {
    Ok(Side {
        title: locate(word)?.display().to_string(),
        experiment: experiment(word, &shared.set)?,
        summary: Record::default(),
        circumstances: serde_json::Value::Null,
    })
}
