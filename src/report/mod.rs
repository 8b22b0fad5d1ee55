//! One self-contained HTML page of everything in a results folder.
//!
//! The page needs nothing from elsewhere and its policy forbids it to fetch anything. Every text from a file is escaped
//! by the template; only SVG that this program draws is put in as it is, pictures from files are images.

mod gather;
mod networks;
mod runs;
mod sections;
mod view;

#[cfg(test)]
mod tests;

pub use gather::{Found, gather};

use crate::runs::utc_now;
use crate::runs::{RunError, Store};
use askama::Template;
use runs::Differences;
use sections::{KeptSection, ShelfSection, SweepSection};
use std::collections::HashSet;
use std::path::Path;
use view::{FigureView, TableView};

/// The page; its template is `templates/report.html`.
#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    style: &'static str,
    script: &'static str,
    version: &'static str,
    results: String,
    written: String,
    command: String,
    /// What there is, as numbers and names: "12 runs done".
    counts: Vec<(String, usize, &'static str)>,
    kept: Vec<KeptSection>,
    sweeps: Vec<SweepSection>,
    curves: Vec<FigureView>,
    experiments: usize,
    runs: Option<TableView>,
    shelves: Vec<ShelfSection>,
    networks: networks::Networks,
    notes: Vec<String>,
}

/// The page of a results folder, and what could not be read. `experiments` is where the files of sweeps are looked for.
///
/// # Errors
/// When the folder cannot be read.
pub fn page(store: &Store, experiments: &Path) -> Result<(String, Vec<String>), RunError> {
    let (found, results) = (gather(store)?, store.root());
    let differences = Differences::of(&found.runs);
    let mut notes = found.notes.clone();
    let kept = found.kept.iter().map(|run| KeptSection::of(run, store, &mut notes)).collect();
    let sweeps = found.sweeps.iter().map(|sweep| SweepSection::of(sweep, store, experiments, &mut notes)).collect();
    let shelves = found.shelves.iter().map(|shelf| ShelfSection::of(shelf, results, &mut notes)).collect();
    let in_sweeps: HashSet<&str> = found.sweeps.iter().flat_map(gather::Sweep::keys).collect();
    let (curves, experiments) = runs::newest(&found.runs, &differences, &in_sweeps);
    let networks = networks::Networks::of(found.kept.iter().chain(&found.runs), &mut notes);
    let caption = "Every run, the newest first";
    let page = Page {
        style: include_str!("style.css"),
        script: include_str!("sort.js"),
        version: env!("CARGO_PKG_VERSION"),
        results: results.display().to_string(),
        written: utc_now().trim_end_matches('Z').replacen('T', " ", 1),
        command: format!("strata report{}", sections::option(results)),
        counts: sections::counts(&found),
        kept,
        sweeps,
        curves,
        experiments,
        runs: (!found.runs.is_empty()).then(|| runs::table(&found.runs, &differences, store, caption)),
        shelves,
        networks,
        notes: notes.clone(),
    };
    let html = page.render().map_err(|error| RunError::io("write", results)(std::io::Error::other(error)))?;
    Ok((html, notes))
}
