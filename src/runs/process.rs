//! The process that works on a run: all of it that decides the last digits of a result.

use super::clock::utc_now;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Variables that make libtorch, oneDNN, MKL or CUDA compute in another way.
const VARIABLES: [&str; 11] = [
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "DNNL_CPU_ISA_HINTS",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_CPU_ISA_HINTS",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
];

/// A process that worked on a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Version of Strata.
    pub strata: String,
    pub libtorch: String,
    pub host: String,
    /// The processor's name.
    pub processor: String,
    /// The vector instructions of libtorch's kernels, and of ours.
    pub cpu_capability: String,
    /// Sums over images are divided among threads.
    pub threads: i64,
    /// Those of [`VARIABLES`] that are set.
    pub environment: BTreeMap<String, String>,
    /// UTC, ISO 8601.
    pub started: String,
}

impl Process {
    /// This process.
    pub fn this() -> Process {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let set = VARIABLES.iter().filter_map(|&name| Some((name.to_owned(), std::env::var(name).ok()?)));
        Process {
            strata: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch: crate::torch::version(),
            host: host.trim().to_owned(),
            processor: processor().unwrap_or_default(),
            cpu_capability: crate::torch::cpu_capability(),
            threads: i64::from(tch::get_num_threads()),
            environment: set.collect(),
            started: utc_now(),
        }
    }
}

fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(line.trim_start_matches([' ', '\t', ':']).trim().to_owned())
}

/// In what `now` differs from the process `before` it, as far as that was recorded, where it can change a result: `4 threads
/// after 2`. The host's name is told with another processor only.
pub fn changes(before: &Process, now: &Process) -> Vec<String> {
    let mut changes = Vec::new();
    let mut compare = |what: &str, before: &str, now: &str| {
        if before != now {
            changes.push(format!("{what}{now} after {before}"));
        }
    };
    let count = |threads: i64| if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
    if before.threads > 0 && before.threads != now.threads {
        compare("", &before.threads.to_string(), &count(now.threads));
    }
    // A process of which the threads alone are known was recorded by an earlier version.
    if before.strata.is_empty() {
        return changes;
    }
    for (what, before, now) in [
        ("processor ", &before.processor, &now.processor),
        ("vector instructions ", &before.cpu_capability, &now.cpu_capability),
        ("libtorch ", &before.libtorch, &now.libtorch),
        ("Strata ", &before.strata, &now.strata),
    ] {
        if !before.is_empty() {
            compare(what, before, now);
        }
    }
    for name in VARIABLES {
        let value = |process: &'_ Process| process.environment.get(name).cloned().unwrap_or_else(|| "unset".to_owned());
        compare(&format!("{name} "), &value(before), &value(now));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_change_a_result_is_told() {
        let one = Process { threads: 2, cpu_capability: "AVX512".to_owned(), ..Process::this() };
        assert!(
            changes(&one, &Process { started: "later".to_owned(), host: "other".to_owned(), ..one.clone() }).is_empty()
        );
        let other = Process {
            threads: 1,
            cpu_capability: "AVX2".to_owned(),
            environment: BTreeMap::from([("ONEDNN_MAX_CPU_ISA".to_owned(), "AVX2".to_owned())]),
            ..one.clone()
        };
        let told = ["1 thread after 2", "vector instructions AVX2 after AVX512", "ONEDNN_MAX_CPU_ISA AVX2 after unset"];
        assert_eq!(changes(&Process { environment: BTreeMap::new(), ..one }, &other), told);
        // As earlier versions recorded it.
        let old = Process { threads: 1, ..Process::default() };
        assert!(changes(&old, &other).is_empty());
    }
}
