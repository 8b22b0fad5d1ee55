//! What `[train]` switches on: early stopping, tables of single steps, weights of single epochs.

use super::place::{Place, TINY};
use std::fs;

/// A network that does not learn, so that no epoch is better than the first.
const STUCK: &str = r#"
[data]
dataset = "synthetic"
validation = 100
limit = 128
[model]
rows = [{ op = "classifier" }]
[train]
epochs = 9
batch = 64
lr = 0
patience = 2
"#;

#[test]
fn a_run_without_a_better_epoch_stops_early_and_is_done() {
    let place = Place::new();
    place.file("stuck.toml", STUCK);
    let ran = place.strata(&["train", "stuck.toml"]);
    assert!(
        ran.err.contains("validation Top-1 has not improved for 2 epochs: stopping early (train.patience)"),
        "{}",
        ran.err
    );
    ran.good();
    let summary = place.run("stuck").summary();
    let columns =
        ["status", "epochs", "best_epoch", "train.epochs", "train.patience"].map(|name| summary[name].as_str());
    assert_eq!(columns, ["done", "3", "1", "9", "2"]);
    assert!(place.strata(&["train", "stuck.toml"]).good().contains("finished before"));

    // Two steps an epoch: the kill is in the third.
    let other = Place::new();
    other.file("stuck.toml", STUCK);
    let killed = other.command(&["train", "stuck.toml"]).env("STRATA_FAULT", "step:5:kill").output().unwrap();
    assert!(!killed.status.success());
    other.strata(&["train", "stuck.toml"]).good();
    assert_eq!(other.run("stuck").result(), place.run("stuck").result());
}

#[test]
fn the_loss_of_steps_is_logged_through_a_kill() {
    let file = TINY.replace("epochs = 2", "epochs = 4\nlog_every = 3");
    let whole = Place::trained("tiny", &file);
    let (run, plain) = (whole.run("tiny"), Place::trained("tiny", &TINY.replace("epochs = 2", "epochs = 4")));
    let steps = run.read("steps.csv");
    let cells: Vec<Vec<&str>> = steps.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(cells[0], ["step", "epoch", "lr", "loss"]);
    assert_eq!([&cells[1][..3], &cells[2][..3]], [["3", "2", "0.05"], ["6", "3", "0.05"]]);
    assert_eq!(cells.len(), 3, "{steps}");
    assert!(cells[1..].iter().all(|row| row[3].parse::<f64>().unwrap() > 0.0));

    // The result is that of a run that logs nothing, and so is the key.
    assert_eq!((run.key(), run.result()), (plain.run("tiny").key(), plain.run("tiny").result()));
    assert!(run.read("experiment.toml").contains("log_every = 3"));
    assert!(!plain.run("tiny").path("steps.csv").exists());

    let place = Place::new();
    place.file("tiny.toml", &file);
    let killed = place.command(&["train", "tiny.toml"]).env("STRATA_FAULT", "step:6:kill").output().unwrap();
    assert!(!killed.status.success());
    let run = place.run("tiny");
    let left = run.read("steps.csv");
    assert!(steps.starts_with(&left));
    // A row behind the last checkpoint, and half a row.
    fs::write(run.path("steps.csv"), format!("{left}5,3,0.05,9.9\n6,")).unwrap();
    place.strata(&["train", "tiny.toml"]).good();
    assert_eq!(run.read("steps.csv"), steps);
}

/// The update of plain SGD is the gradient times the learning rate, and the weights of a step are those before its update.
#[test]
fn norms_and_weights_are_kept_through_a_kill() {
    let file = TINY.replace("epochs = 2", "epochs = 4\nmomentum = 0.0\nlog_gradients = 3\nkeep_every = 2");
    let whole = Place::trained("tiny", &file);
    let run = whole.run("tiny");
    let table = run.read("gradients.csv");
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!(table.lines().next(), Some("step,epoch,position,row,gradient_norm,weight_norm,update_norm"));
    let places: Vec<&[&str]> = rows.iter().map(|row| &row[..4]).collect();
    assert_eq!(places[0], ["3", "2", "1", "conv1"]);
    assert!(rows.len() > 6 && rows.iter().all(|row| ["3", "6"].contains(&row[0])), "{table}");
    for row in &rows {
        let [gradient, weight, update] = [4, 5, 6].map(|column: usize| row[column].parse::<f64>().unwrap());
        assert!((update - 0.05 * gradient).abs() < 1e-3 * update && weight > update && update > 0.0, "{row:?}");
    }
    let kept = |run: &super::place::Run| -> Vec<(String, Vec<u8>)> {
        let files = fs::read_dir(run.path("weights")).unwrap().map(|entry| entry.unwrap().path());
        let name = |path: &std::path::Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut files: Vec<_> = files.map(|path| (name(&path), fs::read(&path).unwrap())).collect();
        files.sort();
        files
    };
    let weights = kept(&run);
    let names: Vec<&str> = weights.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["epoch-0000.safetensors", "epoch-0002.safetensors", "epoch-0004.safetensors"]);
    assert_eq!(weights[2].1, fs::read(run.path("checkpoint/last/weights.safetensors")).unwrap());
    let plain = Place::trained("tiny", &TINY.replace("epochs = 2", "epochs = 4\nmomentum = 0.0"));
    assert_eq!((run.key(), run.result()), (plain.run("tiny").key(), plain.run("tiny").result()));
    assert!(!plain.run("tiny").path("weights").exists());

    let place = Place::new();
    place.file("tiny.toml", &file);
    let killed = place.command(&["train", "tiny.toml"]).env("STRATA_FAULT", "step:6:kill").output().unwrap();
    assert!(!killed.status.success());
    place.strata(&["train", "tiny.toml"]).good();
    let run = place.run("tiny");
    assert_eq!((run.read("gradients.csv"), kept(&run)), (table, weights));
}

