//! Runs that are stopped, killed or damaged go on to the result that they would have had.

use super::place::{Place, Run, TINY, names};
use std::fs;
use std::time::Duration;
use strata::random;

/// SGD with momentum, augmentation, dropout, stochastic depth, a schedule in steps.
const SGD: &str = r#"
[data]
dataset = "synthetic"
validation = 100
limit = 192
augment = { crop = 2, flip = true }

[model]
input = [1, 12, 12]
stochastic_depth = { survival = 0.5 }
rows = [
  { op = "conv", kernel = 3, width = 8 },
  { op = "basic", width = 8, repeat = 2, dropout = 0.2 },
  { op = "global_avg_pool" },
  { op = "dropout", rate = 0.3 },
  { op = "classifier" },
]

[train]
epochs = 6
batch = 16
lr = 0.05
momentum = 0.9
nesterov = true
weight_decay = 1e-3
schedule = "step"
milestones = [2, 4]
"#;

/// AdamW, a moving average of the weights, label smoothing, clipping, a cosine with warm-up, an auxiliary head.
const ADAMW: &str = r#"
[data]
dataset = "synthetic"
validation = 100
limit = 192
augment = { crop = 1 }

[model]
input = [1, 12, 12]
rows = [
  { op = "conv", kernel = 3, width = 8 },
  { op = "aux", pool = "adaptive", width = 8, hidden = 16 },
  { op = "conv", kernel = 3, width = 8 },
  { op = "global_avg_pool" },
  { op = "classifier" },
]

[train]
epochs = 6
batch = 16
optimizer = "adamw"
lr = 3e-3
weight_decay = 0.05
label_smoothing = 0.1
clip_norm = 1.0
ema = 0.9
schedule = "cosine"
warmup = 1.5
"#;

/// Kills the run at `kills` moments that follow from `seed`, lets it come to its end, and holds it against one that was
/// never stopped.
fn survives(name: &str, experiment: &str, kills: u64, seed: u64) {
    let whole = Place::trained(name, experiment).run_kept(name);
    let place = Place::new();
    let file = format!("{name}.toml");
    place.file(&file, experiment);
    // Long enough to come through an epoch or two, so that the kills are spread over the run.
    let longest = whole.seconds / 3.0;
    let mut killed = 0;
    for kill in 0..kills {
        let mut running = place.start(&file);
        std::thread::sleep(Duration::from_secs_f64(longest * random::uniform(random::key(seed, "kill", &[kill]), 0)));
        killed += u64::from(!running.ended());
        running.kill();
    }
    assert!(killed > 0, "the run was over before it could be killed");
    place.strata(&["train", &file]).good();
    let run = place.run(name);
    assert_eq!(run.epochs(), whole.epochs, "after {killed} kills");
    assert!(run.result() == whole.result, "weights or summary differ after {killed} kills");
    assert!(!names(&run.folder).iter().any(|name| name.starts_with(".tmp")), "a killed write is tidied up");
}

/// What is needed of a run when its place is gone.
struct Kept {
    seconds: f64,
    epochs: Vec<String>,
    result: (Vec<String>, std::collections::BTreeMap<String, String>, Vec<u8>, Vec<u8>),
}

impl Place {
    fn run_kept(&self, name: &str) -> Kept {
        let run = self.run(name);
        let seconds = run.summary()["seconds"].parse().unwrap();
        Kept { seconds, epochs: run.epochs(), result: run.result() }
    }
}

#[test]
fn a_killed_run_comes_to_the_same_result_with_sgd() {
    survives("sgd", SGD, 4, 1);
}

#[test]
fn a_killed_run_comes_to_the_same_result_with_adamw_and_averages() {
    survives("adamw", ADAMW, 4, 2);
}

