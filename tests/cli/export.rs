//! Runs for other trackers, read back by the trackers' own packages where `scripts/trackers.sh` has installed them.

use super::place::{Place, TINY};
use std::path::PathBuf;
use std::process::Command;

/// The environment of `scripts/trackers.sh`.
fn python() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    Some(cache.join("strata/trackers/bin/python")).filter(|python| python.is_file())
}

#[test]
fn trackers_read_what_was_exported() {
    let place = Place::trained("tiny", TINY);
    let label = format!("tiny-{}", place.run("tiny").key());
    for (tracker, folder, loss) in [
        ("tensorboard", "tensorboard", "loss/train"),
        ("mlflow", "mlruns", "train_loss"),
        ("wandb", "wandb", "train_loss"),
    ] {
        let wrote = place.strata(&["export", tracker, "tiny"]).wrote();
        assert!(wrote.len() == 1 && wrote[0].contains(folder) && place.path(folder).is_dir(), "{wrote:?}");
        // A second export replaces the first.
        assert_eq!(place.strata(&["export", tracker]).wrote(), wrote);
        let Some(python) = python() else {
            println!("{tracker} is not installed (scripts/trackers.sh): its files were written but not read back");
            continue;
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/read_trackers.py");
        let read = Command::new(python).arg(script).arg(tracker).arg(place.path(folder)).output().unwrap();
        let (text, problem) = (String::from_utf8_lossy(&read.stdout), String::from_utf8_lossy(&read.stderr));
        let losses: Vec<f64> =
            place.run("tiny").epochs()[1..].iter().map(|row| row.split(',').nth(3).unwrap().parse().unwrap()).collect();
        for (epoch, loss_there) in (1..).zip(losses) {
            // 128 images in batches of 64 are two steps an epoch.
            let line = format!("{label} {loss} {} ", 2 * epoch);
            let found = text.lines().find_map(|text| text.strip_prefix(&line)?.parse::<f64>().ok());
            let found = found.unwrap_or_else(|| panic!("no `{line}` in\n{text}{problem}"));
            assert!((found - loss_there).abs() <= 1e-5 * loss_there, "{found} {loss_there}");
        }
    }
}

#[test]
fn a_word_that_stands_for_no_run_is_refused() {
    let place = Place::trained("tiny", TINY);
    place.strata(&["export", "wandb", "tine"]).refused(&["there is nothing called `tine`", "did you mean `tiny`?"]);
    place.strata(&["export", "wanda", "tiny"]).refused(&["wandb"]);
    place.strata(&["export", "wandb", "tiny", "--set", "seed=1"]).refused(&["--set changes a key of an experiment"]);
}

#[test]
fn shells_get_completions_of_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Place::new().strata(&["completions", shell]).good();
        for command in ["train", "compare", "export"] {
            assert!(script.contains(command), "{shell} {command}");
        }
    }
}

/// Tab after `strata COMMAND WORD`, by the script in bash itself.
#[test]
fn bash_completes_names_of_experiments() {
    let place = Place::new();
    for name in ["mine", "sweeps/mine-wide", "other"] {
        place.file(&format!("experiments/{name}.toml"), TINY);
    }
    let script = place.strata(&["completions", "bash"]).good();
    let complete = |words: &str, at: usize| {
        let last = words.rsplit(' ').next().unwrap();
        let ask = format!(
            "{script}\nCOMP_WORDS=({words})\nCOMP_CWORD={at}\n_strata strata '{last}' x\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let bash = Command::new("bash").args(["-c", &ask]).current_dir(place.path("")).output().unwrap();
        String::from_utf8(bash.stdout).unwrap().trim().to_owned()
    };
    for command in ["train", "show", "cost", "bench", "sweep"] {
        assert_eq!(complete(&format!("strata {command} mi"), 2), "mine", "{command}");
        assert_eq!(complete(&format!("strata {command} sw"), 2), "sweeps/mine-wide", "{command}");
    }
    assert_eq!(complete("strata eval mi", 2), "", "a run is none of them");
}
