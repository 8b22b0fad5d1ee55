//! How runs end that do not come to their end: killed, crashed, stopped in the midst of validation, robbed of their folder.

use super::place::{Place, Ran, Run, Running, TINY};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// An epoch of which validation takes most: a second or two.
const SLOW: &str = r#"
[data]
dataset = "synthetic"
validation = 1900
limit = 64

[model]
input = [1, 28, 28]
rows = [
  { op = "conv", kernel = 3, width = 48 },
  { op = "conv", kernel = 3, width = 48 },
  { op = "conv", kernel = 3, width = 48 },
  { op = "global_avg_pool" },
  { op = "classifier" },
]

[train]
epochs = 1
batch = 16
lr = 0.05
precision = "fp32"
"#;

const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `found` has a value.
#[track_caller]
fn wait_for<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn outcome(run: &Run) -> String {
    let info: serde_json::Value = serde_json::from_str(&run.read("run.json")).unwrap();
    info["outcome"].as_str().unwrap().to_owned()
}

/// The one run of this name, once it has an outcome.
#[track_caller]
fn ended(place: &Place, name: &str) -> Run {
    let run = place.run(name);
    wait_for(|| (outcome(&run) != "running" && run.path("summary.csv").exists()).then_some(()));
    run
}

/// `run.json` said `running` for ever, and there was no summary.
#[test]
fn a_run_that_is_killed_or_crashes_is_recorded_as_failed() {
    let whole = Place::trained("tiny", &long_tiny());
    for signal in ["KILL", "ABRT", "ILL"] {
        let place = Place::new();
        let running = halted(&place);
        running.signal(signal);
        running.signal("CONT");
        assert!(!running.wait().success());
        let run = ended(&place, "tiny");
        assert!(outcome(&run).starts_with("failed: the process ended without recording why"), "{}", outcome(&run));
        let (summary, rows) = (run.summary(), run.epochs().len() - 1);
        assert_eq!((summary["status"].as_str(), summary["epochs"].clone()), ("failed", rows.to_string()));
        place.strata(&["train", "tiny.toml"]).good();
        assert!(run.result() == whole.run("tiny").result());
    }
}

/// Too little memory ended in SIGABRT, in SIGSEGV within oneDNN, or in a panic, and nothing recorded it.
#[test]
fn a_run_without_memory_is_recorded_and_told_what_to_lower() {
    let mut began = 0;
    // A step takes half a gibibyte.
    let large = SLOW.replace("validation = 1900", "validation = 100").replace("limit = 64", "limit = 500");
    for mebibytes in [300, 400, 500, 600, 700, 800, 900] {
        let place = Place::new();
        place.file("tiny.toml", large.replace("batch = 16", "batch = 500"));
        let command = format!("ulimit -v {}; exec {} train tiny.toml", 1024 * mebibytes, env!("CARGO_BIN_EXE_strata"));
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).current_dir(place.path("")).env("XDG_CACHE_HOME", place.path("cache"));
        let ran = Ran::from(shell.output().unwrap());
        if ran.code == Some(0) || !place.path("results/runs/tiny").exists() {
            continue;
        }
        let runs = place.runs("tiny");
        if runs.iter().all(|run| !run.join("run.json").exists()) {
            continue;
        }
        began += 1;
        let run = ended(&place, "tiny");
        assert_eq!(run.summary()["status"], "failed");
        assert!(outcome(&run).contains("needs less memory"), "{mebibytes} MiB: {}", outcome(&run));
    }
    assert!(began > 0, "no limit was met after a run had begun");
}

