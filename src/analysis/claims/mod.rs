//! The deck's claims, decided: reads the tables that a claim's tests are about and judges them.

mod join;
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
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

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
    /// The runs that diverged, as `NAME/KEY`: they have no weights.
    pub diverged: Vec<String>,
    /// Time that the finished runs took.
    pub seconds: f64,
    /// Tables that tests name and that are not there, or not for all points that a command studies one by one.
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
        let below = |table: &String| store.root().join(table);
        let path = |test: &ClaimTest| test.table.as_ref().map(below).or(own.clone());
        let other = |test: &ClaimTest| test.against_table.as_ref().map(below);
        let points = own.as_ref().map(|path| Source::read(path, None, store)).transpose()?.flatten();
        let mut sources: HashMap<PathBuf, Option<Source>> = HashMap::new();
        let tests = &file.claim.tests;
        // The rows of another table are partners of all seeds, whichever run they name.
        let with_points = tests.iter().filter_map(path).map(|path| (path, points.as_ref()));
        for (path, points) in with_points.chain(tests.iter().filter_map(other).map(|path| (path, None))) {
            if own.as_ref() != Some(&path) && !sources.contains_key(&path) {
                let source = Source::read(&path, points, store)?;
                sources.insert(path, source);
            }
        }
        let source = |path: PathBuf| match own.as_ref() == Some(&path) {
            true => points.as_ref(),
            false => sources.get(&path)?.as_ref(),
        };
        let estimate = |test: &ClaimTest| match (path(test).and_then(source), other(test).map(source)) {
            (None, _) | (_, Some(None)) => Estimate::Missing,
            (Some(own), other) => own.estimate(test, other.flatten()),
        };
        let tests: Vec<_> = tests.iter().map(|test| (estimate(test), test.region())).collect();
        let findings = verdict::judge(&tests);
        let records = points.as_ref().map(|source| &source.records);
        let done = records.map_or(0, |records| with_status(records, Status::Done).count());
        let diverged: Vec<String> = records.map_or_else(Vec::new, |records| {
            let run = |row| format!("{}/{}", records.text(row, Column::Name), records.text(row, Column::Key));
            with_status(records, Status::Diverged).map(run).collect()
        });
        let mut tables: Vec<PathBuf> =
            sources.values().flatten().chain(&points).flat_map(|source| source.files.clone()).collect();
        tables.sort();
        let mut judged = Judged {
            verdict: verdict::overall(&findings),
            findings,
            points: file.sweep.as_ref().map_or(0, |sweep| sweep.points.len()),
            ended: done + diverged.len(),
            diverged,
            seconds: records.map_or(0.0, seconds),
            missing: Vec::new(),
            tables,
            file,
        };
        let missing = |path: &PathBuf, source: &Option<Source>| match source {
            None => true,
            Some(source) => judged.lacks_a_table(path, &source.files),
        };
        let mut paths: Vec<PathBuf> =
            sources.iter().filter(|(path, source)| missing(path, source)).map(|(path, _)| path.clone()).collect();
        paths.sort();
        judged.missing = paths;
        Ok(judged)
    }

    /// Whether a command is run for each of several points, writes tables to the folder of `pattern`, and has not done so for all: `files`
    /// are those that fit the pattern.
    fn lacks_a_table(&self, pattern: &Path, files: &[PathBuf]) -> bool {
        let study = pattern.parent().and_then(Path::file_name).and_then(OsStr::to_str);
        let lines = self.claim().commands.iter().filter(|line| line.split_whitespace().nth(1) == study);
        let wanted: Vec<String> = lines.filter_map(|line| self.each(line)).flatten().collect();
        if wanted.is_empty() {
            return false;
        }
        let runs = files.iter().filter_map(|table| join::only_run(table));
        let there: Vec<String> = runs.map(|(name, key)| format!("{name}/{key}")).collect();
        wanted.iter().any(|run| !there.iter().any(|other| other.starts_with(run)))
    }

    /// The points of the sweep that `word` stands for, as `NAME/KEY`; `None` where it is not `{name}` or `{name:KEY=VALUE}`. Those that
    /// diverged have no weights to study.
    fn points_of(&self, word: &str, name: &str) -> Option<Vec<String>> {
        let condition = word.strip_prefix(name)?.strip_suffix('}')?;
        let mut runs = self.file.runs(condition.strip_prefix(':').unwrap_or_default());
        runs.retain(|run| !self.diverged.contains(run));
        Some(runs)
    }

    /// The points that a command is run for one by one.
    fn each(&self, line: &str) -> Option<Vec<String>> {
        line.split_whitespace().find_map(|word| self.points_of(word, "{each"))
    }

    /// The commands that a line of the claim stands for, in words: `{runs}` is all points of the sweep that did not diverge,
    /// `{runs:KEY=VALUE}` some of them, `{each}` and `{each:KEY=VALUE}` one of them, with a command for each.
    pub fn commands(&self, line: &str) -> Vec<Vec<String>> {
        let command = |one: Option<&String>| {
            let word = |word: &str| match (self.points_of(word, "{runs"), one.filter(|_| word.starts_with("{each"))) {
                (Some(runs), _) => runs,
                (None, Some(run)) => vec![run.clone()],
                (None, None) => vec![word.to_owned()],
            };
            line.split_whitespace().flat_map(word).collect()
        };
        match self.each(line) {
            Some(runs) => runs.iter().map(|run| command(Some(run))).collect(),
            None => vec![command(None)],
        }
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

    /// Whether a study is missing, which reads the weights of all points: they must be on this machine.
    pub fn needs_weights(&self) -> bool {
        self.file.sweep.is_some() && !self.missing.is_empty() && !self.claim().commands.is_empty()
    }

    /// Whether points count as finished whose results are in a table without a run here. Times of two machines do not compare,
    /// and rungs of halving are compared by the epochs of runs.
    pub fn takes_recorded(&self) -> bool {
        let timed = self.claim().tests.iter().any(|test| test.measure.contains("seconds"));
        let halves = self.file.sweep.as_ref().is_some_and(|sweep| sweep.halving.is_some());
        !self.needs_weights() && !timed && !halves
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
