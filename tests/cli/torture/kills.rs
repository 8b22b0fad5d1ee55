//! SIGKILL, SIGTERM and Ctrl-C at moments that follow from a seed.

use super::recipes::{RECIPES, Recipe};
use super::{Place, Whole, kills_asked, print_table, tally};
use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;
use strata::random;

struct Survived {
    kills: u64,
    /// Of these, with the first checkpoint already there: the run had to be taken up, not begun.
    taken_up: u64,
    /// Runs that came to their end and were compared.
    ends: u64,
}

fn spawn(place: &Place, file: &str) -> Child {
    place.command(&["train", file]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A moment in the life of a process, its start and end included.
fn moment(whole: &Whole, recipe: &Recipe, kill: u64) -> Duration {
    whole.time.mul_f64(1.02 * random::uniform(random::key(1, recipe.name, &[kill]), 0))
}

/// Kills a run `kills` times. A run that comes to its end is compared, and another is begun.
fn survive(recipe: &Recipe, kills: u64) -> Survived {
    let experiment = recipe.experiment(5);
    let whole = Whole::of(recipe.name, &experiment);
    let file = format!("{}.toml", recipe.name);
    let mut survived = Survived { kills: 0, taken_up: 0, ends: 0 };
    let mut place = Place::new();
    place.file(&file, &experiment);
    let mut attempt = 0;
    let compare = |place: &Place, survived: &mut Survived| {
        let difference = whole.differs(&place.run(recipe.name));
        assert_eq!(difference, None, "{}, after {} kills", recipe.name, survived.kills);
        survived.ends += 1;
    };
    while survived.kills < kills {
        let mut child = spawn(&place, &file);
        std::thread::sleep(moment(&whole, recipe, attempt));
        attempt += 1;
        assert!(attempt < 20 * kills, "the runs end before they can be killed");
        match child.try_wait().unwrap() {
            Some(status) => {
                assert!(status.success(), "{}: {status} after {} kills", recipe.name, survived.kills);
                compare(&place, &mut survived);
                place = Place::new();
                place.file(&file, &experiment);
            }
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                survived.kills += 1;
                survived.taken_up += u64::from(rows_are_right(&place, recipe, &whole) > 0);
            }
        }
    }
    place.strata(&["train", &file]).good();
    compare(&place, &mut survived);
    survived
}

/// The table that a kill leaves has the rows of the undisturbed run, the last perhaps cut; gives how many are whole.
fn rows_are_right(place: &Place, recipe: &Recipe, whole: &Whole) -> usize {
    let folder = place.path("results/runs").join(recipe.name);
    let Some(run) = fs::read_dir(folder).into_iter().flatten().flatten().next() else { return 0 };
    let text = fs::read_to_string(run.path().join("epochs.csv")).unwrap_or_default();
    let lines: Vec<&str> = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect();
    for (line, right) in lines.iter().zip(&whole.epochs) {
        let values = line.split(',').take(9).collect::<Vec<_>>().join(",");
        assert_eq!(&values, right, "{}: a row that a kill left", recipe.name);
    }
    lines.len().saturating_sub(1)
}

#[test]
fn kills_at_any_moment_change_nothing() {
    let survived = survive(Recipe::named("aux"), 4);
    assert_eq!(survived.kills, 4);
}

#[test]
#[ignore = "long: make torture"]
fn long_kills() {
    let mut rows = Vec::new();
    let mut all = 0;
    for recipe in RECIPES {
        let survived = survive(recipe, kills_asked());
        all += survived.kills;
        let counts = [survived.kills, survived.taken_up, survived.ends].map(|count| count.to_string());
        rows.push([vec![recipe.name.to_owned(), recipe.holds.to_owned()], counts.to_vec()].concat());
    }
    print_table(&["recipe", "with", "kills", "with epochs done", "ends compared: equal"], &rows);
    println!("  {all} kills survived, results equal to the bit, rows lost: none");
    let holds = "SGD, Adam, AdamW, RMSprop, averages, dropout, stochastic depth, augmentation, auxiliary head";
    let what = format!("SIGKILL at a random moment, {} recipes ({holds})", RECIPES.len());
    tally(&what, all, "nothing: tables and weights equal to the bit");
}

/// Stops a run cleanly at `moments` moments; each stop must save where it is, so that no step is done twice.
fn stop_and_go_on(recipe: &Recipe, signal: &str, moments: u64) -> u64 {
    let experiment = recipe.experiment(20);
    let whole = Whole::of(recipe.name, &experiment);
    let place = Place::new();
    let file = format!("{}.toml", recipe.name);
    place.file(&file, &experiment);
    let (mut stops, mut step) = (0, 0);
    for kill in 0..moments {
        let mut running = place.start(&file);
        std::thread::sleep(moment(&whole, recipe, 1000 + kill).mul_f64(0.5));
        if running.ended() {
            running.wait();
            break;
        }
        running.signal(signal);
        let status = running.wait();
        let run = place.run(recipe.name);
        if status.success() {
            break; // it was at its last step
        }
        assert_eq!(status.code(), Some(130), "{}", recipe.name);
        assert_eq!(run.summary()["status"], "interrupted");
        let position: serde_json::Value = serde_json::from_str(&run.read("checkpoint/last/position.json")).unwrap();
        let reached = position["position"]["step"].as_u64().unwrap();
        assert!(reached > step, "{}: a stop after step {step} saved step {reached}", recipe.name);
        (stops, step) = (stops + 1, reached);
    }
    place.strata(&["train", &file]).good();
    assert_eq!(whole.differs(&place.run(recipe.name)), None, "{}, {signal}", recipe.name);
    stops
}

#[test]
#[ignore = "long: make torture"]
fn long_stops() {
    let (mut rows, mut all) = (Vec::new(), 0);
    for signal in ["INT", "TERM"] {
        for recipe in RECIPES {
            let stops = stop_and_go_on(recipe, signal, 5);
            all += stops;
            rows.push(vec![format!("SIG{signal}"), recipe.name.to_owned(), stops.to_string()]);
        }
    }
    print_table(&["signal", "recipe", "clean stops (exit 130), then equal"], &rows);
    tally("Ctrl-C, SIGTERM", all, "nothing: the step is saved, exit code 130, then equal to the bit");
}
