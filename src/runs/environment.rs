//! `run.json`: under what circumstances a run came about.

use super::git::Commit;
use super::process::{Process, changes};
use super::status::Status;
use serde::{Deserialize, Serialize};
use std::path::Path;

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
            outcome: Status::Running.name().to_owned(),
            ..RunInfo::default()
        }
    }

    /// The `run.json` in the folder of a run; `None` where there is none that can be read.
    pub fn read(folder: &Path) -> Option<RunInfo> {
        RunInfo::parse(&std::fs::read_to_string(folder.join("run.json")).ok()?)
    }

    fn parse(json: &str) -> Option<RunInfo> {
        let mut info: RunInfo = serde_json::from_str(json).ok()?;
        // Earlier versions recorded the number of threads of each process, and nothing else.
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
        self.outcome == Status::Running.name()
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
}
