//! `run.json`: under what circumstances a run came about.

use super::format::counted;
use super::git::Commit;
use serde::Serialize;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The circumstances of a run.
#[derive(Clone, Debug, Serialize)]
pub struct RunInfo {
    pub strata: &'static str,
    pub libtorch: String,
    pub cpu_capability: String,
    pub host: String,
    pub device: String,
    pub precision: String,
    pub threads: i64,
    /// The thread counts of the processes that this one goes on from, in their order, none twice in a row. Sums over images
    /// are split among threads, so the count is part of what decides the last digits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub threads_before: Vec<i64>,
    /// What the dataset calls itself: a copy that differs from the published files says so.
    pub dataset: String,
    /// By what the data is known again when the run goes on.
    pub data: String,
    /// Commit of the folder that the program was started in; empty outside a repository.
    pub git: String,
    pub dirty: bool,
    pub command: Vec<String>,
    /// UTC, ISO 8601.
    pub started: String,
    pub finished: String,
    pub outcome: String,
}

impl RunInfo {
    /// What can be known before the run; `device` and `precision` as in the summary, `data` a fingerprint.
    pub fn new(device: &str, precision: &str, dataset: &str, data: &str) -> RunInfo {
        let Commit { hash: git, dirty } = Commit::of(Path::new("."));
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        RunInfo {
            strata: env!("CARGO_PKG_VERSION"),
            libtorch: crate::torch::version(),
            cpu_capability: crate::torch::cpu_capability(),
            host: host.trim().to_owned(),
            device: device.to_owned(),
            precision: precision.to_owned(),
            threads: i64::from(tch::get_num_threads()),
            threads_before: Vec::new(),
            dataset: dataset.to_owned(),
            data: data.to_owned(),
            git,
            dirty,
            command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
            started: utc_now(),
            finished: String::new(),
            outcome: "running".to_owned(),
        }
    }

    /// The commit, with a mark where the tree has changes.
    pub fn git_mark(&self) -> String {
        if self.dirty { format!("{}-dirty", self.git) } else { self.git.clone() }
    }

    /// The fingerprint of the data that a `run.json` tells; `None` where there is none to be read.
    pub fn data_of(json: &str) -> Option<String> {
        let info: serde_json::Value = serde_json::from_str(json).ok()?;
        info.get("data")?.as_str().map(str::to_owned)
    }

    /// The thread counts that a `run.json` tells, its own last, none twice in a row; empty where there are none to be read.
    pub fn threads_of(json: &str) -> Vec<i64> {
        let info: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
        let before = info.get("threads_before").and_then(serde_json::Value::as_array);
        let mut counts: Vec<i64> =
            before.into_iter().flatten().chain(info.get("threads")).filter_map(|n| n.as_i64()).collect();
        counts.dedup();
        counts
    }

    /// What a person should know of a run that goes on with other threads than it had. It is no error, for the machine may be
    /// another, but the last digits are then not those of a run that was never stopped.
    pub fn other_threads(&self) -> Option<String> {
        let last = *self.threads_before.last().filter(|&&last| last != self.threads)?;
        let counts = |number: i64| counted(number.unsigned_abs() as usize, "thread");
        Some(format!(
            "this run had {} and goes on with {}: sums are split another way, so its numbers will differ in the last digits \
             from those of a run that was never stopped; --threads {last} keeps them (run.json lists both)",
            counts(last),
            counts(self.threads),
        ))
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
    fn thread_counts_are_told_in_order_and_none_twice_in_a_row() {
        let told = |json: &str| RunInfo::threads_of(json);
        assert_eq!(told(r#"{ "threads": 2, "threads_before": [1, 2] }"#), [1, 2]);
        assert_eq!(told(r#"{ "threads": 1, "threads_before": [1, 2] }"#), [1, 2, 1]);
        assert_eq!(told(r#"{ "threads": 8 }"#), [8], "as runs were written before");
        assert_eq!((told("{ cut"), told(r#"{ "threads": "many", "threads_before": 3 }"#)), (vec![], vec![]));
    }

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_781), (2026, 11, 24));
    }
}