/// Was looked at after the validation, and after the last epoch not at all.
#[test]
fn a_signal_stops_validation_and_test() {
    // Validation takes half a second on a fast processor.
    let whole = Place::trained("slow", &SLOW.replace("width = 48", "width = 96"));
    let file = whole.path("slow.toml");
    for (phase, rows) in [("validation", 0), ("test", 1)] {
        let place = Place::new();
        let running = place.start(file.to_str().unwrap());
        let run = place.run("slow");
        if phase == "validation" {
            // The four steps take less.
            std::thread::sleep(Duration::from_millis(200));
        } else {
            wait_for(|| run.path("checkpoint/last").exists().then_some(()));
        }
        let start = Instant::now();
        running.signal("INT");
        assert_eq!(running.wait().code(), Some(130), "{phase}");
        assert!(start.elapsed() < Duration::from_secs(2), "{phase}: {:?}", start.elapsed());
        assert_eq!(run.summary()["status"], "interrupted");
        let written =
            fs::read_to_string(run.path("epochs.csv")).map_or(0, |text| text.lines().count().saturating_sub(1));
        assert_eq!(written, rows, "{phase}");
        place.strata(&["train", file.to_str().unwrap()]).good();
        assert!(run.result() == whole.run("slow").result(), "{phase}");
    }
}

/// Whether a process has installed its handler of SIGTERM, which takes longer on a busy machine.
fn handles_term(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> 14 & 1 == 1)
}

/// The first signal only told a process that it would stop "after this step", and it waited on.
#[test]
fn a_signal_ends_a_process_that_has_nothing_to_save() {
    let place = Place::new();
    let lock = place.file("cache/strata/datasets/.cifar10.lock", "");
    let lock = fs::File::open(lock).unwrap();
    lock.lock().unwrap();
    place.file("c.toml", TINY.replace("synthetic", "cifar10").replace("[1, 14, 14]", "[3, 14, 14]"));
    for arguments in [&["fetch", "cifar10"][..], &["train", "c.toml"]] {
        let mut child = place.command(arguments).stderr(std::process::Stdio::null()).spawn().unwrap();
        wait_for(|| handles_term(child.id()).then_some(()));
        std::thread::sleep(Duration::from_millis(300));
        assert!(child.try_wait().unwrap().is_none(), "it waits for the lock");
        let kill = format!("kill -TERM {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let start = Instant::now();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}

fn long_tiny() -> String {
    TINY.replace("epochs = 2", "epochs = 40")
}

/// A run with some of its 40 epochs done, halted there.
fn halted(place: &Place) -> Running {
    place.file("tiny.toml", long_tiny());
    let running = place.start("tiny.toml");
    wait_for(|| fs::read_to_string(place.run("tiny").path("epochs.csv")).ok().filter(|text| text.lines().count() > 2));
    running.signal("STOP");
    running
}

/// Both ended "done", and their rows were mixed.
#[test]
fn a_process_whose_folder_was_deleted_does_not_write_into_that_of_another() {
    let place = Place::new();
    let running = halted(&place);
    let folder = place.run("tiny").folder;
    fs::remove_dir_all(&folder).unwrap();
    place.strata(&["train", "tiny.toml"]).good();
    let after = place.run("tiny");
    let result = (after.result(), after.read("run.json"));
    running.signal("CONT");
    assert_eq!(running.wait().code(), Some(1));
    assert!((after.result(), after.read("run.json")) == result);
    assert_eq!(after.epochs().len(), 41);
}

/// The run went on with a new table, and was done with half of the rows.
#[test]
fn a_table_that_was_deleted_is_missed() {
    for change in ["removed", "cut"] {
        let place = Place::new();
        let running = halted(&place);
        let run = place.run("tiny");
        match change {
            "removed" => fs::remove_file(run.path("epochs.csv")).unwrap(),
            _ => fs::File::options().write(true).open(run.path("epochs.csv")).unwrap().set_len(100).unwrap(),
        }
        running.signal("CONT");
        assert_eq!(running.wait().code(), Some(1), "{change}");
        assert!(outcome(&run).contains("epochs.csv was removed or changed by another program"), "{}", outcome(&run));
        assert_eq!(run.summary()["status"], "failed");
    }
}

/// A full disk behind standard output ended the command before the second experiment ran.
#[test]
fn standard_output_that_is_full_ends_no_later_run() {
    let place = Place::with_tiny();
    place.file("other.toml", TINY);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = place.command(&["train", "tiny.toml", "other.toml"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    for name in ["tiny", "other"] {
        assert_eq!(place.run(name).summary()["status"], "done");
    }
}