#[test]
fn ctrl_c_finishes_the_step_and_the_run_goes_on_later() {
    for signal in ["INT", "TERM"] {
        let whole = Place::trained("sgd", SGD).run_kept("sgd");
        let place = Place::new();
        place.file("sgd.toml", SGD);
        let running = place.start("sgd.toml");
        let run = place.run("sgd");
        while fs::read_to_string(run.path("epochs.csv")).map_or(0, |table| table.lines().count()) < 2 {
            std::thread::sleep(Duration::from_millis(2));
        }
        running.signal(signal);
        assert_eq!(running.wait().code(), Some(130));
        assert_eq!(run.summary()["status"], "interrupted");
        assert!(run.epochs().len() < 7);
        let ran = place.strata(&["train", "sgd.toml"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert_eq!(run.epochs(), whole.epochs);
        assert!(run.result() == whole.result);
    }
}

/// A run of three epochs as if it had been killed after its last checkpoint: all is there but the summary.
fn stopped(place: &Place) -> Run {
    place.file("tiny.toml", TINY.replace("epochs = 2", "epochs = 3"));
    place.strata(&["train", "tiny.toml"]).good();
    let run = place.run("tiny");
    fs::remove_file(run.path("summary.csv")).unwrap();
    run
}

/// Every seventh used to end by a signal of its own, for libtorch was taken down while it computed.
#[test]
fn a_second_signal_ends_the_process_at_once() {
    let place = Place::new();
    place.file("sgd.toml", SGD.replace("epochs = 6", "epochs = 3000"));
    for milliseconds in [0, 1, 2, 0, 1, 2, 0, 1] {
        let running = place.start("sgd.toml");
        running.signal("INT");
        std::thread::sleep(Duration::from_millis(milliseconds));
        running.signal("INT");
        assert_eq!(running.wait().code(), Some(130));
    }
}

/// A kill after `last` moved and before `best` did used to leave `best` pointing to a folder that was tidied away later.
#[test]
fn a_best_link_that_was_left_behind_is_mended() {
    let place = Place::new();
    let run = stopped(&place);
    let best = run.weights("best");
    let link = run.path("checkpoint/best");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("step-gone", &link).unwrap();
    place.strata(&["train", "tiny.toml"]).good();
    assert!(run.weights("best") == best);
}

fn flip(path: &std::path::Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at.min(bytes.len() - 1);
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_said() {
    for file in ["weights.safetensors", "optimizer.safetensors", "position.json"] {
        let place = Place::new();
        let run = stopped(&place);
        let result_before = (run.epochs(), run.weights("last"));
        let path = run.path("checkpoint/last").join(file);
        // In position.json this is a digit of a sum.
        let at = fs::read(&path).unwrap().windows(6).position(|part| part == b"\"step\"").map_or(5000, |at| at + 8);
        flip(&path, at);
        let ran = place.strata(&["train", "tiny.toml"]);
        assert!(ran.err.contains(file) && ran.err.contains("is damaged"), "{}", ran.err);
        assert!(ran.err.contains("resuming from the checkpoint before it"), "{}", ran.err);
        ran.good();
        assert!((run.epochs(), run.weights("last")) == result_before, "{file}");
    }
}

/// Changes the `position.json` of the checkpoint that a link leads to.
fn edit_manifest(run: &Run, link: &str, edit: impl FnOnce(&mut serde_json::Value)) {
    let path = run.path("checkpoint").join(link).join("position.json");
    let mut manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut manifest);
    fs::write(path, serde_json::to_vec(&manifest).unwrap()).unwrap();
}

/// Files without a sum used to be taken as they were.
#[test]
fn a_checkpoint_without_the_sum_of_a_file_is_damaged() {
    for missing in ["weights.safetensors", "optimizer.safetensors", "position.json", "epochs.csv", ""] {
        let place = Place::new();
        let run = stopped(&place);
        let result_before = (run.epochs(), run.weights("last"));
        edit_manifest(&run, "last", |manifest| match missing {
            "" => manifest["sha256"] = serde_json::json!({}),
            file => drop(manifest["sha256"].as_object_mut().unwrap().remove(file).unwrap()),
        });
        let ran = place.strata(&["train", "tiny.toml"]);
        assert!(ran.err.contains("position.json is damaged: it has no SHA-256 of"), "{missing}: {}", ran.err);
        assert!(ran.err.contains(missing) && ran.err.contains("resuming from the checkpoint before it"), "{}", ran.err);
        ran.good();
        assert!((run.epochs(), run.weights("last")) == result_before, "{missing}");
    }
}

/// Where the weights are averaged, evaluation reads the averages.
#[test]
fn averages_without_a_sum_are_not_evaluated() {
    let place = Place::trained("averaged", &TINY.replace("[train]", "[train]\nema = 0.5"));
    let run = place.run("averaged");
    edit_manifest(&run, "best", |manifest| {
        manifest["sha256"].as_object_mut().unwrap().remove("averages.safetensors").unwrap();
    });
    place.strata(&["eval", "averaged"]).refused(&["it has no SHA-256 of averages.safetensors"]);
}

/// The link `best` used to be pointed wherever the file said.
#[test]
fn a_best_checkpoint_elsewhere_is_damage() {
    let place = Place::new();
    let run = stopped(&place);
    edit_manifest(&run, "last", |manifest| manifest["position"]["best"]["folder"] = "../../elsewhere".into());
    place.strata(&["eval", "tiny"]).refused(&["position.json is damaged", "a checkpoint folder has a name such as"]);
    let ran = place.strata(&["train", "tiny.toml"]);
    assert!(ran.err.contains("resuming from the checkpoint before it"), "{}", ran.err);
    ran.good();
    let best = fs::read_link(run.path("checkpoint/best")).unwrap();
    assert!(best.to_str().unwrap().starts_with("step-") && best.components().count() == 1, "{}", best.display());
}

/// It used to count as a run without a checkpoint, which begins from the start in silence.
#[test]
fn a_link_that_leads_nowhere_does_not_throw_the_run_away() {
    let place = Place::new();
    let run = stopped(&place);
    let result_before = (run.epochs(), run.weights("last"));
    let last = run.path("checkpoint/last");
    fs::remove_file(&last).unwrap();
    std::os::unix::fs::symlink("../../elsewhere", &last).unwrap();
    let ran = place.strata(&["train", "tiny.toml"]);
    assert!(ran.err.contains("checkpoint/last is damaged"), "{}", ran.err);
    ran.good();
    assert!((run.epochs(), run.weights("last")) == result_before);
}

#[test]
fn damage_that_leaves_no_checkpoint_is_an_error() {
    let place = Place::new();
    let run = stopped(&place);
    for name in names(&run.path("checkpoint")).iter().filter(|name| name.starts_with("step-")) {
        flip(&run.path("checkpoint").join(name).join("weights.safetensors"), 5000);
    }
    let ran = place.strata(&["train", "tiny.toml"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("no earlier checkpoint is left") && ran.err.contains("--force"), "{}", ran.err);
    place.strata(&["eval", "tiny"]).refused(&["weights.safetensors is damaged"]);
    place.strata(&["train", "tiny.toml", "--force"]).good();
}

#[test]
fn damage_to_the_best_weights_of_a_whole_run_says_what_to_do() {
    let place = Place::new();
    // Nothing is learnt, so the first of three equal epochs is the best.
    let still = TINY.replace("epochs = 2", "epochs = 3").replace("lr = 0.05", "lr = 0.0");
    place.file("tiny.toml", still.replace("depth = 8", "depth = 8\nnorm = \"none\""));
    place.strata(&["train", "tiny.toml"]).good();
    let run = place.run("tiny");
    fs::remove_file(run.path("summary.csv")).unwrap();
    let [best, last] = ["best", "last"].map(|link| fs::read_link(run.path("checkpoint").join(link)).unwrap());
    assert_ne!(best, last);
    flip(&run.path("checkpoint/best/weights.safetensors"), 5000);
    let ran = place.strata(&["train", "tiny.toml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("weights.safetensors is damaged") && ran.err.contains("--force"), "{}", ran.err);
}

#[test]
fn a_table_that_is_cut_or_changed_never_gives_wrong_rows() {
    let place = Place::new();
    let run = stopped(&place);
    let (epochs, table) = (run.epochs(), run.read("epochs.csv"));
    let rows: Vec<usize> = table.match_indices('\n').map(|(at, _)| at + 1).collect();
    let second = rows[2] + 1;
    // Within the last row: the checkpoint before it repairs the table.
    for (cut, changed) in [(table.len() - 1, None), (rows[2] + 3, None), (table.len(), Some(second))] {
        fs::write(run.path("epochs.csv"), &table[..cut]).unwrap();
        if let Some(at) = changed {
            flip(&run.path("epochs.csv"), at);
        }
        let _ = fs::remove_file(run.path("summary.csv"));
        let ran = place.strata(&["train", "tiny.toml"]);
        assert!(
            ran.err.contains("epochs.csv is damaged") && ran.err.contains("the checkpoint before it"),
            "{}",
            ran.err
        );
        ran.good();
        assert_eq!(run.epochs(), epochs, "cut at {cut}, changed at {changed:?}");
    }
    // Before that: nothing can repair it, and that is said.
    fs::write(run.path("epochs.csv"), &table[..rows[0] + 5]).unwrap();
    fs::remove_file(run.path("summary.csv")).unwrap();
    let ran = place.strata(&["train", "tiny.toml"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("epochs.csv is damaged") && ran.err.contains("--force"), "{}", ran.err);
}

/// The row is of no use any more, but it used to stop the run: the table was read as text before it was cut.
#[test]
fn a_damaged_row_that_is_no_text_is_made_anew() {
    let place = Place::new();
    let run = stopped(&place);
    let epochs = run.epochs();
    let mut table = fs::read(run.path("epochs.csv")).unwrap();
    let at = table.len() - 4;
    table[at] = 0xff;
    fs::write(run.path("epochs.csv"), table).unwrap();
    let ran = place.strata(&["train", "tiny.toml"]);
    assert!(ran.err.contains("resuming from the checkpoint before it"), "{}", ran.err);
    ran.good();
    assert_eq!(run.epochs(), epochs);
}

/// Only a folder without its links is there when the process dies in its first save; the run used to fail for good.
#[test]
fn a_kill_in_the_first_save_starts_the_run_over() {
    let place = Place::new();
    let run = stopped(&place);
    let result = (run.epochs(), run.weights("last"));
    let folder = run.path("checkpoint/step-000000002-epoch-0001");
    fs::remove_dir_all(run.path("checkpoint")).unwrap();
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("weights.safetensors"), "half").unwrap();
    fs::write(folder.join(".tmpAbCdEf"), "half").unwrap();
    let rows: Vec<String> = run.read("epochs.csv").lines().take(2).map(|line| format!("{line}\n")).collect();
    fs::write(run.path("epochs.csv"), rows.concat()).unwrap();
    place.strata(&["train", "tiny.toml"]).good();
    assert!((run.epochs(), run.weights("last")) == result);
}

#[test]
fn rows_of_an_epoch_whose_checkpoint_was_not_written_are_made_anew() {
    let place = Place::new();
    let run = stopped(&place);
    let epochs = run.epochs();
    // As after a kill between the row and the checkpoint: `last` is one epoch behind the table.
    let last = run.path("checkpoint/last");
    let folders: Vec<String> = names(&run.path("checkpoint")).into_iter().filter(|n| n.starts_with("step-")).collect();
    let behind = folders.iter().find(|name| name.ends_with("0002")).expect("the checkpoint before the last is kept");
    fs::remove_file(&last).unwrap();
    std::os::unix::fs::symlink(behind, &last).unwrap();
    let ran = place.strata(&["train", "tiny.toml"]);
    assert!(ran.err.contains("resumed after epoch 2"), "{}", ran.err);
    assert_eq!(run.epochs(), epochs);
}
