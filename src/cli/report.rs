//! `strata report`

use super::{Done, Shared, Usage};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use strata::emit;
use strata::files::write_output;
use strata::report;

/// One self-contained HTML page of all results: tables, curves, network diagrams, commands
///
/// One HTML file of everything in the results folder: runs, sweeps, archived results, tables, network diagrams, and the
/// commands that reproduce them. It needs neither a network nor other files.
#[derive(Args)]
pub(crate) struct Report {
    /// The page to write; report.html in the results folder by default
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(command: &Report, shared: &Shared) -> Result<Done> {
    let results = &shared.results;
    if !results.is_dir() {
        let hint = "`strata train` makes it, --results DIR takes another";
        bail!(Usage(format!("there is no results folder {}: {hint}", results.display())));
    }
    let path = command.output.clone().unwrap_or_else(|| results.join("report.html"));
    if path.is_dir() {
        bail!(Usage(format!("{} is a folder; -o takes the name of a file to write", path.display())));
    }
    let (html, notes) = report::page(&shared.store(), Path::new("experiments"))?;
    write_output(&path, html.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    if !shared.quiet {
        for note in &notes {
            emit(format_args!("note: {note}"));
        }
    }
    super::wrote(&path);
    Ok(Done::Well)
}
