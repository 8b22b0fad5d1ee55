//! A wall clock that steps by decades between any two looks at it.

use super::recipes::Recipe;
use super::{Place, Whole, plain};
use crate::place::{Ran, Run};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Stands in front of the C library's clock in every process that loads it, libtorch's calls included. Each look is 80 years
/// early (before 1970, where seconds are negative), 20 years early or 30 years late in turn; the monotonic clock is left alone.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long jump(void) {
  static const long years[] = {-80, 30, -20};
  static atomic_uint looks;
  return years[atomic_fetch_add(&looks, 1) % 3] * 31557600L;
}

int clock_gettime(clockid_t id, struct timespec *now) {
  int failed = (int)syscall(SYS_clock_gettime, id, now);
  if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += jump();
  return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec at;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &at);
  now->tv_sec = at.tv_sec;
  now->tv_usec = at.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *out) {
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  if (out) *out = at.tv_sec;
  return at.tv_sec;
}
"#;

/// The clock as a library to load.
fn clock(place: &Place) -> PathBuf {
    let (source, library) = (place.file("clock.c", CLOCK), place.path("clock.so"));
    // The compiler that the shim was built with is there.
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    library
}

fn jumping(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    command.env("LD_PRELOAD", clock(place));
    command
}

/// The stamp, which must be a date; gives its year.
fn year(stamp: &str) -> u32 {
    let shape: String = stamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00Z", "{stamp}");
    stamp[..4].parse().unwrap()
}

/// No time in the run's tables is negative or as long as the clock's steps; both stamps are dates that the clock gave.
fn times_are_right(run: &Run, now: u32) {
    for row in run.read("epochs.csv").lines().skip(1) {
        let times: Vec<f64> = row.split(',').skip(9).take(2).map(|cell| cell.parse().unwrap()).collect();
        assert!((0.0..600.0).contains(&times[0]) && times[1] > 0.0, "{row}");
    }
    let seconds: f64 = run.summary()["seconds"].parse().unwrap();
    assert!((0.0..600.0).contains(&seconds), "{seconds}");
    let info: serde_json::Value = serde_json::from_str(&run.read("run.json")).unwrap();
    let years = ["started", "finished"].map(|key| year(info[key].as_str().unwrap()));
    // The true year is none of the clock's.
    let given = [now - 80, now - 20, now + 30];
    assert!(years.iter().all(|year| given.iter().any(|given| year.abs_diff(*given) < 2)), "{years:?}");
    year(&run.summary()["started"]);
}

/// By the clock of the test, which does not jump.
fn this_year() -> u32 {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    1970 + (seconds / 31_557_600) as u32
}

#[test]
fn a_clock_that_jumps_changes_nothing() {
    let recipe = Recipe::named("adamw-ema");
    let experiment = recipe.experiment(4);
    let whole = Whole::of(recipe.name, &experiment);
    let place = Place::new();
    place.file("adamw-ema.toml", &experiment);
    // Stopped in the third epoch, gone on with, and looked at: all under that clock.
    let mut stopped = jumping(&place, &["train", "adamw-ema.toml"]);
    let stopped = Ran::from(stopped.env("STRATA_FAULT", "step:30:kill").output().unwrap());
    assert!(stopped.err.contains("fault injected"), "{}", stopped.err);
    let ran = Ran::from(jumping(&place, &["train", "adamw-ema.toml"]).output().unwrap());
    assert!(ran.err.contains("resumed after epoch 2") && plain(&ran.err), "{}", ran.err);
    ran.good();
    let run = place.run(recipe.name);
    assert_eq!(whole.differs(&run), None);
    times_are_right(&run, this_year());
    for arguments in [&["compare"][..], &["report"], &["eval", "adamw-ema"]] {
        let ran = Ran::from(jumping(&place, arguments).output().unwrap());
        assert!(plain(&ran.err), "{arguments:?}: {}", ran.err);
        ran.good();
    }
}

fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Nothing waits for a moment that the clock put decades away, and nothing that runs looks as if it were over.
#[test]
fn a_sweep_under_a_clock_that_jumps_ends_as_any_other() {
    let points = "[sweep]\nseed = [0, 1, 2]\n";
    let sweep = || {
        let place = Place::new();
        place.file("grid.toml", format!("{}{points}", Recipe::named("sgd").experiment(2)));
        place
    };
    let place = sweep();
    let start = Instant::now();
    let ran =
        Ran::from(spawn(&mut jumping(&place, &["sweep", "grid.toml", "--jobs", "2"])).wait_with_output().unwrap());
    assert!(start.elapsed() < Duration::from_secs(120) && plain(&ran.err), "{}", ran.err);
    assert!(ran.good().contains("3 of 3 points done"));
    let calm = sweep();
    calm.strata(&["sweep", "grid.toml"]).good();
    for run in calm.runs("grid") {
        let jumped = Run { folder: place.path("results/runs/grid").join(run.file_name().unwrap()) };
        assert!(jumped.result() == Run { folder: run }.result());
        times_are_right(&jumped, this_year());
    }
}
