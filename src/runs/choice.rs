//! One of several runs of a name: `NAME@latest`, `NAME@best`, and what distinguishes the runs.

use super::columns::Column;
use super::environment::Environment;
use super::format::cut;
use super::record::{Record, flatten};
use super::store::Store;
use super::table::Table;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The choice among the runs of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The one that was started or resumed last.
    Latest,
    /// The one with the highest validation Top-1; of equal ones that with the lowest validation loss.
    Best,
}

impl Choice {
    /// Splits `NAME@latest` and `NAME@best`; `None` for any other word.
    pub fn split(word: &str) -> Option<(&str, Choice)> {
        let (name, choice) = word.rsplit_once('@').filter(|(name, _)| !name.is_empty())?;
        match choice {
            "latest" => Some((name, Choice::Latest)),
            "best" => Some((name, Choice::Best)),
            _ => None,
        }
    }

    /// The chosen run folder; `None` if there is none, for the best one also if no run has ended an epoch.
    pub fn of(self, folders: &[PathBuf]) -> Option<&Path> {
        let folder = match self {
            Choice::Latest => folders.iter().max_by_key(|folder| started(folder))?,
            Choice::Best => {
                let result = |folder: &PathBuf| {
                    let record = Record::read(folder)?;
                    Some([record.number(Column::ValTop1)?, -record.number(Column::ValLoss).unwrap_or(f64::INFINITY)])
                };
                let results = folders.iter().filter_map(|folder| Some((result(folder)?, folder)));
                results.max_by(|(a, _), (b, _)| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])))?.1
            }
        };
        Some(folder)
    }
}

/// When a run was last started, in UTC to the second; ties are broken by the time of their `run.json`.
fn started(folder: &Path) -> (String, Option<SystemTime>) {
    let written = std::fs::metadata(folder.join("run.json")).and_then(|file| file.modified()).ok();
    (Environment::read(folder).map(|info| info.process.started).unwrap_or_default(), written)
}

impl Store {
    /// Describes runs by what differs: the columns `run` (`NAME/KEY`, or a path outside the results folder), the keys of the
    /// experiments that differ, `started`, `status` and `val_top1`. The latest run comes first.
    pub fn differences(&self, folders: &[PathBuf]) -> Table {
        let mut folders: Vec<&PathBuf> = folders.iter().collect();
        folders.sort_by_cached_key(|folder| std::cmp::Reverse(started(folder)));
        let settings: Vec<BTreeMap<String, String>> = folders.iter().map(|folder| settings(folder)).collect();
        let mut keys: Vec<&String> = settings.iter().flat_map(BTreeMap::keys).collect();
        keys.sort();
        keys.dedup();
        keys.retain(|key| settings.iter().any(|other| other.get(*key) != settings[0].get(*key)));
        let row = |(folder, settings): (&&PathBuf, &BTreeMap<String, String>)| {
            let runs = self.root().join("runs");
            let record = Record::read(folder).unwrap_or_default();
            let time = started(folder).0.get(..16).unwrap_or_default().replace('T', " ");
            let mut row = vec![folder.strip_prefix(runs).unwrap_or(folder).display().to_string()];
            row.extend(keys.iter().map(|key| cut(settings.get(*key).map_or("", String::as_str), LONGEST)));
            row.extend([time, record.text(Column::Status).to_owned(), record.text(Column::ValTop1).to_owned()]);
            row
        };
        let rows = folders.iter().zip(&settings).map(row).collect();
        let columns = ["run"].into_iter().chain(keys.iter().map(|key| key.as_str()));
        let columns = columns.chain([Column::Started, Column::Status, Column::ValTop1].map(Column::name));
        let columns = columns.map(str::to_owned).collect();
        Table { columns, rows }
    }
}

/// Longest value of a key in [`Store::differences`], in characters.
const LONGEST: usize = 24;

/// The keys of a run's experiment, dotted, with their values.
fn settings(folder: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder.join("experiment.toml")).unwrap_or_default();
    let mut columns = Vec::new();
    flatten("", &toml::Value::Table(text.parse().unwrap_or_default()), &mut columns);
    columns.into_iter().filter(|(key, _)| key != "name" && key != "title").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::StoreEntry;
    use std::fs;

    #[test]
    fn the_latest_and_the_best_run_of_a_name() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path());
        let run = |key: &str, lr: &str, started: &str, result: &str| {
            let folder = root.path().join("runs/net").join(key);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("experiment.toml"), format!("name = 'net'\nseed = 1\n[train]\nlr = {lr}\n")).unwrap();
            fs::write(folder.join("run.json"), format!("{{\"started\": \"{started}\"}}")).unwrap();
            if !result.is_empty() {
                fs::write(folder.join("summary.csv"), format!("status,val_top1,val_loss\n{result}\n")).unwrap();
            }
            folder
        };
        let a = run("aaaaaaaaaa", "0.1", "2026-01-01T00:00:00Z", "done,0.9,0.5");
        let b = run("bbbbbbbbbb", "0.2", "2026-01-02T00:00:00Z", "done,0.9,0.4");
        let c = run("cccccccccc", "0.3", "2026-01-03T00:00:00Z", "");
        let found = |word: &str| store.find(word).unwrap();
        assert_eq!(found("net@latest"), [StoreEntry::Run(c.clone())]);
        assert_eq!(found("net@best"), [StoreEntry::Run(b.clone())]);
        assert!(store.find("nett@best").unwrap_err().to_string().contains("did you mean `net`"));
        assert!(store.find("net@worst").unwrap_err().to_string().contains("NAME@latest or NAME@best"));
        assert_eq!(Choice::Best.of(std::slice::from_ref(&c)), None);

        let table = store.differences(&[a, b, c]);
        assert_eq!(table.columns, ["run", "train.lr", "started", "status", "val_top1"]);
        assert_eq!(table.rows[0], ["net/cccccccccc", "0.3", "2026-01-03 00:00", "", ""]);
        assert_eq!(table.rows[2], ["net/aaaaaaaaaa", "0.1", "2026-01-01 00:00", "done", "0.9"]);
    }
}
