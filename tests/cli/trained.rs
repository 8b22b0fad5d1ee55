//! What can be done with a trained run: evaluation, ensembles, predictions.

use super::place::{Place, TINY};
use std::collections::HashSet;
use std::fs;
use strata::model::{read_tensors, write_tensors};
use tch::{Device, Kind, Tensor};

#[test]
fn eval_agrees_with_the_summary() {
    let place = Place::trained("tiny", TINY);
    let summary = place.run("tiny").summary();
    let out = place.strata(&["eval", "tiny", "--format", "csv"]).good();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "run,loss,top1,top5,correct,total");
    let columns = ["name", "test_loss", "test_top1", "test_top5", "test_correct", "test_total"];
    assert_eq!(lines[1], columns.map(|column| summary[column].clone()).join(","));
    let out = place.strata(&["eval", "tiny", "--split", "validation", "--format", "csv"]).good();
    assert!(out.contains(&format!(",{},", summary["val_top1"])) && out.ends_with(",100\n"), "{out}");
    let out = place.strata(&["eval", "tiny", "--split", "train", "--format", "csv"]).good();
    assert!(out.ends_with(",128\n"), "{out}");
}

/// The same weights in another arithmetic give another loss, but not by much.
#[test]
fn eval_in_another_arithmetic() {
    let place = Place::trained("tiny", TINY);
    let loss = |options: &[&str]| {
        let out = place.strata(&[&["eval", "tiny", "--format", "csv"], options].concat()).good();
        out.lines().nth(1).unwrap().split(',').nth(1).unwrap().parse::<f64>().unwrap()
    };
    let (fp32, bf16) = (loss(&["--precision", "fp32"]), loss(&["--precision", "bf16"]));
    assert!(fp32 != bf16 && (fp32 / bf16 - 1.0).abs() < 0.02, "{fp32}, {bf16}");
    let plain = loss(&["--precision", "fp32", "--no-rewrites"]);
    assert!((fp32 / plain - 1.0).abs() < 1e-4, "{fp32}, {plain}");
    place.strata(&["eval", "tiny", "--precision", "bf61"]).refused(&["fp32, bf16", "a similar value exists: 'bf16'"]);
}

#[test]
fn two_seeds_make_an_ensemble() {
    let place = Place::trained("tiny", TINY);
    place.strata(&["train", "tiny.toml", "--set", "seed=1"]).good();
    let runs: Vec<String> = place.runs("tiny").iter().map(|run| run.display().to_string()).collect();
    assert_eq!(runs.len(), 2, "another seed is another run");
    let keys: Vec<&str> = runs.iter().map(|run| run.rsplit('/').next().unwrap()).collect();
    fs::remove_file(place.path("tiny.toml")).unwrap();
    let list = ["`tiny` has several runs; name one of them", "tiny@best", "seed", "status", "done", keys[0], keys[1]];
    place.strata(&["eval", "tiny"]).refused(&list);
    // The experiment of that name says which one is meant; points of sweeps may be called like it.
    place.file("experiments/tiny.toml", TINY);
    let one = |arguments: &[&str]| place.strata(&[&["eval", "--format", "csv"], arguments].concat()).good();
    let numbers = |text: String| text.lines().nth(1).and_then(|line| line.split_once(',')).unwrap().1.to_owned();
    let both: HashSet<String> =
        ["tiny", "tiny --set seed=1"].map(|line| numbers(one(&line.split(' ').collect::<Vec<_>>()))).into();
    assert_eq!(both, runs.iter().map(|run| numbers(one(&[run]))).collect());
    assert_eq!(numbers(one(&["tiny@latest"])), numbers(one(&["tiny", "--set", "seed=1"])));
    assert_eq!(numbers(one(&["tiny@latest", "--set", "seed=0"])), numbers(one(&["tiny"])));
    assert!(both.contains(&numbers(one(&["tiny@best"]))));
    let compared = place.strata(&["compare", "tiny@latest", "--format", "csv"]).good();
    assert_eq!(compared.lines().count(), 2, "{compared}");
    place.strata(&["diff", "tiny@best", "tiny@latest"]).good();
    place.strata(&["eval", "tiny@newest"]).refused(&["there is no run `tiny@newest`: did you mean `tiny@latest`?"]);
    place.strata(&["eval", "tiny@bst"]).refused(&["did you mean `tiny@best`?"]);
    let out = place.strata(&["eval", &runs[0], &runs[1], "--format", "csv"]).good();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[3].starts_with("ensemble (mean of the probabilities),") && lines[3].ends_with(",500"), "{out}");
}

