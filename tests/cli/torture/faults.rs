//! Faults injected at every write of a run in turn, and in its steps.

use super::recipes::Recipe;
use super::{Place, Whole, plain, print_table, tally};
use crate::place::Ran;
use std::fs;
use std::time::Duration;

fn with_fault(place: &Place, arguments: &[&str], fault: &str) -> Ran {
    Ran::from(place.command(arguments).env("STRATA_FAULT", fault).output().unwrap())
}

/// Lets `what` happen at each `step`-th write of a run, begins each anew, and lets it go on without the fault. Gives how
/// many writes were hit.
fn every_write(what: &str, onwards: &str, step: usize) -> usize {
    let recipe = Recipe::named("adamw-ema");
    let experiment = recipe.experiment(2);
    let whole = Whole::of(recipe.name, &experiment);
    let mut hit = 0;
    for write in (1..).step_by(step) {
        let place = Place::new();
        place.file("adamw-ema.toml", &experiment);
        let fault = format!("write:{write}{onwards}:{what}");
        let ran = with_fault(&place, &["train", "adamw-ema.toml"], &fault);
        if !ran.err.contains("fault injected") {
            ran.good();
            break;
        }
        hit += 1;
        assert!(plain(&ran.err), "{fault}: {}", ran.err);
        if what == "kill" {
            assert_eq!(ran.code, None, "{fault}: {}", ran.err);
        } else if ran.code != Some(0) {
            let reason = if what == "enospc" { "No space left" } else { "Read-only file system" };
            assert!(matches!(ran.code, Some(1 | 2)) && ran.err.contains(reason), "{fault}: {}", ran.err);
        }
        let again = place.strata(&["train", "adamw-ema.toml"]);
        assert_eq!(again.code, Some(0), "{fault}, then: {}", again.err);
        assert_eq!(whole.differs(&place.run(recipe.name)), None, "{fault}");
    }
    hit
}

#[test]
fn a_full_disk_loses_nothing() {
    assert!(every_write("enospc", "+", 19) > 2);
}

#[test]
fn a_kill_within_a_write_loses_nothing() {
    assert!(every_write("kill", "", 17) > 2);
}

#[test]
#[ignore = "long: make torture"]
fn long_faults() {
    let (mut rows, mut all) = (Vec::new(), 0);
    for (what, onwards, words) in [
        ("enospc", "", "disk full for one write"),
        ("enospc", "+", "disk full from one write on"),
        ("erofs", "+", "read-only from one write on"),
        ("kill", "", "killed in the middle of a write"),
    ] {
        let hit = every_write(what, onwards, 1);
        all += hit as u64;
        rows.push(vec![words.to_owned(), hit.to_string()]);
    }
    print_table(&["fault", "writes hit, each then gone on with to the equal result"], &rows);
    tally("disk full, read-only, or killed, at every write of a run in turn", all, "nothing: equal to the bit");
}

#[test]
fn memory_that_runs_out_says_what_to_lower_and_the_run_can_go_on() {
    let recipe = Recipe::named("sgd");
    let experiment = recipe.experiment(2);
    let whole = Whole::of("sgd", &experiment);
    let place = Place::new();
    place.file("sgd.toml", &experiment);
    let ran = with_fault(&place, &["train", "sgd.toml"], "step:15:oom");
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("can't allocate memory") && ran.err.contains("a smaller train.batch"), "{}", ran.err);
    assert_eq!(ran.err.matches("DefaultCPUAllocator").count(), 1, "said once: {}", ran.err);
    let run = place.run("sgd");
    assert_eq!((run.summary()["status"].as_str(), run.epochs().len()), ("failed", 2));
    place.strata(&["train", "sgd.toml"]).good();
    assert_eq!(whole.differs(&run), None);
}

/// A sweep of which only the longer point comes to the step with the fault.
fn sweep_with(fault: &str) -> (Place, Ran) {
    let place = Place::new();
    let points = "[sweep]\ntrain.epochs = [2, 1]\n";
    place.file("grid.toml", format!("{}{points}", Recipe::named("dropout").experiment(1).replace("epochs = 1\n", "")));
    let ran = with_fault(&place, &["sweep", "grid.toml", "--retries", "0"], fault);
    (place, ran)
}

#[test]
fn a_sweep_goes_on_past_a_point_without_memory_and_one_that_diverges() {
    for (fault, status) in [("step:20:oom", "failed"), ("step:20:nan", "diverged")] {
        let (place, ran) = sweep_with(fault);
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(plain(&ran.err), "{}", ran.err);
        let table = fs::read_to_string(place.path("results/sweeps/grid/table.csv")).unwrap();
        assert!(table.contains(status) && table.contains(",done,"), "{fault}: {table}");
    }
}

#[test]
fn gradients_that_are_no_numbers_are_told_with_step_and_parameter() {
    for (clip, words) in [
        ("", "the loss is NaN in step 14 (epoch 2, batch 2), first in the update of `"),
        ("clip", "the gradients are not finite in step 13 (epoch 2, batch 1), first in that of `"),
    ] {
        let place = Place::new();
        let experiment = Recipe::named("sgd").experiment(3);
        place.file("sgd.toml", if clip.is_empty() { experiment } else { format!("{experiment}clip_norm = 1.0\n") });
        let ran = with_fault(&place, &["train", "sgd.toml"], "step:13:nan");
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(ran.err.contains(words), "{}", ran.err);
        let run = place.run("sgd");
        assert_eq!(
            (run.summary()["status"].as_str(), run.epochs().len()),
            ("diverged", 2),
            "the first epoch's row stays"
        );
        assert!(run.read("run.json").contains(&format!("\"outcome\": \"diverged: {words}")));
    }
}

#[test]
fn a_results_folder_that_vanishes_is_an_error_and_not_a_crash() {
    let experiment = Recipe::named("sgd").experiment(60);
    let place = Place::new();
    place.file("sgd.toml", &experiment);
    let mut running = place.start("sgd.toml");
    // The run makes files meanwhile, so removing may have to be tried again.
    for _ in 0..100 {
        if fs::remove_dir_all(place.path("results")).is_ok() || !place.path("results").exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    for _ in 0..600 {
        if running.ended() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(running.wait().code(), Some(1));
}

#[test]
fn a_fault_that_is_misspelt_is_refused() {
    let place = Place::with_tiny();
    let ran = with_fault(&place, &["train", "tiny.toml"], "write:often:enospc");
    ran.refused(&["STRATA_FAULT=write:often:enospc is not POINT:N:WHAT"]);
    assert!(!place.path("results").exists());
}
