//! From a file to its tables.

use super::place::{Place, Ran, TINY, names};
use std::fs;
use strata::model::read_tensors;
use strata::runs::Epochs;

const HEADER: &str = "epoch,step,lr,train_loss,train_top1,train_top5,val_loss,val_top1,val_top5,\
                      epoch_seconds,images_per_second,peak_memory_mib";
const SUMMARY_START: &str = "name,key,status,seed,params,macs,epochs,best_epoch,val_loss,val_top1,val_top5,test_loss,\
                             test_top1,test_top5,test_correct,test_total,seconds,device,precision,git,started,";

#[test]
fn a_run_leaves_the_files_of_the_design() {
    let place = Place::trained("tiny", TINY);
    let run = place.run("tiny");
    let files =
        [".lock", "checkpoint", "curves.svg", "epochs.csv", "experiment.toml", "run.json", "run.log", "summary.csv"];
    assert_eq!(names(&run.folder), files);
    assert_eq!(run.key().len(), 10);

    let epochs = run.read("epochs.csv");
    assert_eq!(Epochs::header(), HEADER);
    let lines: Vec<&str> = epochs.lines().collect();
    assert_eq!((lines[0], lines.len()), (HEADER, 3));
    assert!(epochs.ends_with('\n'));
    for (index, line) in lines[1..].iter().enumerate() {
        let values: Vec<&str> = line.split(',').collect();
        assert_eq!(values[..3], [&*format!("{}", index + 1), &*format!("{}", 2 * (index + 1)), "0.05"]);
        assert_eq!(values.len(), 12);
        for column in [4, 5, 7, 8] {
            assert!(is_fraction(values[column]), "{line}");
        }
    }

    let info: serde_json::Value = serde_json::from_str(&run.read("run.json")).unwrap();
    assert_eq!((&info["outcome"], &info["threads"], &info["device"]), (&"done".into(), &1.into(), &"cpu".into()));
    assert!(run.read("run.log").contains("tiny 2/2: loss "));
}

#[test]
fn the_summary_has_every_key_as_a_column() {
    let place = Place::trained("tiny", TINY);
    let run = place.run("tiny");
    let text = run.read("summary.csv");
    assert!(text.starts_with(SUMMARY_START), "{text}");
    assert_eq!(text.lines().count(), 2);
    let summary = run.summary();
    let expected = [
        ("name", "tiny"),
        ("key", run.key()),
        ("status", "done"),
        ("epochs", "2"),
        ("test_total", "500"),
        ("device", "cpu"),
        ("model.preset", "resnet"),
        ("model.depth", "8"),
        ("model.input", "[1, 14, 14]"),
        ("train.lr", "0.05"),
        ("train.optimizer", "sgd"),
        ("data.augment.flip", "false"),
    ];
    for (column, value) in expected {
        assert_eq!(summary[column], value, "{column}");
    }
    for column in ["val_top1", "val_top5", "test_top1", "test_top5"] {
        assert!(is_fraction(&summary[column]), "{column}: {}", summary[column]);
    }
    let correct: f64 = summary["test_correct"].parse().unwrap();
    assert_eq!(summary["test_top1"], format!("{:.6}", correct / 500.0));
    let best: usize = summary["best_epoch"].parse().unwrap();
    assert_eq!(summary["val_top1"], run.epochs()[best].split(',').nth(7).unwrap());
}

/// Six digits, between 0 and 1.
fn is_fraction(text: &str) -> bool {
    text.len() == 8 && text.parse::<f64>().is_ok_and(|value| (0.0..=1.0).contains(&value))
}

#[test]
fn checkpoints_hold_the_tensors_under_their_names() {
    let place = Place::trained("tiny", TINY);
    let run = place.run("tiny");
    let experiment = strata::config::Experiment::load(&place.path("tiny.toml"), &[], Default::default()).unwrap();
    for link in ["last", "best"] {
        let tensors = read_tensors(&run.path("checkpoint").join(link).join("weights.safetensors")).unwrap();
        let params = experiment.network.params();
        assert_eq!(tensors.len(), params.len());
        for param in params {
            assert_eq!(tensors[&param.name].size(), param.shape, "{}", param.name);
        }
    }
    let folders = names(&run.path("checkpoint")).into_iter().filter(|name| name.starts_with("step-")).count();
    assert!((1..=2).contains(&folders), "checkpoints that nothing needs are removed");
}

