//! Studies of trained runs: files, options, going on after a stop.

use super::place::{Place, TINY};
use std::fs;

fn files(place: &Place, study: &str) -> Vec<String> {
    let folder = place.path(&format!("results/studies/{study}"));
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_study_has_a_table_a_picture_and_its_command_and_goes_on_where_it_was_stopped() {
    let place = Place::trained("tiny", TINY);
    let arguments = ["study", "lesion", "tiny", "-o", "draws=2", "-o", "images=100"];
    let wrote = place.strata(&arguments).wrote();
    let table = place.path(&wrote[0]);
    let whole = fs::read(&table).unwrap();
    let stem = table.file_stem().unwrap().to_str().unwrap().to_owned();
    assert_eq!(files(&place, "lesion"), ["csv", "svg", "toml"].map(|ending| format!("{stem}.{ending}")));
    let written = fs::read_to_string(table.with_extension("toml")).unwrap();
    assert!(written.contains("study lesion tiny -o draws=2"), "{written}");
    // Finished, it is only drawn again.
    let again = place.strata(&arguments);
    assert!(again.err.contains("exists; --force runs the study again"), "{}", again.err);
    assert_eq!(again.wrote(), wrote[1..]);

    // Half of the rows, as a process that was killed leaves them: in the order in which they are computed.
    fs::remove_file(&table).unwrap();
    let mut killed = place.command(&arguments);
    let killed = killed.env("STRATA_FAULT", "write:6:kill").output().unwrap();
    assert!(!killed.status.success() && !table.exists());
    let rows = table.with_file_name(format!(".{stem}.rows"));
    assert!(fs::read_to_string(&rows).unwrap().lines().count() >= 2);
    place.strata(&arguments).good();
    assert_eq!(fs::read(&table).unwrap(), whole, "byte for byte");
    assert!(!rows.exists());
    place.strata(&["report"]).good();
    assert!(fs::read_to_string(place.path("results/report.html")).unwrap().contains("id=\"studies\""));
}

#[test]
fn every_study_runs_on_a_trained_network() {
    let logged = "[train]\nlog_gradients = 1\nkeep_every = 1";
    let place = Place::trained("tiny", &TINY.replace("depth = 8", "depth = 8\nse = 4").replace("[train]", logged));
    place.file("other.toml", TINY.replace("depth = 8", "depth = 8\nse = 4").replace("[data]", "seed = 1\n[data]"));
    place.strata(&["train", "other.toml"]).good();
    for (study, runs, options) in [
        ("paths", &["tiny"][..], &["samples=2"][..]),
        ("gates", &["tiny", "other"], &[]),
        ("ensemble", &["tiny", "other"], &[]),
        ("gradients", &["tiny"], &[]),
        ("gradients", &["tiny"], &["form=steps"]),
        ("landscape", &["tiny"], &["points=3", "images=50"]),
        ("landscape", &["tiny"], &["directions=trajectory", "points=3", "images=50"]),
        ("landscape", &["tiny", "other"], &["form=between", "points=3", "images=50"]),
        ("sharpness", &["tiny"], &["iterations=3", "probes=1", "images=50"]),
        ("similarity", &["tiny", "other"], &["images=64", "batch=32"]),
        ("errors", &["tiny"], &["count=4"]),
        ("attention", &["tiny"], &["images=2", "split=train"]),
    ] {
        let mut arguments = vec!["study", study];
        arguments.extend(runs);
        options.iter().for_each(|option| arguments.extend(["-o", option]));
        let wrote = place.strata(&arguments).wrote();
        assert!(wrote.len() == 2 && wrote.iter().all(|path| place.path(path).is_file()), "{study}: {wrote:?}");
    }
}

/// It reads results alone, those of a sweep at once.
#[test]
fn the_study_of_scaling_takes_a_sweep() {
    let place = Place::new();
    let sweep = "[sweep]\nzip = [{ scaling.width = [1.0, 2.0, 1.0], scaling.phi = [0, 0, 1] }]\nseed = [0, 1]\n";
    place.file("wide.toml", TINY.replace("epochs = 2", "epochs = 1") + sweep);
    place.strata(&["sweep", "wide.toml"]).good();
    for run in place.runs("wide") {
        fs::remove_dir_all(run.join("checkpoint")).unwrap();
    }
    let wrote = place.strata(&["study", "scaling", "wide"]).wrote();
    let table = fs::read_to_string(place.path(&wrote[0])).unwrap();
    let of = |start: &str| table.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!([of("run,unscaled"), of("run,width"), of("run,compound")], [2, 2, 2], "{table}");
    assert_eq!([of("fit,width,"), of("fit,compound 1.2 1.1 1.15,"), of("fit,")], [1, 1, 2], "{table}");
    place.strata(&["study", "scaling", "wide", "-o", "by=test_top5"]).refused(&["test_top5"]);
}

#[test]
fn wrong_options_are_said() {
    let place = Place::trained("tiny", TINY);
    let study = |words: &[&str]| place.strata(&[&["study"], words].concat());
    study(&["lesion", "tiny", "-o", "drawz=2"]).refused(&["drawz", "the options of `lesion` are images, deleted"]);
    study(&["lesion", "tiny", "-o", "draws=0"]).refused(&["`draws` is between 1 and 10000, not 0"]);
    study(&["gates", "tiny"]).refused(&["tiny has no gate, excitation or stochastic depth"]);
    study(&["ensemble", "tiny"]).refused(&["`ensemble` takes 2 to 64 runs, not 1"]);
    study(&["landscape", "tiny", "-o", "directions=trajectory"])
        .refused(&["tiny kept the weights of 0", "train.keep_every=1"]);
    study(&["landscape", "tiny", "-o", "points=4"]).refused(&["`points` is an odd number from 3 on, not 4"]);
    study(&["gradients", "tiny", "-o", "form=steps"]).refused(&["tiny has no gradients.csv", "train.log_gradients"]);
    study(&["lesions", "tiny"]).refused(&["lesion"]);
}
