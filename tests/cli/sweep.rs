//! Sweeps: side by side, killed, shared, stopped and gone on with.

use super::place::{Place, Ran, TINY, names};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use strata::runs::{Record, locked_by};

/// Four points of a fraction of a second.
const GRID: &str = "[sweep]\nmodel.depth = [8, 14]\nseed = [0, 1]\n";

fn place(sweep: &str) -> Place {
    let place = Place::new();
    place.file("grid.toml", format!("{TINY}{sweep}"));
    place
}

/// Two points that take long enough to be met while they run.
fn slow_place() -> Place {
    let place = Place::new();
    place.file("grid.toml", format!("{}[sweep]\nseed = [0, 1]\n", TINY.replace("epochs = 2", "epochs = 20")));
    place
}

/// The rows of `table.csv` without times, in no order.
fn rows(place: &Place) -> BTreeSet<Vec<(String, String)>> {
    let mut reader = csv::Reader::from_path(place.path("results/sweeps/grid/table.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    let row = |record: Result<csv::StringRecord, _>| {
        let record = record.unwrap();
        let mut cells: Vec<_> = header.iter().map(str::to_owned).zip(record.iter().map(str::to_owned)).collect();
        cells.retain(|(column, _)| column != "seconds");
        cells.sort();
        cells
    };
    reader.records().map(row).collect()
}

fn statuses(place: &Place) -> Vec<String> {
    let status = |row: Vec<(String, String)>| row.into_iter().find(|(column, _)| column == "status").unwrap().1;
    rows(place).into_iter().map(status).collect()
}

fn spawn(place: &Place, arguments: &[&str]) -> Child {
    let mut command = place.command(&[&["sweep", "grid.toml"], arguments].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn finish(child: Child) -> Ran {
    Ran::from(child.wait_with_output().unwrap())
}

/// Folders of runs, and who holds each, once one has an epoch behind it.
fn wait_for_an_epoch(place: &Place) -> (PathBuf, String) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        for run in std::fs::read_dir(place.path("results/runs/grid")).into_iter().flatten().flatten() {
            let table = std::fs::read_to_string(run.path().join("epochs.csv")).unwrap_or_default();
            if table.lines().count() > 2
                && let Some(holder) = locked_by(&run.path())
            {
                return (run.path(), holder.strip_prefix("process ").unwrap().to_owned());
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("no run began");
}

fn kill(signal: &str, process: &str) {
    assert!(Command::new("sh").args(["-c", &format!("kill -{signal} {process}")]).status().unwrap().success());
}

#[test]
fn neither_jobs_nor_the_order_of_points_change_a_number() {
    let one = place(GRID);
    let out = one.strata(&["sweep", "grid.toml"]).good();
    assert!(out.contains("4 of 4 points done") && out.contains('±'), "{out}");
    let several = place("[sweep]\nseed = [1, 0]\nmodel.depth = [14, 8]\n");
    several.strata(&["sweep", "grid.toml", "--jobs", "3"]).good();
    assert_eq!(rows(&one), rows(&several));
    assert!(statuses(&one).iter().all(|status| status == "done"));

    let summary = std::fs::read_to_string(one.path("results/sweeps/grid/summary.csv")).unwrap();
    assert!(summary.starts_with("model.depth,n,params,macs,val_top1_mean,val_top1_std,val_top1_low"), "{summary}");
    assert!(summary.lines().nth(1).unwrap().starts_with("8,2,"), "{summary}");

    // All of it is there: nothing runs again.
    let again = one.strata(&["sweep", "grid.toml", "--jobs", "2"]);
    assert!(again.err.contains("4 of 4 points finished before"), "{}", again.err);
    again.good();
}

#[test]
fn a_point_that_is_killed_is_tried_again_and_the_others_go_on() {
    let place = slow_place();
    let sweep = spawn(&place, &["--jobs", "2"]);
    let (_, process) = wait_for_an_epoch(&place);
    kill("KILL", &process);
    let ran = finish(sweep);
    assert!(ran.err.contains("SIGKILL") && ran.err.contains("retried later"), "{}", ran.err);
    ran.good();
    assert_eq!(statuses(&place), ["done"; 2]);
}

#[test]
fn a_point_that_fails_for_good_is_said_and_fails_the_sweep() {
    let place = slow_place();
    let sweep = spawn(&place, &["--retries", "0"]);
    let (run, process) = wait_for_an_epoch(&place);
    kill("KILL", &process);
    let ran = finish(sweep);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("FAILED") && ran.err.contains("failed: seed="), "{}", ran.err);
    assert!(ran.out.contains("1 of 2 points done, 1 failed"), "{}", ran.out);
    assert_eq!(statuses(&place).into_iter().collect::<BTreeSet<_>>(), ["done", "failed"].map(str::to_owned).into());
    let log = place.path("results/sweeps/grid/points").join(run.file_name().unwrap()).with_extension("log");
    assert!(std::fs::read_to_string(log).unwrap().contains("multiply-adds"));
    // The same command makes the rest.
    place.strata(&["sweep", "grid.toml"]).good();
    assert_eq!(statuses(&place), ["done"; 2]);
}

#[test]
fn what_is_wrong_with_data_is_not_tried_again() {
    let points = "[sweep]\nzip = [{ data.dataset = ['imagenet', 'synthetic'], model.classes = [1000, 10] }]\n";
    let place = place(points);
    let ran = place.strata(&["sweep", "grid.toml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("was refused as bad input") && !ran.err.contains("retried"), "{}", ran.err);
    assert!(ran.err.contains("error: "), "the point's own words: {}", ran.err);
    assert!(ran.out.contains("1 of 2 points done, 1 failed"), "{}", ran.out);
    let fast = self::place(points).strata(&["sweep", "grid.toml", "--fail-fast"]);
    assert_eq!(fast.code, Some(1), "{}", fast.err);
    assert!(fast.out.contains("0 of 2 points done, 1 failed, 1 not finished"), "{}", fast.out);
}

#[test]
fn a_point_that_diverges_is_an_outcome() {
    let place = place("[sweep]\ntrain.lr = [1000.0, 0.1]\n");
    for _ in 0..2 {
        let ran = place.strata(&["sweep", "grid.toml"]);
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(ran.err.contains("diverged: train.lr=1000.0") && !ran.err.contains("failed"), "{}", ran.err);
        assert!(ran.out.contains("1 of 2 points done, 1 diverged →"), "{}", ran.out);
        assert!(!ran.err.contains("retried"), "{}", ran.err);
    }
    assert_eq!(statuses(&place).into_iter().collect::<BTreeSet<_>>(), ["diverged", "done"].map(str::to_owned).into());
}

#[test]
fn two_sweeps_share_the_work_and_do_no_point_twice() {
    let place = place("[sweep]\nseed = [0, 1, 2, 3]\n");
    let sweeps = [spawn(&place, &["--jobs", "2"]), spawn(&place, &[])];
    for sweep in sweeps {
        finish(sweep).good();
    }
    assert_eq!(statuses(&place), ["done"; 4]);
    for run in place.runs("grid") {
        let log = std::fs::read_to_string(run.join("run.log")).unwrap();
        assert_eq!(log.matches(" an epoch; ").count(), 1, "{log}");
    }
}

#[test]
fn a_point_that_another_process_runs_is_left_to_it_and_taken_over_when_that_dies() {
    let place = slow_place();
    let experiment = format!("name = 'grid'\n{}", TINY.replace("epochs = 2", "epochs = 20"));
    place.file("one.toml", experiment);
    let running = place.start("one.toml");
    let (run, _) = wait_for_an_epoch(&place);
    // Frozen it holds its folder for as long as the test likes.
    running.signal("STOP");
    let mut sweep = spawn(&place, &["--jobs", "2"]);
    let mut said = BufReader::new(sweep.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains("waiting for 1 point that is locked by another process")));
    assert_eq!(statuses(&place), ["", "done"]);
    running.kill();
    let rest: Vec<String> = said.collect();
    assert!(rest.iter().any(|line| line.contains("sweep 2/2 seed=0: done")), "{rest:?}");
    finish(sweep).good();
    let log = std::fs::read_to_string(run.join("run.log")).unwrap();
    assert!(log.contains("resumed after epoch"), "{log}");
}

#[test]
fn ctrl_c_saves_every_point_and_the_same_command_goes_on() {
    let whole = slow_place();
    whole.strata(&["sweep", "grid.toml", "--jobs", "2"]).good();
    let place = slow_place();
    let sweep = spawn(&place, &["--jobs", "2"]);
    let (run, _) = wait_for_an_epoch(&place);
    kill("INT", &sweep.id().to_string());
    let ran = finish(sweep);
    assert_eq!(ran.code, Some(130), "{}", ran.err);
    assert!(ran.err.contains("the same command resumes"), "{}", ran.err);
    assert_eq!(Record::read(&run).unwrap().text("status"), "interrupted");
    let ran = place.strata(&["sweep", "grid.toml"]);
    ran.good();
    let log = std::fs::read_to_string(run.join("run.log")).unwrap();
    assert!(log.contains("resumed after epoch"), "{log}");
    assert_eq!(rows(&place), rows(&whole));
}

#[test]
fn points_stop_when_their_sweep_is_killed() {
    let place = Place::new();
    place.file("grid.toml", format!("{}[sweep]\nseed = [0]\n", TINY.replace("epochs = 2", "epochs = 3000")));
    let mut sweep = spawn(&place, &[]);
    let (run, _) = wait_for_an_epoch(&place);
    sweep.kill().unwrap();
    sweep.wait().unwrap();
    let start = Instant::now();
    while locked_by(&run).is_some() {
        assert!(start.elapsed() < Duration::from_secs(20), "the point runs on");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(Record::read(&run).unwrap().text("status"), "interrupted");
}

#[test]
fn a_dry_run_lists_points_and_runs_none() {
    let sweep = "[sweep]\nseed = [0, 1]\nmacs = [3e5, 2e6]\n[sweep.random]\ncount = 3\n\
                 model.depth = [8, 14, 50]\ntrain.lr = { log_uniform = [0.01, 0.1] }\n";
    let place = place(sweep);
    let out = place.strata(&["sweep", "grid.toml", "--dry-run"]).good();
    assert!(out.contains("6 points, 6 to run; estimate unavailable: no finished run"), "{out}");
    assert!(!place.path("results").exists());
    assert_eq!(out.matches(" to run \n").count(), 6, "{out}");
    // A finished run of any experiment gives the time.
    place.file("tiny.toml", TINY);
    place.strata(&["train", "tiny.toml"]).good();
    let out = place.strata(&["sweep", "grid.toml", "--dry-run"]).good();
    assert!(out.contains("estimated from the finished runs nearest in multiply-adds"), "{out}");
    assert_eq!(names(&place.path("results")), ["runs"]);

    let scaling = self::place(
        "[sweep.scaling]\ntimes = 2\naxes = ['depth', 'width', 'resolution']\ntolerance = 0.2\n[scaling]\nround = 1\n",
    );
    let out = scaling.strata(&["sweep", "grid.toml", "--dry-run"]).good();
    assert!(out.contains("scaling.target_macs") && out.contains("resolution"), "{out}");
    scaling
        .strata(&["sweep", "grid.toml", "--dry-run", "--set", "sweep.scaling.macs=1"])
        .refused(&["a target is `macs` or `times`, not both", "grid.toml:"]);
    scaling.strata(&["sweep", "grid.toml", "--jobs", "0"]).refused(&["--jobs takes 1 to 1024, not 0"]);
}

/// It used to change nothing, in silence.
#[test]
fn a_swept_key_is_not_set() {
    let place = place(GRID);
    let told = ["`seed` is swept, so --set seed changes nothing", "sweep.seed=[…]"];
    place.strata(&["sweep", "grid.toml", "--dry-run", "--set", "seed=3"]).refused(&told);
    let out =
        place.strata(&["sweep", "grid.toml", "--dry-run", "--set", "sweep.seed=[3]", "--set", "train.epochs=1"]).good();
    assert!(out.contains("2 points"), "{out}");
}

/// A copy of another experiment's folder used to count as the point's result.
#[test]
fn a_run_of_another_experiment_is_no_point() {
    let place = place("[sweep]\nseed = [0, 1]\n");
    place.strata(&["sweep", "grid.toml"]).good();
    let whole = rows(&place);
    let runs = place.runs("grid");
    let [first, second] = &runs[..] else { panic!("{runs:?}") };
    std::fs::copy(first.join("summary.csv"), second.join("summary.csv")).unwrap();
    // Nothing of the point that is known from elsewhere stands in for it.
    std::fs::remove_dir_all(place.path("results/sweeps")).unwrap();
    let ran = place.strata(&["sweep", "grid.toml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("has the result of another experiment"), "{}", ran.err);
    assert_eq!(statuses(&place).iter().filter(|status| *status == "done").count(), 1);
    let out = place.strata(&["compare", "grid", "--runs", "--all"]).good();
    assert!(out.contains("failed") && out.matches("done").count() == 1, "{out}");
    std::fs::remove_dir_all(second).unwrap();
    place.strata(&["sweep", "grid.toml"]).good();
    assert_eq!(rows(&place), whole);
}

/// `cargo build` in the midst of a sweep let the later points be computed by another program.
#[test]
fn all_points_are_computed_by_the_program_that_was_started() {
    let place = place("[sweep]\nseed = [0, 1, 2, 3]\n");
    let program = place.path("program");
    std::fs::copy(env!("CARGO_BIN_EXE_strata"), &program).unwrap();
    let mut command = Command::new(&program);
    command.current_dir(place.path("")).args(["--threads", "1", "sweep", "grid.toml"]);
    let sweep = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while !place.path("results/runs/grid").exists() && start.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let other = place.file("other", "#!/bin/sh\nexit 3\n");
    std::fs::rename(other, &program).unwrap();
    let ran = finish(sweep);
    assert!(ran.out.contains("4 of 4 points done"), "{}\n{}", ran.out, ran.err);
}

/// Bytes that are no UTF-8 in --results went to the points as others.
#[test]
fn results_may_be_a_folder_of_any_name() {
    use std::os::unix::ffi::OsStrExt;
    let place = place("[sweep]\nseed = [0]\n");
    let results = place.path("").join(std::ffi::OsStr::from_bytes(b"r\xff"));
    let mut command = place.command(&["sweep", "grid.toml", "--results"]);
    let ran = Ran::from(command.arg(&results).output().unwrap());
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
    assert!(results.join("runs/grid").is_dir());
}
