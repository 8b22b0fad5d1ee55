//! What others do to a run: a second process on its folder, data that changes under it.

use super::recipes::Recipe;
use super::{Place, Whole};
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};

#[test]
fn a_second_process_is_told_who_holds_the_run() {
    let experiment = Recipe::named("sgd").experiment(60);
    let whole = Whole::of("sgd", &experiment);
    let place = Place::new();
    place.file("sgd.toml", &experiment);
    let running = place.start("sgd.toml");
    // Held up, or it might be done before the others have asked.
    running.signal("STOP");
    let holder = place.run("sgd").read(".lock");
    assert!(holder.starts_with("process "), "{holder}");
    place.strata(&["train", "sgd.toml"]).refused(&[&format!("is in use by {holder}")]);
    place.strata(&["train", "sgd.toml", "--force"]).refused(&[&format!("is in use by {holder}")]);
    running.signal("CONT");
    assert!(running.wait().success());
    assert_eq!(whole.differs(&place.run("sgd")), None);
}

/// Fashion-MNIST's four files with nothing in them but their headers; zeros take no room on the disk.
fn empty_fashion_mnist(place: &Place) {
    for (name, count) in [("train", 60_000u32), ("t10k", 10_000)] {
        let file = |kind: &str, sizes: &[u32]| {
            let path = format!("cache/strata/datasets/fashion-mnist/{name}-{kind}{}-ubyte", sizes.len());
            let mut header = vec![0, 0, 8, sizes.len() as u8];
            sizes.iter().for_each(|size| header.extend(size.to_be_bytes()));
            let length = header.len() as u64 + sizes.iter().map(|&size| u64::from(size)).product::<u64>();
            let path = place.file(&path, header);
            File::options().write(true).open(path).unwrap().set_len(length).unwrap();
        };
        file("images-idx", &[count, 28, 28]);
        file("labels-idx", &[count]);
    }
}

#[test]
fn a_run_does_not_go_on_with_other_data() {
    let place = Place::new();
    empty_fashion_mnist(&place);
    let experiment = Recipe::named("sgd").experiment(2).replace("synthetic", "fashion-mnist");
    place.file("sgd.toml", experiment);
    let fault = place.command(&["train", "sgd.toml"]).env("STRATA_FAULT", "step:20:kill").output().unwrap();
    assert!(String::from_utf8(fault.stderr).unwrap().contains("fault injected"));
    let images = place.path("cache/strata/datasets/fashion-mnist/train-images-idx3-ubyte");
    let set_pixel = |value: u8| {
        let mut file = File::options().write(true).open(&images).unwrap();
        file.seek(SeekFrom::Start(16 + 784 * 150 + 300)).unwrap();
        file.write_all(&[value]).unwrap();
    };
    set_pixel(9);
    let run = place.run("sgd");
    let before = fs::read(run.path("epochs.csv")).unwrap();
    place.strata(&["train", "sgd.toml"]).refused(&["the data of fashion-mnist", "is not that which", "--force"]);
    assert_eq!(fs::read(run.path("epochs.csv")).unwrap(), before);
    // The former data brings the run to its end; other data begins another.
    set_pixel(0);
    place.strata(&["train", "sgd.toml"]).good();
    set_pixel(9);
    place.strata(&["train", "sgd.toml", "--force"]).good();
}
