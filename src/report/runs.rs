//! Runs on the page: the table of all of them, their curves, what distinguishes them.

use super::gather::Run;
use super::view::{Cell, Column, FigureView, TableView, grouped, percent};
use crate::figures::curves::{self, CurveGroup};
use crate::runs::{Status, Store, read_epochs};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Curves of so many experiments are on the page, the newest ones; and of so many seeds each.
const NEWEST: usize = 12;
const SEEDS: usize = 10;
/// Differing keys that are shown for a run.
const MOST_KEYS: usize = 8;

/// By name of the experiment: the keys in which its runs differ.
pub struct Differences<'r>(HashMap<&'r str, Vec<&'r str>>);

impl<'r> Differences<'r> {
    pub fn of(runs: &'r [Run]) -> Differences<'r> {
        let mut first: HashMap<&str, BTreeMap<&str, &str>> = HashMap::new();
        let mut differing: HashMap<&str, HashSet<&str>> = HashMap::new();
        for run in runs {
            let name = run.text("name");
            let known = first.entry(name).or_insert_with(|| run.settings().collect());
            let differing = differing.entry(name).or_default();
            differing.extend(run.settings().filter(|(key, value)| known.get(key) != Some(value)).map(|(key, _)| key));
            let gone = known.iter().filter(|(key, _)| run.get(key).is_none()).map(|(key, _)| *key);
            differing.extend(gone);
        }
        let sorted = |keys: HashSet<&'r str>| {
            let mut keys: Vec<&str> = keys.into_iter().collect();
            keys.sort_unstable();
            keys
        };
        Differences(differing.into_iter().map(|(name, keys)| (name, sorted(keys))).collect())
    }

    /// `model.depth=20 train.lr=0.1`: what sets a run apart from others of its name, but for the seed.
    pub fn setting(&self, run: &Run) -> String {
        let keys = self.0.get(run.text("name")).map(Vec::as_slice).unwrap_or_default();
        let held: Vec<&&str> = keys.iter().filter(|key| run.get(key).is_some()).collect();
        let mut parts: Vec<String> =
            held.iter().take(MOST_KEYS).map(|key| format!("{key}={}", run.text(key))).collect();
        if held.len() > MOST_KEYS {
            parts.push("…".to_owned());
        }
        parts.join(" ")
    }
}

const COLUMNS: [(&str, &str); 14] = [
    ("run", "tight"),
    ("setting", "long"),
    ("seed", "n"),
    ("status", ""),
    ("val Top-1, %", "n"),
    ("test Top-1, %", "n"),
    ("test Top-5, %", "n"),
    ("parameters", "n"),
    ("multiply-adds", "n"),
    ("epochs", "n"),
    ("seconds", "n"),
    ("device", "tight"),
    ("started, UTC", "tight"),
    ("again", "code"),
];

/// One row a run.
pub fn table(runs: &[Run], differences: &Differences, store: &Store, caption: &str) -> TableView {
    let row = |run: &Run| {
        let started = run.text("started").trim_end_matches('Z').replacen('T', " ", 1);
        let texts = [
            run.text("name").to_owned(),
            differences.setting(run),
            run.text("seed").to_owned(),
            run.text("status").to_owned(),
            percent(run.number("val_top1")),
            percent(run.number("test_top1")),
            percent(run.number("test_top5")),
            grouped(run.text("params")),
            grouped(run.text("macs")),
            run.text("epochs").to_owned(),
            run.text("seconds").to_owned(),
            format!("{} {}", run.text("device"), run.text("precision")).trim().to_owned(),
            started,
            again(run, store),
        ];
        let cell = |(text, (name, class)): (String, (&str, &'static str))| {
            let class = if name == "status" { status_class(run.status()) } else { class };
            Cell { text, class }
        };
        texts.into_iter().zip(COLUMNS).map(cell).collect()
    };
    TableView {
        caption: caption.to_owned(),
        columns: COLUMNS.iter().map(|&(name, class)| Column { name: name.to_owned(), class }).collect(),
        rows: runs.iter().map(row).collect(),
        searched: runs.len() > 10,
        note: String::new(),
    }
}

pub fn status_class(status: Option<Status>) -> &'static str {
    match status {
        Some(Status::Done) => "status done",
        Some(Status::Running) => "status running",
        Some(Status::Diverged | Status::Failed) => "status bad",
        Some(Status::Interrupted) | None => "status",
    }
}

/// The command that makes a run again. One in its place is skipped as finished unless it is forced.
pub fn again(run: &Run, store: &Store) -> String {
    let file = run.folder.join("experiment.toml");
    let forced = if store.is_archived(&run.folder) { "" } else { " --force" };
    format!("strata train {}{forced}", shell(&file.display().to_string()))
}

/// A word for a shell, in quotes where it needs them.
pub fn shell(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Curves of the newest experiments, a figure a name, and how many names there are. Runs of sweeps are shown there.
pub fn newest(runs: &[Run], differences: &Differences, in_sweeps: &HashSet<&str>) -> (Vec<FigureView>, usize) {
    let mut names: Vec<&str> = Vec::new();
    let mut by_name: HashMap<&str, Vec<&Run>> = HashMap::new();
    // Runs are sorted, the newest first.
    for run in runs.iter().filter(|run| !in_sweeps.contains(run.text("key"))) {
        let name = run.text("name");
        by_name.entry(name).or_insert_with(|| {
            names.push(name);
            Vec::new()
        });
        by_name.entry(name).and_modify(|runs| runs.push(run));
    }
    let figures = names.iter().take(NEWEST).filter_map(|name| {
        let mut groups: Vec<(String, Vec<&Run>)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for run in by_name.get(name)? {
            let setting = differences.setting(run);
            let place = *places.entry(setting.clone()).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, runs)) => runs.push(run),
                None => groups.push((setting, vec![run])),
            }
        }
        let all = groups.len();
        let best = |runs: &[&Run]| runs.iter().filter_map(|run| run.number("val_top1")).fold(0.0, f64::max);
        groups.sort_by(|a, b| best(&b.1).total_cmp(&best(&a.1)));
        groups.truncate(curves::MOST);
        let groups: Vec<CurveGroup> =
            groups.into_iter().filter_map(|(setting, runs)| group(name, setting, &runs)).collect();
        if groups.is_empty() {
            return None;
        }
        let mut figure = curves::figure(&groups, name);
        if all > groups.len() {
            figure.note =
                format!("{} The {} of {all} settings with the best validation Top-1.", figure.note, groups.len());
        }
        Some(FigureView::of(&figure))
    });
    (figures.collect(), names.len())
}

fn group(name: &str, setting: String, runs: &[&Run]) -> Option<CurveGroup> {
    let runs: Vec<_> = runs
        .iter()
        .take(SEEDS)
        .filter_map(|run| read_epochs(&run.folder).ok())
        .filter(|rows| !rows.is_empty())
        .collect();
    let name = if setting.is_empty() { name.to_owned() } else { setting };
    (!runs.is_empty()).then_some(CurveGroup { name, runs })
}