#[test]
fn a_finished_run_is_skipped_unless_forced() {
    let place = Place::trained("tiny", TINY);
    let run = place.run("tiny");
    let (before, result) = (run.read("run.json"), run.result());
    let out = place.strata(&["train", "tiny.toml"]).good();
    assert!(out.contains("finished before; --force runs it again"), "{out}");
    let quiet = place.strata(&["train", "tiny.toml", "-q"]);
    assert_eq!(quiet.err, "");
    assert!(quiet.good().starts_with("tiny: done, validation Top-1 "), "the result alone");
    assert_eq!(run.read("run.json"), before);
    let out = place.strata(&["train", "tiny.toml", "--force"]).good();
    assert!(!out.contains("finished before"), "{out}");
    assert_ne!(run.read("run.json"), before);
    assert!(run.result() == result, "the same experiment in another process gives the same bytes");
}

#[test]
fn a_written_experiment_runs_to_the_same_key() {
    let place = Place::trained("tiny", TINY);
    let written = place.run("tiny").path("experiment.toml");
    let out = place.strata(&["train", written.to_str().unwrap()]).good();
    assert!(out.contains("finished before"), "{out}");

    let shown = place.strata(&["show", "tiny.toml"]).good();
    assert!(shown.contains(&format!("key {}", place.run("tiny").key())), "{shown}");
    place.file("shown.toml", shown);
    let out = place.strata(&["train", "shown.toml"]).good();
    assert!(out.contains("finished before"), "the rows written out are the same experiment: {out}");
    assert_eq!(place.runs("tiny").len(), 1);
}

#[test]
fn a_change_that_changes_the_result_changes_the_key() {
    let place = Place::with_tiny();
    let key = |set: &str| {
        let shown = place.strata(&["show", "tiny.toml", "--set", set]).good();
        shown.split("key ").nth(1).unwrap()[..10].to_owned()
    };
    let keys = ["train.epochs=2", "seed=1", "train.lr=0.1", "model.width=16", "data.augment.flip=true"].map(key);
    let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len(), "{keys:?}");
    assert_eq!(key("name=other"), keys[0], "the name is not part of the key");
}

#[test]
fn two_processes_do_not_share_a_run() {
    let place = Place::new();
    place.file("long.toml", TINY.replace("epochs = 2", "epochs = 5000"));
    let first = place.start("long.toml");
    place.strata(&["train", "long.toml"]).refused(&["is locked by process ", "wait for it, or stop it"]);
    first.kill();
    // A killed process holds nothing.
    let mut second = place.start("long.toml");
    assert!(second.said.contains(" an epoch; ") && !second.ended(), "{}", second.said);
    second.kill();
}

#[test]
fn cost_speaks_to_people_programs_and_pages() {
    let place = Place::with_tiny();
    let csv = place.strata(&["cost", "tiny.toml", "--format", "csv"]).good();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "network,input,classes,depth,params,aux_params,macs,activations");
    // By hand: stem 88; stages 1184, 3680 and 14528 with their projections; classifier 330.
    assert!(lines[1].starts_with("tiny,1x14x14,10,8,19810,0,"), "{csv}");
    let other =
        place.strata(&["cost", "tiny.toml", "--format", "csv", "--input", "3x28x28", "--classes", "100"]).good();
    // Two more input channels: 2·3·3·8 weights; 90 more classes: 90·33.
    assert!(other.contains(&format!("tiny,3x28x28,100,8,{},0,", 19810 + 144 + 2970)), "{other}");
    let page = place.strata(&["cost", "tiny.toml", "--format", "markdown"]).good();
    assert!(page.lines().all(|line| line.starts_with('|') && line.ends_with('|')) && page.contains("19 810"), "{page}");
    let table = place.strata(&["cost", "tiny.toml"]).good();
    assert!(table.contains("19 810"), "{table}");
    // The command's one-line description used to hide all that its help says.
    let help = place.strata(&["cost", "--help"]).good();
    assert!(
        help.contains("torchvision's convention") && help.lines().all(|line| line.chars().count() <= 100),
        "{help}"
    );

    let layers = place.strata(&["cost", "tiny.toml", "--layers", "--format", "csv"]).good();
    let params = |line: &str| line.split(',').rev().nth(3).unwrap().parse::<u64>().unwrap();
    let (total, rest) = layers.lines().skip(1).collect::<Vec<_>>().split_last().map(|(a, b)| (*a, b.to_vec())).unwrap();
    assert!(total.contains(",total,"), "{layers}");
    assert_eq!(rest.iter().map(|line| params(line)).sum::<u64>(), params(total));
    assert_eq!(params(total), 19810);
}

