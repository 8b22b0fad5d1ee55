//! Runs on the page: their table, their curves, and what distinguishes them.

use super::gather::StoredRun;
use super::view::{Cell, FigureView, Heading, TableView, grouped, percent};
use crate::figures::curves::{self, CurveGroup};
use crate::runs::{Column, Epochs, Status, Store, group_by};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The page has curves of this number of experiments, the newest ones.
const NEWEST: usize = 12;
/// Seeds in the curves of an experiment.
const SEEDS: usize = 10;
/// More differing keys of a run are hidden.
const MOST_KEYS: usize = 8;

/// The keys in which the runs of an experiment differ, by its name.
pub(super) struct Differences<'r>(HashMap<&'r str, Vec<&'r str>>);

impl<'r> Differences<'r> {
    pub(super) fn of(runs: &'r [StoredRun]) -> Differences<'r> {
        let mut first: HashMap<&str, BTreeMap<&str, &str>> = HashMap::new();
        let mut differing: HashMap<&str, HashSet<&str>> = HashMap::new();
        for run in runs {
            let name = run.text(Column::Name);
            let known = first.entry(name).or_insert_with(|| run.settings().collect());
            let differing = differing.entry(name).or_default();
            differing.extend(run.settings().filter(|(key, value)| known.get(key) != Some(value)).map(|(key, _)| key));
            let missing = known.iter().filter(|(key, _)| run.get(key).is_none()).map(|(key, _)| *key);
            differing.extend(missing);
        }
        let sorted = |keys: HashSet<&'r str>| {
            let mut keys: Vec<&str> = keys.into_iter().collect();
            keys.sort_unstable();
            keys
        };
        Differences(differing.into_iter().map(|(name, keys)| (name, sorted(keys))).collect())
    }

    /// What distinguishes a run from others of its name, but for the seed: `model.depth=20 train.lr=0.1`.
    pub(super) fn setting(&self, run: &StoredRun) -> String {
        let keys = self.0.get(run.text(Column::Name)).map(Vec::as_slice).unwrap_or_default();
        let known: Vec<&&str> = keys.iter().filter(|key| run.get(key).is_some()).collect();
        let mut parts: Vec<String> =
            known.iter().take(MOST_KEYS).map(|key| format!("{key}={}", run.text(key))).collect();
        if known.len() > MOST_KEYS {
            parts.push("…".to_owned());
        }
        parts.join(" ")
    }
}

/// What a column of the table of runs shows: heading, CSS class, cell.
type RunColumn<'a> = (&'static str, &'static str, &'a dyn Fn(&StoredRun) -> String);

/// One row for each run.
pub(super) fn table(runs: &[StoredRun], differences: &Differences, store: &Store, caption: &str) -> TableView {
    let columns: [RunColumn; 14] = [
        ("run", "tight", &|run| run.text(Column::Name).to_owned()),
        ("setting", "long", &|run| differences.setting(run)),
        ("seed", "n", &|run| run.text(Column::Seed).to_owned()),
        ("status", "", &|run| run.text(Column::Status).to_owned()),
        ("val Top-1, %", "n", &|run| percent(run.number(Column::ValTop1))),
        ("test Top-1, %", "n", &|run| percent(run.number(Column::TestTop1))),
        ("test Top-5, %", "n", &|run| percent(run.number(Column::TestTop5))),
        ("parameters", "n", &|run| grouped(run.text(Column::Params))),
        ("multiply-adds", "n", &|run| grouped(run.text(Column::Macs))),
        ("epochs", "n", &|run| run.text(Column::Epochs).to_owned()),
        ("seconds", "n", &|run| run.text(Column::Seconds).to_owned()),
        ("device", "tight", &device),
        ("started, UTC", "tight", &|run| run.text(Column::Started).trim_end_matches('Z').replacen('T', " ", 1)),
        ("reproduce", "code", &|run| reproduce(run, store)),
    ];
    let cell = |run: &StoredRun, (heading, class, text): RunColumn| {
        let class = if heading == "status" { status_class(run.status()) } else { class };
        Cell { text: text(run), class }
    };
    TableView {
        caption: caption.to_owned(),
        columns: columns.iter().map(|&(name, class, _)| Heading { name: name.to_owned(), class }).collect(),
        rows: runs.iter().map(|run| columns.iter().map(|&column| cell(run, column)).collect()).collect(),
        searched: runs.len() > 10,
        note: String::new(),
    }
}

/// Device and precision of a run.
pub(super) fn device(run: &StoredRun) -> String {
    format!("{} {}", run.text(Column::Device), run.text(Column::Precision)).trim().to_owned()
}

/// The CSS class of a status.
pub(super) fn status_class(status: Option<Status>) -> &'static str {
    match status {
        Some(Status::Done) => "status done",
        Some(Status::Running) => "status running",
        Some(Status::Diverged | Status::Failed) => "status bad",
        Some(Status::Interrupted) | None => "status",
    }
}

/// The command that reproduces a run. Without `--force` a run in the results folder would be skipped as finished.
pub(super) fn reproduce(run: &StoredRun, store: &Store) -> String {
    let file = run.folder.join("experiment.toml");
    let forced = if store.is_archived(&run.folder) { "" } else { " --force" };
    format!("strata train {}{forced}", shell(&file.display().to_string()))
}

/// Quotes a word for a shell, where necessary.
pub(super) fn shell(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Curves of the newest experiments, one figure for each name, and the number of names. Runs of sweeps are excluded.
pub(super) fn newest(
    runs: &[StoredRun],
    differences: &Differences,
    in_sweeps: &HashSet<&str>,
) -> (Vec<FigureView>, usize) {
    let outside = runs.iter().filter(|run| !in_sweeps.contains(run.text(Column::Key)));
    // Runs are sorted, the newest first.
    let by_name = group_by(outside, |run| run.text(Column::Name));
    let figures = by_name.iter().take(NEWEST).filter_map(|(name, runs)| {
        let mut groups = group_by(runs.iter().copied(), |run| differences.setting(run));
        let all = groups.len();
        let best = |runs: &[&StoredRun]| runs.iter().filter_map(|run| run.number(Column::ValTop1)).fold(0.0, f64::max);
        groups.sort_by(|a, b| best(&b.1).total_cmp(&best(&a.1)));
        groups.truncate(curves::MOST);
        let groups: Vec<CurveGroup> =
            groups.into_iter().filter_map(|(setting, runs)| group(name, setting, &runs)).collect();
        if groups.is_empty() {
            return None;
        }
        Some(FigureView::of(&curves::figure(&groups, all, name)))
    });
    (figures.collect(), by_name.len())
}

fn group(name: &str, setting: String, runs: &[&StoredRun]) -> Option<CurveGroup> {
    let runs: Vec<_> = runs
        .iter()
        .take(SEEDS)
        .filter_map(|run| Epochs::read(&run.folder).ok())
        .filter(|epochs| !epochs.is_empty())
        .collect();
    let name = if setting.is_empty() { name.to_owned() } else { setting };
    (!runs.is_empty()).then_some(CurveGroup { name, runs })
}
