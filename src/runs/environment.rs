//! `run.json`: under what circumstances a run came about.

use super::git::Commit;
use super::process::{Process, changes};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The circumstances of a run. What a `run.json` of an earlier version does not have is empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunInfo {
    /// The process that worked on the run last.
    #[serde(flatten)]
    pub process: Process,
    /// Those that worked on it before, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processes_before: Vec<Process>,
    pub device: String,
    pub precision: String,
    /// What the dataset calls itself: a copy that differs from the published files says so.
    pub dataset: String,
    /// Fingerprint of the images.
    pub data: String,
    /// Commit of the folder that the program was started in; empty outside a repository.
    pub git: String,
    pub dirty: bool,
    pub command: Vec<String>,
    /// UTC, ISO 8601.
    pub finished: String,
    pub outcome: String,
    #[serde(rename = "threads_before", skip_serializing)]
    counts_before: Vec<i64>,
}

/// The outcome of a run that has not ended.
const RUNNING: &str = "running";

impl RunInfo {
    /// What can be known before the run; `device` and `precision` as in the summary, `data` a fingerprint.
    pub fn new(device: &str, precision: &str, dataset: &str, data: &str) -> RunInfo {
        let Commit { hash: git, dirty } = Commit::of(Path::new("."));
        RunInfo {
            process: Process::this(),
            device: device.to_owned(),
            precision: precision.to_owned(),
            dataset: dataset.to_owned(),
            data: data.to_owned(),
            git,
            dirty,
            command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
            outcome: RUNNING.to_owned(),
            ..RunInfo::default()
        }
    }

    /// The `run.json` in the folder of a run; `None` where there is none that can be read.
    pub fn read(folder: &Path) -> Option<RunInfo> {
        RunInfo::parse(&std::fs::read_to_string(folder.join("run.json")).ok()?)
    }

    fn parse(json: &str) -> Option<RunInfo> {
        let mut info: RunInfo = serde_json::from_str(json).ok()?;
        // Versions before 0.2 recorded of earlier processes the number of threads.
        let counts = std::mem::take(&mut info.counts_before);
        info.processes_before.extend(counts.into_iter().map(|threads| Process { threads, ..Process::default() }));
        Some(info)
    }

    /// Takes the run up that `earlier` tells of: its processes come before this one.
    pub fn go_on(&mut self, earlier: RunInfo) {
        self.processes_before = earlier.processes_before;
        self.processes_before.push(earlier.process);
    }

    /// Whether no end was recorded.
    pub fn is_running(&self) -> bool {
        self.outcome == RUNNING
    }

    /// The commit, with a mark where the tree has changes.
    pub fn git_mark(&self) -> String {
        if self.dirty { format!("{}-dirty", self.git) } else { self.git.clone() }
    }

    /// What a person should know of a run that goes on under other circumstances. It is no error, for the machine may be
    /// another, but the last digits are then not those of a run that was never stopped.
    pub fn other_process(&self) -> Option<String> {
        let changes = changes(self.processes_before.last()?, &self.process);
        (!changes.is_empty()).then(|| {
            format!(
                "this run goes on with {}: its numbers will differ in the last digits from those of a run that was never \
                 stopped (run.json lists every process)",
                changes.join(", ")
            )
        })
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// Now, as `2026-01-31T12:00:00Z`.
pub fn utc_now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days as i64);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Year, month and day of a day counted from 1970-01-01 (Howard Hinnant's algorithm).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processes_of_a_run_are_kept_in_their_order() {
        let threads = |info: &RunInfo| -> Vec<i64> {
            info.processes_before.iter().chain([&info.process]).map(|process| process.threads).collect()
        };
        let old =
            RunInfo::parse(r#"{ "threads": 2, "threads_before": [1, 3], "data": "d", "outcome": "done" }"#).unwrap();
        assert_eq!((threads(&old), old.data.as_str(), old.is_running()), (vec![1, 3, 2], "d", false));
        let mut info = RunInfo::new("cpu", "fp32", "synthetic", "d");
        info.process.threads = 4;
        info.go_on(old);
        let read = RunInfo::parse(&info.to_json()).unwrap();
        assert_eq!(threads(&read), [1, 3, 2, 4]);
        assert!(read.is_running() && read.process == info.process && read.data == "d");
        assert!(read.other_process().unwrap().contains("goes on with 4 threads after 2"));
        assert!(RunInfo::parse("{ cut").is_none() && RunInfo::parse(r#"{ "threads": "many" }"#).is_none());
    }

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_781), (2026, 11, 24));
    }
}
