//! Results, checkpoints and experiment files that are not the run's own, or are gone.

use super::place::{Place, TINY};
use std::fs;
use std::process::Command;

/// It used to be taken for the result of the experiment whose key the copy bears.
#[test]
fn a_copy_of_another_run_is_no_result() {
    let place = Place::trained("tiny", TINY);
    let first = place.run("tiny").folder;
    place.strata(&["train", "tiny.toml", "--set", "seed=7"]).good();
    let second = place.runs("tiny").into_iter().find(|folder| *folder != first).unwrap();
    fs::copy(first.join("summary.csv"), second.join("summary.csv")).unwrap();
    let key = first.file_name().unwrap().to_str().unwrap();
    let told = format!("has the result of another experiment (key {key})");
    place.strata(&["train", "tiny.toml", "--set", "seed=7"]).refused(&[&told, "--force"]);
    place.strata(&["train", "tiny.toml", "--set", "seed=7", "--force"]).good();
}

/// `eval` used to judge the weights by whatever the file had come to say.
#[test]
fn an_experiment_that_was_changed_in_its_run_folder_is_noticed_and_mended() {
    let place = Place::trained("tiny", TINY);
    let (run, evaluated) = (place.run("tiny"), place.strata(&["eval", "tiny"]).good());
    let written = run.read("experiment.toml");
    let told = format!("is a checkpoint of another experiment (key {})", run.key());
    for changed in [written.replace("seed = 0", "seed = 5"), written[..100].to_owned()] {
        fs::write(run.path("experiment.toml"), &changed).unwrap();
        place.strata(&["eval", "tiny"]).refused(&[if changed.contains("seed = 5") { &told } else { "TOML" }]);
        place.strata(&["train", "tiny.toml"]).good();
        assert_eq!(run.read("experiment.toml"), written);
        assert_eq!(place.strata(&["eval", "tiny"]).good(), evaluated);
    }
    // The best epoch's weights are found without the last ones.
    fs::remove_file(run.path("checkpoint/last")).unwrap();
    assert_eq!(place.strata(&["eval", "tiny"]).good(), evaluated);
    fs::remove_dir_all(run.path("checkpoint")).unwrap();
    place.strata(&["eval", "tiny"]).refused(&["has no trained weights", "`strata train --force` trains it anew"]);
}

/// As one does it who wants more epochs: the schedule would be another from there on.
#[test]
fn a_checkpoint_of_another_experiment_is_not_gone_on_with() {
    let place = Place::trained("tiny", TINY);
    let first = place.run("tiny").folder;
    let longer = ["train", "tiny.toml", "--set", "train.epochs=4"];
    let straight = place.strata(&longer).good();
    let second = place.runs("tiny").into_iter().find(|folder| *folder != first).unwrap();
    fs::remove_file(second.join("summary.csv")).unwrap();
    fs::remove_dir_all(second.join("checkpoint")).unwrap();
    fs::copy(first.join("epochs.csv"), second.join("epochs.csv")).unwrap();
    let copied = Command::new("cp").arg("-a").arg(first.join("checkpoint")).arg(&second).status();
    assert!(copied.unwrap().success());
    let told = format!("is a checkpoint of another experiment (key {})", first.file_name().unwrap().display());
    place.strata(&longer).refused(&[&told, "--force"]);
    assert_eq!(place.strata(&[&longer[..], &["--force"]].concat()).good(), straight);
}