/// Killed in the second epoch and resumed, with the same results and weights, to the bit.
#[test]
fn optimizers_are_resumed_to_the_bit() {
    for (optimizer, keys) in [
        ("lamb", "lr = 0.02\nweight_decay = 0.01\naccumulate = 3\nlayer_decay = 0.8"),
        ("lion", "lr = 1e-3\nsam_rho = 0.05\nbias_lr_factor = 2"),
        ("muon", "lr = 0.02\nsam_rho = 0.1\naccumulate = 2"),
    ] {
        let file = TINY.replace("lr = 0.05", &format!("optimizer = '{optimizer}'\n{keys}"));
        let whole = Place::trained("tiny", &file);
        let place = Place::new();
        place.file("tiny.toml", &file);
        let killed = place.command(&["train", "tiny.toml"]).env("STRATA_FAULT", "step:4:kill").output().unwrap();
        assert!(!killed.status.success());
        place.strata(&["train", "tiny.toml"]).good();
        assert_eq!(place.run("tiny").result(), whole.run("tiny").result(), "{optimizer}");
    }
}

/// Without batch normalisation, a batch in parts is the same step, in stages with other batches too: only rounding differs.
#[test]
fn parts_of_growing_batches_train_as_whole_ones() {
    let staged = "epochs = 3\nstages = [{ from = 1, batch = 32 }, { from = 2, batch = 48, size = 16 }]";
    let file = TINY.replace("epochs = 2", staged).replace("width = 8", "width = 8\nnorm = \"none\"");
    let file = file.replace("lr = 0.05", "lr = 0.01");
    let losses = |file: &str| -> Vec<[f64; 3]> {
        let rows = Place::trained("tiny", file).run("tiny").read("epochs.csv");
        let cells = |row: &str| row.split(',').map(|cell| cell.parse::<f64>().unwrap()).collect::<Vec<_>>();
        rows.lines().skip(1).map(cells).map(|row| [row[1], row[3], row[6]]).collect()
    };
    let (whole, parts) = (losses(&file), losses(&format!("{file}accumulate = 3\n")));
    assert_eq!(whole.iter().map(|[step, ..]| *step).collect::<Vec<_>>(), [2.0, 6.0, 9.0]);
    assert_eq!(whole.len(), parts.len());
    for (whole, parts) in whole.iter().zip(&parts) {
        let near = whole.iter().zip(parts).all(|(a, b)| (a - b).abs() < 2e-4 * a.abs());
        assert!(near, "{whole:?} {parts:?}");
    }
    assert!(whole[0][1] != whole[2][1], "training moves the loss");
}

#[test]
fn fp16_on_a_cpu_is_refused() {
    let place = Place::with_tiny();
    let ran = place.strata(&["train", "tiny.toml", "--device", "cpu", "--set", "train.precision=fp16"]);
    ran.refused(&["train.precision = \"fp16\" needs a GPU", "--set train.precision=bf16"]);
    assert!(!place.path("results").exists());
}

/// Everything that is drawn anew, mixed or changed from epoch to epoch, through a kill in the middle of the second one.
#[test]
fn augmentation_and_stages_resume_exactly() {
    let augment = "limit = 128\ntest_flip = true\naugment = { crop = 2, repeats = 2, rand_augment = {}, erasing = {}, \
                   mixup = {}, cutmix = {} }";
    let train = "epochs = 3\nsize = 10\nloss = \"bce\"\nstages = [{ from = 1, size = 12, batch = 32 }]";
    let file = TINY.replace("limit = 128", augment).replace("epochs = 2", train);
    let whole = Place::trained("tiny", &file);
    let steps: Vec<String> = whole
        .run("tiny")
        .read("epochs.csv")
        .lines()
        .skip(1)
        .map(|row| row.split(',').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(steps, ["2", "6", "10"]);
    let place = Place::new();
    place.file("tiny.toml", &file);
    let killed = place.command(&["train", "tiny.toml"]).env("STRATA_FAULT", "step:5:kill").output().unwrap();
    assert!(!killed.status.success());
    place.strata(&["train", "tiny.toml"]).good();
    assert!(place.run("tiny").result() == whole.run("tiny").result());
    let plain = Place::trained("tiny", &file.replace("test_flip = true", ""));
    assert!(plain.run("tiny").result() != whole.run("tiny").result());
}
