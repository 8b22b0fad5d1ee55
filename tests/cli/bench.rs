//! `strata bench`: the table, and the worker that `make bench` drives.

use crate::place::Place;
use std::io::Write;
use std::process::Stdio;

const SMALL: [&str; 4] = ["--batch", "4", "--steps", "2"];

#[test]
fn a_line_for_each_network_and_phase() {
    let place = Place::with_tiny();
    let out = place.strata(&[&["bench", "tiny.toml", "--format", "csv"][..], &SMALL].concat()).good();
    let mut reader = csv::Reader::from_reader(out.as_bytes());
    let columns = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let cell =
        |row: &csv::StringRecord, name: &str| row[columns.iter().position(|column| column == name).unwrap()].to_owned();
    assert_eq!(rows.iter().map(|row| cell(row, "phase")).collect::<Vec<_>>(), ["eval", "train"]);
    for row in &rows {
        assert_eq!((cell(row, "network"), cell(row, "batch")), ("tiny".into(), "4".into()));
        let [least, middle, most] = ["ms_min", "ms", "ms_max"].map(|name| cell(row, name).parse::<f64>().unwrap());
        assert!(0.0 < least && least <= middle && middle <= most, "{out}");
    }
    assert!(!place.path("results").exists(), "it leaves nothing behind");
}

#[test]
fn a_worker_answers_line_by_line() {
    let place = Place::with_tiny();
    let mut command = place.command(&[&["bench", "tiny.toml", "--worker"][..], &SMALL].concat());
    let mut worker = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    worker.stdin.take().unwrap().write_all(b"eval 1\ntrain 2\nsleep 3\n").unwrap();
    let output = worker.wait_with_output().unwrap();
    let lines: Vec<serde_json::Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [about, eval, train] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((&about["name"], &about["batch"]), (&"tiny".into(), &4.into()));
    // Training does forward twice more backward.
    assert_eq!(about["train"]["flops"].as_f64().unwrap(), 3.0 * about["eval"]["flops"].as_f64().unwrap());
    for (round, phase, steps) in [(eval, "eval", 1), (train, "train", 2)] {
        assert_eq!((&round["phase"], round["ms"].as_array().unwrap().len()), (&phase.into(), steps));
    }
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not `sleep 3`"));
}

#[test]
fn what_cannot_be_timed_is_refused() {
    let place = Place::with_tiny();
    place.strata(&["bench", "tiny.toml", "tiny.toml", "--worker"]).refused(&["--worker takes one experiment"]);
    place.strata(&["bench", "tiny.toml", "--batch", "0"]).refused(&["train.batch"]);
    place.strata(&["bench", "tinny"]).refused(&["there is no experiment file `tinny`"]);
}

/// Without torchvision, and without a file: synthetic photographs.
#[test]
fn reading_images_is_timed_stage_by_stage() {
    let place = Place::with_tiny();
    let out = place.strata(&["bench", "--data", "--steps", "1", "--format", "csv"]).good();
    let stages: Vec<&str> = out.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert_eq!(stages, ["read", "decode", "crop and resize", "flip and normalise", "whole"]);
    place.strata(&["bench", "tiny.toml", "--data"]).refused(&["they are not files"]);
    place.strata(&["bench", "a", "b", "--data"]).refused(&["--data takes one experiment"]);
}
