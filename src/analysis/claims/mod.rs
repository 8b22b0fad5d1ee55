//! The deck's claims, decided: reads the tables that a claim's tests are about and judges them.

mod measure;
#[cfg(test)]
mod tests;
mod text;
mod verdict;
#[cfg(test)]
mod verdict_tests;

pub use verdict::{Estimate, Finding, Verdict};

use super::collect::CollectError;
use crate::config::{Claim, ClaimFile, ClaimTest};
use crate::runs::{Column, Records, Status, Store, sweep_folder};
use measure::Source;
use std::collections::HashMap;
use std::path::PathBuf;

/// A claim and what the results folder says of it.
#[derive(Debug)]
pub struct Judged {
    pub file: ClaimFile,
    pub verdict: Verdict,
    /// One for each test.
    pub findings: Vec<Finding>,
    /// Points of the sweep.
    pub points: usize,
    /// Points that are done or diverged.
    pub ended: usize,
    pub diverged: usize,
    /// Time that the finished runs took.
    pub seconds: f64,
    /// Tables that tests name and that are not there.
    pub missing: Vec<PathBuf>,
    /// The files that were read.
    pub tables: Vec<PathBuf>,
}

impl Judged {
    /// Reads the tables of a claim and judges it.
    ///
    /// # Errors
    /// When a table is there and cannot be read.
    pub fn of(file: ClaimFile, store: &Store) -> Result<Judged, CollectError> {
        let own = file.sweep.as_ref().map(|sweep| sweep_folder(store, sweep));
        let path = |test: &ClaimTest| test.table.as_ref().map(|table| store.root().join(table)).or(own.clone());
        let mut sources: HashMap<PathBuf, Option<Source>> = HashMap::new();
        for path in file.claim.tests.iter().filter_map(path).chain(own.clone()) {
            if !sources.contains_key(&path) {
                sources.insert(path.clone(), Source::read(&path, store)?);
            }
        }
        let source = |test: &ClaimTest| path(test).and_then(|path| sources.get(&path)?.as_ref());
        let estimate = |test: &ClaimTest| source(test).map_or(Estimate::Missing, |source| source.estimate(test));
        let tests: Vec<_> = file.claim.tests.iter().map(|test| (estimate(test), test.region())).collect();
        let findings = verdict::judge(&tests);
        let points = own.as_ref().and_then(|path| sources.get(path)?.as_ref()).map(|source| &source.records);
        let count = |status: Status| points.map_or(0, |records| with_status(records, status).count());
        let diverged = count(Status::Diverged);
        let mut missing: Vec<PathBuf> =
            file.claim.tests.iter().filter_map(|test| Some(store.root().join(test.table.as_ref()?))).collect();
        missing.retain(|path| sources.get(path).is_none_or(Option::is_none));
        missing.dedup();
        let mut tables: Vec<PathBuf> = sources.values().flatten().map(Source::file).collect();
        tables.sort();
        Ok(Judged {
            verdict: verdict::overall(&findings),
            findings,
            points: file.sweep.as_ref().map_or(0, |sweep| sweep.points.len()),
            ended: count(Status::Done) + diverged,
            diverged,
            seconds: points.map_or(0.0, seconds),
            missing,
            tables,
            file,
        })
    }

    pub fn claim(&self) -> &Claim {
        &self.file.claim
    }

    /// The tests with what was found.
    pub fn tests(&self) -> impl Iterator<Item = (&ClaimTest, &Finding)> {
        self.claim().tests.iter().zip(&self.findings)
    }

    /// The first test with the verdict of the claim, which is what a line of a list shows.
    pub fn deciding(&self) -> Option<(&ClaimTest, &Finding)> {
        self.tests().find(|(_, finding)| finding.verdict == self.verdict)
    }

    /// Whether a point of the sweep has no result, or the sweep's epochs are not in a table of their own yet.
    pub fn lacks_runs(&self, store: &Store) -> bool {
        let table = |sweep| sweep_folder(store, sweep).join("epochs.csv").is_file();
        self.file.sweep.as_ref().is_some_and(|sweep| self.ended < self.points || !table(sweep))
    }

    /// The unit of a test's effect: points, percent or none.
    pub fn unit(test: &ClaimTest) -> &'static str {
        measure::unit(test)
    }
}

fn with_status(records: &Records, status: Status) -> impl Iterator<Item = usize> + '_ {
    (0..records.rows.len()).filter(move |&row| records.status(row) == Some(status))
}

fn seconds(records: &Records) -> f64 {
    let Some(column) = records.column(Column::Seconds.name()) else { return 0.0 };
    records.numbers(column, &(0..records.rows.len()).collect::<Vec<_>>()).iter().sum()
}
