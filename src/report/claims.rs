//! The opening section: the deck's claims, a card each.

use super::sections::picture;
use super::view::PictureView;
use crate::analysis::claims::{Finding, Judged, Verdict};
use crate::config::{ClaimFile, ClaimTest, Machine};
use crate::figures::interval;
use crate::runs::{Store, sweep_folder};
use std::path::Path;

/// A claim with its tests and verdict.
pub(super) struct ClaimCard {
    pub number: u32,
    pub sentence: String,
    pub slide: String,
    pub published: String,
    pub verdict: String,
    pub verdict_class: &'static str,
    pub tests: Vec<TestRow>,
    pub runs: String,
    pub tables: Vec<String>,
    pub command: String,
    /// What would decide the claim; empty where the runs have.
    pub needs: String,
    pub picture: Option<PictureView>,
}

/// A test of a claim.
pub(super) struct TestRow {
    pub says: String,
    pub rule: String,
    /// The effect and its interval over the region, as SVG of this program.
    pub picture: String,
    pub effect: String,
    pub interval: String,
    pub seeds: String,
    pub p: String,
    pub verdict: String,
    pub verdict_class: &'static str,
}

/// The cards of all claims in a folder; none where there is no such folder. What cannot be read becomes a note.
pub(super) fn cards(folder: &Path, store: &Store, notes: &mut Vec<String>) -> Vec<ClaimCard> {
    if !folder.is_dir() {
        return Vec::new();
    }
    let files = ClaimFile::all(folder, Machine::default()).unwrap_or_else(|error| {
        notes.push(error.message);
        Vec::new()
    });
    let mut cards = Vec::new();
    for file in files {
        match Judged::of(file, store) {
            Ok(judged) => cards.push(card(&judged, store, notes)),
            Err(error) => notes.push(error.to_string()),
        }
    }
    cards
}

/// How many claims have each verdict, with its CSS class.
pub(super) fn counts(cards: &[ClaimCard]) -> Vec<(String, usize, &'static str)> {
    let verdicts = [Verdict::Supported, Verdict::Undecided, Verdict::Contradicted, Verdict::NotRun];
    let count = |verdict: Verdict| cards.iter().filter(|card| card.verdict == verdict.name()).count();
    verdicts
        .map(|verdict| (verdict.name().to_owned(), count(verdict), class(verdict)))
        .into_iter()
        .filter(|(_, n, _)| *n > 0)
        .collect()
}

fn card(judged: &Judged, store: &Store, notes: &mut Vec<String>) -> ClaimCard {
    let claim = judged.claim();
    let below = |path: &Path| path.strip_prefix(store.root()).unwrap_or(path).display().to_string();
    ClaimCard {
        number: claim.number,
        sentence: claim.sentence.clone(),
        slide: claim.slide.clone(),
        published: claim.published.clone(),
        verdict: judged.verdict.name().to_owned(),
        verdict_class: class(judged.verdict),
        tests: judged.tests().map(|(test, finding)| row(test, finding)).collect(),
        runs: judged.runs(),
        tables: judged.tables.iter().map(|path| below(path)).collect(),
        command: judged.command(),
        needs: if judged.is_open() { claim.needs.clone() } else { String::new() },
        picture: stored(judged, store, notes),
    }
}

/// The picture of the sweep that fits the measure: curves where epochs are compared, else accuracy by setting.
fn stored(judged: &Judged, store: &Store, notes: &mut Vec<String>) -> Option<PictureView> {
    let of_epochs = |test: &ClaimTest| test.epoch.is_some() || test.measure.starts_with("train_");
    let file = if judged.claim().tests.iter().any(of_epochs) { "curves.svg" } else { "parameter.svg" };
    let path = sweep_folder(store, judged.file.sweep.as_ref()?).join(file);
    (judged.ended > 0 && path.is_file()).then(|| picture(&path, store.root(), notes)).flatten()
}

fn row(test: &ClaimTest, finding: &Finding) -> TestRow {
    let estimate = finding.estimate;
    let effect = Judged::effect(test, estimate);
    let rule = Judged::rule(test);
    TestRow {
        says: test.says.clone(),
        picture: interval(estimate.effect(), estimate.interval(), test.region(), &format!("{effect}; holds {rule}")),
        rule,
        effect,
        interval: Judged::interval(test, estimate),
        seeds: Judged::seeds(estimate),
        p: Judged::p_value(finding),
        verdict: finding.verdict.name().to_owned(),
        verdict_class: class(finding.verdict),
    }
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Supported => "status done",
        Verdict::Contradicted => "status bad",
        Verdict::Undecided => "status running",
        Verdict::NotRun => "status",
    }
}
