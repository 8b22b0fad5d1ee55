//! Claims: listed, run, shown, and in the README.

use super::place::{Place, TINY};
use std::fs;
use std::path::Path;
use std::process::Command;

const CLAIM: &str = "\n[sweep]\nseed = [0, 1]\nmodel.shortcut = ['none', 'A']\n\
    [claim]\nnumber = 7\nslide = 's'\nsentence = 'Shortcuts cost nothing'\npublished = 'nowhere'\nminutes = 1\nneeds = 'more seeds'\n\
    [[claim.test]]\nsays = 'multiply-adds'\nmeasure = 'macs'\nof = { model.shortcut = 'A' }\nagainst = { model.shortcut = 'none' }\n\
    ratio = true\nis = 'equal'\nmargin = 1\n";
const TRAINED: &str = "[[claim.test]]\nsays = 'training error'\nmeasure = 'train_error'\nof = { model.shortcut = 'A' }\n\
    against = { model.shortcut = 'none' }\nis = 'equal'\nmargin = 90\n";

#[test]
fn what_is_missing_is_run_once_and_decided() {
    let place = Place::new();
    place.file("experiments/claims/07-free.toml", format!("{TINY}{CLAIM}{TRAINED}"));
    let list = place.strata(&["claims"]).good();
    assert!(list.contains("07-free") && list.contains("not run"), "{list}");
    let ran = place.strata(&["claims", "7", "--run"]);
    assert!(ran.err.contains("claim 7: Shortcuts cost nothing (07-free)"), "{}", ran.err);
    let card = ran.good();
    assert!(card.contains("7. Shortcuts cost nothing: supported") && card.contains("4 of 4"), "{card}");
    assert!(card.contains("exact") && !card.contains("more seeds"), "{card}");
    let again = place.strata(&["claims", "07-free", "--run"]);
    assert!(!again.err.contains("claim 7"), "{}", again.err);
    // Git has the tables and not the runs.
    fs::remove_dir_all(place.path("results/runs")).unwrap();
    assert_eq!(place.strata(&["claims", "7"]).good(), again.good());
    // Only the point that the table lacks is run; the other rows stay.
    let path = place.path("results/sweeps/07-free/table.csv");
    let whole = fs::read_to_string(&path).unwrap();
    let (kept, _) = whole.trim_end().rsplit_once('\n').unwrap();
    fs::write(&path, format!("{kept}\n")).unwrap();
    let dry = place.strata(&["sweep", "experiments/claims/07-free.toml", "--skip-recorded", "--dry-run"]).good();
    assert_eq!(dry.matches("done (recorded)").count(), 3, "{dry}");
    place.strata(&["claims", "7", "--run"]).good();
    let runs = fs::read_dir(place.path("results/runs")).unwrap().flatten();
    assert_eq!(runs.map(|name| fs::read_dir(name.path()).unwrap().count()).sum::<usize>(), 1);
    let table = fs::read_to_string(&path).unwrap();
    assert!(table.starts_with(kept) && table.lines().count() == 5, "{table}");
    assert_eq!(fs::read_to_string(place.path("results/sweeps/07-free/epochs.csv")).unwrap().lines().count(), 9);
    let page = place.file("page.md", "before\n<!-- written by strata claims -->\nold\n<!-- to here -->\nafter\n");
    place.strata(&["claims", "--write", "page.md"]).good();
    let table = place.strata(&["claims", "--format", "markdown"]).good();
    let expected = format!("before\n<!-- written by strata claims -->\n\n{table}\n<!-- to here -->\nafter\n");
    assert_eq!(fs::read_to_string(page).unwrap(), expected);
    assert!(table.contains("| **supported** |") && table.contains("(experiments/claims/07-free.toml)"), "{table}");
    place.strata(&["report"]).good();
    let html = fs::read_to_string(place.path("results/report.html")).unwrap();
    let (opening, _) = html.split_once("id=\"sweeps\"").unwrap();
    assert!(opening.contains("The deck, reproduced") && opening.contains("strata claims 07-free --run"));
}

/// A study reads weights, which are not in git.
#[test]
fn runs_of_a_missing_study_are_trained_even_if_their_results_are_known() {
    let place = Place::new();
    let study = "commands = ['study gradients {runs} -o images=4']\n[[claim.test]]\nsays = 'gradients'\nmeasure = 'gradient_norm'\n\
                 table = 'studies/gradients/*.csv'\nof = { model.shortcut = 'A', position = 1, kind = 'weight', weights = 'trained' }\n\
                 is = 'greater'\nvalue = 0\n";
    let claim = CLAIM.split_once("[[claim.test]]").unwrap().0;
    place.file("experiments/claims/07-free.toml", format!("{TINY}{claim}{study}"));
    place.strata(&["sweep", "experiments/claims/07-free.toml"]).good();
    fs::remove_dir_all(place.path("results/runs")).unwrap();
    let card = place.strata(&["claims", "7", "--run"]).good();
    assert!(card.contains("7. Shortcuts cost nothing: supported"), "{card}");
}

#[test]
fn claims_that_are_not_there_are_said() {
    let place = Place::new();
    place.strata(&["claims"]).refused(&["there is no folder experiments/claims/"]);
    place.file("experiments/claims/07-free.toml", format!("{TINY}{CLAIM}"));
    place.strata(&["claims", "8"]).refused(&["there is no claim `8`: there are 07-free"]);
    place.strata(&["claims", "--set", "seed=1"]).refused(&["--set changes a key of an experiment"]);
    place.file("page.md", "no marks\n");
    place.strata(&["claims", "--write", "page.md"]).refused(&["has no line `<!-- written by strata claims -->`"]);
    place.file("experiments/claims/08-free.toml", format!("{TINY}{CLAIM}"));
    place.strata(&["claims"]).refused(&["are both claim 7"]);
}

/// The table is that of the results in git: `strata claims --write README.md` writes it.
#[test]
fn the_readme_has_the_verdicts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
    let output = command.current_dir(root).args(["claims", "--format", "markdown"]).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    assert!(table.lines().count() == 21 && readme.contains(&table), "run `strata claims --write README.md`\n{table}");
}