#[test]
fn predict_names_the_classes_of_an_image() {
    let place = Place::trained("tiny", TINY);
    image::RgbImage::from_fn(40, 30, |x, _| image::Rgb([(x * 6) as u8; 3])).save(place.path("wave.png")).unwrap();
    let out = place.strata(&["predict", "tiny", "wave.png", "--top", "10"]).good();
    let probabilities: Vec<f64> =
        out.lines().skip(1).map(|line| line.split_whitespace().rev().nth(1).unwrap().parse().unwrap()).collect();
    assert!(out.lines().skip(1).all(|line| line.trim_end().ends_with(" %")), "{out}");
    assert_eq!(probabilities.len(), 10);
    assert!(probabilities.is_sorted_by(|a, b| a >= b), "{out}");
    assert!((probabilities.iter().sum::<f64>() - 100.0).abs() < 0.1, "{out}");
    assert!(out.lines().skip(1).all(|line| line.trim_start().starts_with("wave.png")));
    assert_eq!(place.strata(&["predict", "tiny", "wave.png"]).good().lines().count(), 6, "five classes by default");
}

#[test]
fn logits_of_a_batch_are_those_of_its_images() {
    let place = Place::trained("tiny", TINY);
    let logits = |images: &Tensor| {
        write_tensors(&place.path("x.safetensors"), &[("input".to_owned(), images.shallow_clone())]).unwrap();
        place.strata(&["predict", "tiny", "--input", "x.safetensors", "--output", "y.safetensors"]).good();
        read_tensors(&place.path("y.safetensors")).unwrap().remove("logits").unwrap()
    };
    let images = Tensor::arange(3 * 14 * 14, (Kind::Float, Device::Cpu)).sin().view([3, 1, 14, 14]);
    let all = logits(&images);
    assert_eq!(all.size(), [3, 10]);
    let one = logits(&images.narrow(0, 1, 1));
    assert!((all.narrow(0, 1, 1) - one).abs().max().double_value(&[]) < 1e-5);
    assert!((all.select(0, 0) - all.select(0, 1)).abs().max().double_value(&[]) > 1e-5, "images differ");
    let large = logits(&Tensor::zeros([1, 1, 20, 24], (Kind::Float, Device::Cpu)));
    assert_eq!(large.size(), [1, 10], "a network that ends in a mean takes any size");
}

#[test]
fn eval_writes_a_confusion_matrix() {
    let place = Place::trained("tiny", TINY);
    let arguments = ["eval", "tiny", "--confusion", "c.csv", "--confusion", "c.svg", "--format", "csv"];
    let out = place.strata(&arguments).good();
    let correct: u64 = out.lines().nth(1).unwrap().split(',').nth(4).unwrap().parse().unwrap();
    let mut reader = csv::Reader::from_path(place.path("c.csv")).unwrap();
    assert_eq!(reader.headers().unwrap().iter().take(5).last(), Some("predicted across-1"));
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let sum = |column: usize| rows.iter().map(|row| row[column].parse::<u64>().unwrap()).sum::<u64>();
    assert_eq!((rows.len(), sum(1), sum(2)), (10, 500, correct));
    assert_eq!((4..14).map(sum).sum::<u64>(), 500);
    let svg = fs::read_to_string(place.path("c.svg")).unwrap();
    assert!(
        svg.contains("Confusion matrix of tiny") && svg.contains("500 test images") && svg.contains("down-"),
        "{svg}"
    );
    place.strata(&["eval", "tiny", "--confusion", "c.png", "--confusion", "c.pdf"]).good();
    assert!(fs::read(place.path("c.png")).unwrap().starts_with(b"\x89PNG"));
    assert!(fs::read(place.path("c.pdf")).unwrap().starts_with(b"%PDF-"));
    let svg = place.strata(&["eval", "tiny", "--confusion", "-"]).good();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    place.strata(&["eval", "tiny", "--confusion", "c.gif"]).refused(&["c.gif", ".csv, .svg, .png or .pdf"]);
    assert!(place.strata(&["eval", "tiny"]).good().contains(" %"), "people read percent");
}

/// Eval used to take the one run there was, whatever `--set` said.
#[test]
fn eval_of_a_run_that_was_never_trained_is_refused() {
    let place = Place::trained("tiny", TINY);
    place.strata(&["eval", "tiny", "--set", "seed=0"]).good();
    let absent = ["no run of `tiny` has seed=7; `strata train` makes one"];
    place.strata(&["eval", "tiny", "--set", "seed=7"]).refused(&absent);
    place.strata(&["diff", "tiny", "tiny", "--set", "seed=7"]).refused(&absent);
    place
        .strata(&["eval", "tiny", "--set", "model.wdith=9"])
        .refused(&["there is no key `wdith`", "did you mean `width`"]);
    let run = place.run("tiny");
    let folder = run.folder.to_str().unwrap();
    place.strata(&["eval", folder, "--set", "seed=0"]).refused(&["is a single run: --set selects"]);
    fs::remove_file(run.path("experiment.toml")).unwrap();
    place.strata(&["eval", "tiny"]).refused(&["no run in results/runs/tiny has an experiment.toml"]);
    place.strata(&["train", "tiny.toml"]).good();
    place.strata(&["eval", "tiny"]).good();
}
