//! What may change a number and what may not: other processes, the order of work, `--jobs` and a resume may not; other
//! threads may, and are told.

use super::place::{Place, Ran, Run, TINY};
use std::collections::BTreeMap;

/// Wide enough that libtorch splits its loops among threads.
const WIDE: &str = r#"
[data]
dataset = "synthetic"
validation = 100
limit = 128
augment = { crop = 2, flip = true }

[model]
input = [1, 16, 16]
stochastic_depth = { survival = 0.5 }
rows = [
  { op = "conv", kernel = 3, width = 32 },
  { op = "aux", pool = "adaptive", width = 8, hidden = 16 },
  { op = "basic", width = 32, repeat = 2, dropout = 0.2 },
  { op = "separable", width = 48 },
  { op = "global_avg_pool" },
  { op = "classifier" },
]

[train]
epochs = 2
batch = 64
optimizer = "adamw"
lr = 3e-3
ema = 0.9
"#;

/// With so many threads, in the place of the fixture's one.
fn with_threads(place: &Place, threads: &str, arguments: &[&str]) -> Ran {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_strata"));
    command.current_dir(place.path("")).env("XDG_CACHE_HOME", place.path("cache"));
    Ran::from(command.args(["--threads", threads]).args(arguments).output().unwrap())
}

#[test]
fn two_processes_give_the_same_bits() {
    for threads in ["1", "2", "3"] {
        let run = || {
            let place = Place::new();
            place.file("wide.toml", WIDE);
            with_threads(&place, threads, &["train", "wide.toml"]).good();
            place.run("wide").result()
        };
        assert!(run() == run(), "with {threads} threads");
    }
}