#[test]
fn a_diagram_is_drawn() {
    let place = Place::with_tiny();
    place.strata(&["show", "tiny.toml", "--diagram", "tiny.svg"]).good();
    let svg = fs::read_to_string(place.path("tiny.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
}

#[test]
fn quiet_is_quiet() {
    let place = Place::with_tiny();
    let ran = place.strata(&["train", "tiny.toml", "-q"]);
    assert_eq!(ran.err, "");
    assert!(ran.good().starts_with("tiny: done, validation Top-1 "));
}

/// libtorch's bf16 kernel for the weight gradient of a strided 1x1 convolution writes past its memory where the threads do not
/// divide the batch. An odd width has no operation of our own; without rewrites nothing has.
#[test]
fn a_strided_1x1_convolution_in_bf16_is_trained_on_any_batch() {
    let place = Place::new();
    for (width, rewrites) in [(9, true), (8, false)] {
        place.file(
            "stride.toml",
            format!(
                "[data]\ndataset = 'synthetic'\nvalidation = 10\nlimit = 48\n[model]\ninput = [3, 32, 32]\nrows = [\
                 {{ op = 'conv', kernel = 3, width = 8 }}, {{ op = 'conv', kernel = 1, width = {width}, stride = 2 }}, \
                 {{ op = 'global_avg_pool' }}, {{ op = 'classifier' }}]\n\
                 [train]\nepochs = 1\nprecision = 'bf16'\nrewrites = {rewrites}\n"
            ),
        );
        for (threads, batch) in [("2", 1), ("2", 3), ("3", 5), ("4", 6)] {
            let batch = format!("train.batch={batch}");
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_strata"));
            command.current_dir(place.path("")).env("XDG_CACHE_HOME", place.path("cache"));
            command.args(["--threads", threads, "train", "stride.toml", "--set", &batch]);
            Ran::from(command.output().unwrap()).good();
        }
    }
}

/// A plain net without normalisation, a step an epoch, and a rate that no weights survive.
const DIVERGING: &str = r#"
[data]
dataset = "synthetic"
validation = 100
limit = 128

[model]
norm = "none"
rows = [
  { op = "conv", kernel = 3, stride = 4, width = 8 },
  { op = "conv", kernel = 3, stride = 2, width = 8 },
  { op = "global_avg_pool" },
  { op = "classifier" },
]

[train]
epochs = 50
batch = 128
lr = 1000.0
"#;

#[test]
fn a_run_that_diverges_keeps_its_rows() {
    let place = Place::new();
    place.file("wild.toml", DIVERGING);
    let ran = place.strata(&["train", "wild.toml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.out.starts_with("wild: diverged"), "{}", ran.out);
    assert!(ran.err.contains("the run stops; try a lower train.lr"), "{}", ran.err);
    let run = place.run("wild");
    let rows = run.epochs().len() - 1;
    assert!((1..50).contains(&rows), "{rows} rows");
    let summary = run.summary();
    assert_eq!((&*summary["status"], &*summary["test_top1"]), ("diverged", ""));
    assert_eq!(summary["epochs"], rows.to_string());
    let again = place.strata(&["train", "wild.toml"]);
    assert_eq!(again.code, Some(1), "the outcome stays a failure: {}", again.err);
}

/// One step of this decay multiplies every weight by about -10,000; through a dozen layers no number is large enough. The
/// run used to fail over a checkpoint that it could not read back.
#[test]
fn a_validation_loss_that_is_no_number_is_divergence_too() {
    let place = Place::new();
    let conv = "  { op = \"conv\", kernel = 3, stride = 2, width = 8 },\n";
    let deep = DIVERGING.replace(conv, &conv.replace("stride = 2", "stride = 1").repeat(12));
    place.file("deep.toml", deep.replace("epochs = 50", "epochs = 1\nweight_decay = 10.0"));
    let ran = place.strata(&["train", "deep.toml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("the validation loss is not finite in step"), "{}", ran.err);
    assert_eq!(place.run("deep").summary()["status"], "diverged");
}

#[test]
fn one_batch_is_not_called_batches() {
    let place = Place::with_tiny();
    let ran = place.strata(&["train", "tiny.toml", "--set", "train.batch=128", "--set", "train.epochs=1"]);
    assert!(ran.err.contains("128 images, 1 batch an epoch"), "{}", ran.err);
}
