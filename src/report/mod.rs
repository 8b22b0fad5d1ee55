//! One self-contained HTML page of everything in a results folder.
//!
//! The page refers to no other file, and its content security policy forbids it to load any. The template escapes all texts;
//! only SVG that this program draws is inserted verbatim, pictures from files are images.

mod claims;
mod gather;
mod networks;
mod runs;
mod sections;
mod view;

#[cfg(test)]
mod tests;

pub use gather::gather;

use crate::runs::{RunError, Store, utc_now};
use askama::Template;
use runs::Differences;
use sections::{ArchivedSection, FilesSection, StudySection, SweepSection};
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
    claims: Vec<claims::ClaimCard>,
    /// The number of claims by verdict, as the overview has it.
    verdicts: Vec<(String, usize, &'static str)>,
    /// The overview, as name, number and CSS class: 12 "runs done".
    counts: Vec<(String, usize, &'static str)>,
    archived: Vec<ArchivedSection>,
    sweeps: Vec<SweepSection>,
    curves: Vec<FigureView>,
    experiments: usize,
    runs: Option<TableView>,
    studies: Vec<StudySection>,
    files: Vec<FilesSection>,
    networks: networks::Networks,
    notes: Vec<String>,
}

/// Renders the page of a results folder, and notes on what could not be read. Files of sweeps are looked up in `experiments`, and the
/// claims in its folder `claims`.
///
/// # Errors
/// When the folder cannot be read.
pub fn page(store: &Store, experiments: &Path) -> Result<(String, Vec<String>), RunError> {
    let (contents, results) = (gather(store)?, store.root());
    let differences = Differences::of(&contents.runs);
    let mut notes = contents.notes.clone();
    let archived = contents.archived.iter().map(|run| ArchivedSection::of(run, store, &mut notes)).collect();
    let sweeps = contents.sweeps.iter().map(|sweep| SweepSection::of(sweep, store, experiments, &mut notes)).collect();
    let (studies, others): (Vec<_>, Vec<_>) = contents.files.iter().partition(|files| files.are_studies(results));
    let studies = studies.into_iter().flat_map(|files| StudySection::of(files, results, &mut notes)).collect();
    let files = others.into_iter().map(|files| FilesSection::of(files, results, &mut notes)).collect();
    let in_sweeps: HashSet<&str> = contents.sweeps.iter().flat_map(gather::StoredSweep::keys).collect();
    let claims = claims::cards(&experiments.join("claims"), store, &mut notes);
    let (curves, experiments) = runs::newest(&contents.runs, &differences, &in_sweeps);
    let networks = networks::Networks::of(contents.archived.iter().chain(&contents.runs), &mut notes);
    let caption = "Every run, the newest first";
    let page = Page {
        style: include_str!("style.css"),
        script: include_str!("sort.js"),
        version: env!("CARGO_PKG_VERSION"),
        results: results.display().to_string(),
        written: utc_now().trim_end_matches('Z').replacen('T', " ", 1),
        command: format!("strata report{}", sections::option(results)),
        verdicts: claims::counts(&claims),
        claims,
        counts: sections::counts(&contents),
        archived,
        sweeps,
        curves,
        experiments,
        runs: (!contents.runs.is_empty()).then(|| runs::table(&contents.runs, &differences, store, caption)),
        studies,
        files,
        networks,
        notes: notes.clone(),
    };
    let html = page.render().map_err(|error| RunError::io("write", results)(std::io::Error::other(error)))?;
    Ok((html, notes))
}