/// libgomp gave fewer threads than asked for under these variables, and oneDNN's bf16 kernels then computed NaN or hung.
#[test]
fn variables_of_openmp_change_the_number_of_threads_and_nothing_else() {
    let run = |variable: (&str, &str), arguments: &[&str]| {
        let place = Place::new();
        place.file("wide.toml", WIDE);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_strata"));
        command.current_dir(place.path("")).env("XDG_CACHE_HOME", place.path("cache")).env(variable.0, variable.1);
        let arguments = [arguments, &["train", "wide.toml", "--set", "train.precision=bf16"]].concat();
        let ran = Ran::from(command.args(arguments).output().unwrap());
        (place, ran)
    };
    let result = |(place, ran): (Place, Ran)| {
        ran.good();
        let run = place.run("wide");
        (threads(&run).0, run.result())
    };
    let [one, two] = ["1", "2"].map(|threads| result(run(("OMP_NUM_THREADS", threads), &[])));
    assert_eq!((one.0, two.0), (1, 2));
    assert!(result(run(("OMP_THREAD_LIMIT", "1"), &[])) == one);
    assert!(result(run(("OMP_DYNAMIC", "true"), &["--threads", "2"])) == two);
    let (_place, ran) = run(("OMP_THREAD_LIMIT", "1"), &["--threads", "2"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("2 threads are more than OMP_THREAD_LIMIT=1 allows"), "{}", ran.err);
}

/// The threads that `run.json` tells, and those of processes before.
fn threads(run: &Run) -> (i64, Vec<i64>) {
    let info: serde_json::Value = serde_json::from_str(&run.read("run.json")).unwrap();
    let before = info["processes_before"].as_array().cloned().unwrap_or_default();
    (info["threads"].as_i64().unwrap(), before.iter().map(|process| process["threads"].as_i64().unwrap()).collect())
}

#[test]
fn other_threads_in_a_resume_are_told_and_recorded() {
    let place = Place::with_tiny();
    let file = place.file("tiny.toml", TINY.replace("epochs = 2", "epochs = 3"));
    let file = file.to_str().unwrap();
    let fault = place.command(&["train", file]).env("STRATA_FAULT", "step:4:kill").output().unwrap();
    assert!(!fault.status.success());
    let run = place.run("tiny");
    assert_eq!(threads(&run), (1, vec![]));
    let ran = with_threads(&place, "2", &["train", file]);
    let words = "this run is resumed with 2 threads after 1";
    assert!(ran.err.contains(words) && ran.err.contains("will differ in the last digits"), "{}", ran.err);
    ran.good();
    assert_eq!(threads(&run), (2, vec![1]));
    assert!(run.read("run.log").contains(words));
    // A run that begins anew has no such past, and one that goes on with the same threads is not bothered.
    let ran = with_threads(&place, "2", &["train", file, "--force"]);
    assert!(!ran.err.contains("this run goes on"), "{}", ran.err);
    ran.good();
    assert_eq!(threads(&run), (2, vec![]));
    std::fs::remove_file(run.path("summary.csv")).unwrap();
    let ran = with_threads(&place, "2", &["train", file]);
    assert!(ran.err.contains("resumed after epoch 3") && !ran.err.contains("this run goes on"), "{}", ran.err);
}

/// A run went on with other vector instructions, and so with other bits, without a word; `run.json` forgot the first ones.
#[test]
fn another_processor_in_a_resume_is_told_and_recorded() {
    let place = Place::with_tiny();
    let mut command = place.command(&["train", "tiny.toml"]);
    command.env("STRATA_FAULT", "step:4:kill").env("ATEN_CPU_CAPABILITY", "avx2");
    assert!(!command.output().unwrap().status.success());
    let ran = Ran::from(place.command(&["train", "tiny.toml"]).env("ONEDNN_MAX_CPU_ISA", "AVX2").output().unwrap());
    let told = ["ATEN_CPU_CAPABILITY unset after avx2", "ONEDNN_MAX_CPU_ISA AVX2 after unset"];
    assert!(told.iter().all(|words| ran.err.contains(words)), "{}", ran.err);
    ran.good();
    let info: serde_json::Value = serde_json::from_str(&place.run("tiny").read("run.json")).unwrap();
    let variables = [&info["processes_before"][0], &info].map(|process| process["environment"].clone());
    assert_eq!(variables[0], serde_json::json!({ "ATEN_CPU_CAPABILITY": "avx2" }));
    assert_eq!(variables[1], serde_json::json!({ "ONEDNN_MAX_CPU_ISA": "AVX2" }));
    // A sweep passes the note of its point on.
    place.file("grid.toml", format!("{TINY}[sweep]\nseed = [0]\n"));
    let killed = place.command(&["sweep", "grid.toml", "--retries", "0"]).env("STRATA_FAULT", "step:4:kill").output();
    assert_eq!(killed.unwrap().status.code(), Some(1));
    let ran = with_threads(&place, "2", &["sweep", "grid.toml"]);
    assert!(ran.err.contains("sweep: seed=0: this run is resumed with 2 threads after 1"), "{}", ran.err);
}

/// Results of all runs below a name, by their key.
fn results(place: &Place, name: &str) -> BTreeMap<String, impl PartialEq + use<>> {
    let run = |folder| {
        let run = Run { folder };
        (run.key().to_owned(), run.result())
    };
    place.runs(name).into_iter().map(run).collect()
}

#[test]
fn order_jobs_and_resumes_change_no_bit_of_a_sweep() {
    let place = |points: &str| {
        let place = Place::new();
        place.file("grid.toml", format!("{WIDE}{points}"));
        place
    };
    let one = place("[sweep]\nseed = [0, 1]\ntrain.lr = [1e-3, 3e-3]\n");
    one.strata(&["sweep", "grid.toml"]).good();
    // The other way round, three at once, and every point killed within its second epoch.
    let other = place("[sweep]\ntrain.lr = [3e-3, 1e-3]\nseed = [1, 0]\n");
    let arguments = ["sweep", "grid.toml", "--jobs", "3", "--retries", "0"];
    let killed = Ran::from(other.command(&arguments).env("STRATA_FAULT", "step:4:kill").output().unwrap());
    assert!(killed.out.contains("0 of 4 points done, 4 failed"), "{}\n{}", killed.out, killed.err);
    other.strata(&["sweep", "grid.toml", "--jobs", "3"]).good();
    for run in other.runs("grid") {
        assert!(std::fs::read_to_string(run.join("run.log")).unwrap().contains("resumed after epoch 1"));
    }
    let (one, other) = (results(&one, "grid"), results(&other, "grid"));
    assert_eq!(one.len(), 4);
    assert!(one == other);
}

/// Nothing that one experiment leaves in the process, such as the state of a generator, reaches the next.
#[test]
fn experiments_of_one_command_do_not_touch_one_another() {
    let alone = Place::trained("wide", WIDE);
    let behind = Place::with_tiny();
    behind.file("wide.toml", WIDE);
    behind.strata(&["train", "tiny.toml", "wide.toml"]).good();
    assert!(alone.run("wide").result() == behind.run("wide").result());
}
