//! The properties of a process on which the last digits of a result depend.

use super::clock::utc_now;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Environment variables that change how libtorch, oneDNN, MKL or CUDA compute.
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
    /// The vector instructions that kernels use.
    pub cpu_capability: String,
    /// Sums over images are split among threads, so that their number changes rounding.
    pub threads: i64,
    /// The variables among [`VARIABLES`] that are set.
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

/// The differences between two processes that can change a result, such as `4 threads after 2`. Properties that were not
/// recorded are ignored, and so is the host.
pub(super) fn changes(before: &Process, now: &Process) -> Vec<String> {
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
    // Earlier versions recorded the number of threads only.
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
    fn changes_that_affect_results_are_listed() {
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
        let expected =
            ["1 thread after 2", "vector instructions AVX2 after AVX512", "ONEDNN_MAX_CPU_ISA AVX2 after unset"];
        assert_eq!(changes(&Process { environment: BTreeMap::new(), ..one }, &other), expected);
        // As earlier versions recorded it.
        let old = Process { threads: 1, ..Process::default() };
        assert!(changes(&old, &other).is_empty());
    }
}
