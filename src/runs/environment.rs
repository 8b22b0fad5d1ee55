//! `run.json`: the environment of a run, that is process, device, data, commit, command line and outcome.

use super::git::Commit;
use super::process::{Process, changes};
use super::status::Status;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The environment of a run. Fields that a `run.json` of an earlier version lacks are empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// The last process that worked on the run.
    #[serde(flatten)]
    pub process: Process,
    /// Earlier processes, the first one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processes_before: Vec<Process>,
    /// The run that this one was continued from with more epochs, as NAME/KEY.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub parent: String,
    pub device: String,
    pub precision: String,
    /// The name of the dataset, which says so where a copy differs from the published files.
    pub dataset: String,
    /// Fingerprint of the images.
    pub data: String,
    /// The version of the decoder that made pixels of the image files; `None` where pixels are stored, and for earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoder: Option<u32>,
    /// Commit of the working directory; empty outside a repository.
    pub git: String,
    pub dirty: bool,
    pub command: Vec<String>,
    /// UTC, ISO 8601.
    pub finished: String,
    pub outcome: String,
    #[serde(rename = "threads_before", skip_serializing)]
    counts_before: Vec<i64>,
}

impl Environment {
    /// What is known before the run. `device` and `precision` are written as in the summary, `data` is a fingerprint.
    pub fn new(device: &str, precision: &str, dataset: &str, data: &str) -> Environment {
        let Commit { hash: git, dirty } = Commit::of(Path::new("."));
        Environment {
            process: Process::this(),
            device: device.to_owned(),
            precision: precision.to_owned(),
            dataset: dataset.to_owned(),
            data: data.to_owned(),
            git,
            dirty,
            command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
            outcome: Status::Running.name().to_owned(),
            ..Environment::default()
        }
    }

    /// Reads the `run.json` of a run; `None` where it is missing or cannot be read.
    pub fn read(folder: &Path) -> Option<Environment> {
        Environment::parse(&std::fs::read_to_string(folder.join("run.json")).ok()?)
    }

    fn parse(json: &str) -> Option<Environment> {
        let mut info: Environment = serde_json::from_str(json).ok()?;
        // Earlier versions recorded the number of threads of each process, and nothing else.
        let counts = std::mem::take(&mut info.counts_before);
        info.processes_before.extend(counts.into_iter().map(|threads| Process { threads, ..Process::default() }));
        Some(info)
    }

    /// Continues the run of an earlier process.
    pub fn resume(&mut self, earlier: Environment) {
        self.parent = earlier.parent;
        self.processes_before = earlier.processes_before;
        self.processes_before.push(earlier.process);
    }

    /// Whether no outcome is recorded yet.
    pub fn is_running(&self) -> bool {
        self.outcome == Status::Running.name()
    }

    /// The commit, with `-dirty` where the working tree had changes.
    pub(super) fn git_mark(&self) -> String {
        if self.dirty { format!("{}-dirty", self.git) } else { self.git.clone() }
    }

    /// A note for a run that is resumed in another environment. That is allowed, since the machine may have changed, but the last
    /// digits then differ from those of an uninterrupted run.
    pub fn other_process(&self) -> Option<String> {
        let changes = changes(self.processes_before.last()?, &self.process);
        (!changes.is_empty()).then(|| {
            format!(
                "this run is resumed with {}: its numbers will differ in the last digits from those of an uninterrupted run \
                 (run.json lists every process)",
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
    fn the_processes_of_a_run_are_listed_in_order() {
        let threads = |info: &Environment| -> Vec<i64> {
            info.processes_before.iter().chain([&info.process]).map(|process| process.threads).collect()
        };
        let old = Environment::parse(r#"{ "threads": 2, "threads_before": [1, 3], "data": "d", "outcome": "done" }"#)
            .unwrap();
        assert_eq!((threads(&old), old.data.as_str(), old.is_running()), (vec![1, 3, 2], "d", false));
        let mut info = Environment::new("cpu", "fp32", "synthetic", "d");
        info.process.threads = 4;
        info.resume(old);
        let read = Environment::parse(&info.to_json()).unwrap();
        assert_eq!(threads(&read), [1, 3, 2, 4]);
        assert!(read.is_running() && read.process == info.process && read.data == "d");
        assert!(read.other_process().unwrap().contains("resumed with 4 threads after 2"));
        assert!(Environment::parse("{ cut").is_none() && Environment::parse(r#"{ "threads": "many" }"#).is_none());
    }
}