/// It used to train to the end before it said so, or to begin anew without a word.
#[test]
fn checkpoints_that_are_gone_are_missed_at_once() {
    let place = Place::new();
    // Nothing is learnt, so the first epoch is the best, and not among the last two.
    let still = TINY.replace("epochs = 2", "epochs = 4").replace("lr = 0.05", "lr = 0.0");
    place.file("tiny.toml", still.replace("depth = 8", "depth = 8\nnorm = \"none\""));
    place.strata(&["train", "tiny.toml"]).good();
    let run = place.run("tiny");
    let epochs = run.epochs();
    // Where the link alone is gone, the sums tell which checkpoint is whole.
    fs::remove_file(run.path("summary.csv")).unwrap();
    fs::remove_file(run.path("checkpoint/last")).unwrap();
    let info = run.read("run.json");
    fs::write(run.path("run.json"), info.replace("\"data\": \"", "\"data\": \"0")).unwrap();
    place.strata(&["train", "tiny.toml"]).refused(&["was trained on other data than"]);
    fs::write(run.path("run.json"), info).unwrap();
    let ran = place.strata(&["train", "tiny.toml"]);
    assert!(ran.code == Some(0) && ran.err.contains("resumed after epoch 4"), "{}", ran.err);
    fs::remove_file(run.path("summary.csv")).unwrap();
    let best = fs::canonicalize(run.path("checkpoint/best")).unwrap();
    fs::remove_dir_all(best).unwrap();
    let ran = place.strata(&["train", "tiny.toml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("epoch's weights are nowhere else") && ran.err.contains("--force"), "{}", ran.err);
    fs::remove_file(run.path("summary.csv")).unwrap();
    fs::remove_dir_all(run.path("checkpoint")).unwrap();
    let ran = place.strata(&["train", "tiny.toml"]);
    assert_eq!((ran.code, run.epochs()), (Some(1), epochs.clone()), "{}", ran.err);
    assert!(
        ran.err.contains("checkpoint/last is damaged: it is missing") && ran.err.contains("--force"),
        "{}",
        ran.err
    );
    place.strata(&["train", "tiny.toml", "--force"]).good();
    assert_eq!(run.epochs(), epochs);
}

/// A run folder may come from somebody else: what its links lead to was overwritten.
#[test]
fn links_in_a_run_folder_are_not_followed() {
    let place = Place::trained("tiny", TINY);
    let run = place.run("tiny").folder;
    let outside = place.file("outside/file", "theirs");
    for name in ["summary.csv", "epochs.csv", "run.json", "run.log", ".lock"] {
        let path = run.join(name);
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&outside, &path).unwrap();
        place.strata(&["train", "tiny.toml", "--force"]);
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "theirs", "{name}");
        if path.is_symlink() {
            std::fs::remove_file(&path).unwrap();
        }
        place.strata(&["train", "tiny.toml", "--force"]).good();
    }
    std::fs::remove_dir_all(run.join("checkpoint")).unwrap();
    for name in ["summary.csv", "epochs.csv"] {
        std::fs::remove_file(run.join(name)).unwrap();
    }
    std::os::unix::fs::symlink(outside.parent().unwrap(), run.join("checkpoint")).unwrap();
    let ran = place.strata(&["train", "tiny.toml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("checkpoint: it is a symbolic link, which is not followed"), "{}", ran.err);
    assert_eq!(std::fs::read_dir(outside.parent().unwrap()).unwrap().count(), 1);
}

/// Files were readable by everybody whatever the umask said.
#[test]
fn the_umask_is_respected() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::with_tiny();
    let command = format!("umask 077; exec {} train tiny.toml --threads 1", env!("CARGO_BIN_EXE_strata"));
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &command]).current_dir(place.path("")).env("XDG_CACHE_HOME", place.path("cache"));
    assert!(shell.output().unwrap().status.success());
    let run = place.run("tiny").folder;
    for name in ["summary.csv", "epochs.csv", "run.json", "experiment.toml", "checkpoint/last/weights.safetensors"] {
        let mode = std::fs::metadata(run.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

/// The second of two experiments whose keys agree in ten digits was given the result of the first.
#[test]
fn a_result_of_an_experiment_with_the_same_short_key_is_refused() {
    // The seeds of src/config/sweep/tests.rs, and what else its key is made of.
    let experiment = "[data]\ndataset = 'synthetic'\nvalidation = 400\n[model]\npreset = 'resnet'\nlayout = 'cifar'\n\
                      depth = 8\n[train]\nepochs = 1\nprecision = 'fp32'\n";
    let place = Place::new();
    place.file("e.toml", experiment);
    place.strata(&["train", "e.toml", "--set", "seed=550497"]).good();
    let before = place.run("e").result();
    place.strata(&["train", "e.toml", "--set", "seed=610180"]).refused(&["has the result of another experiment"]);
    assert!(place.run("e").result() == before);
}
