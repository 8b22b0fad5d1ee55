//! What others do to a run: a second process on its folder, data that changes under it.

use super::recipes::Recipe;
use super::{Place, Whole};
use std::fs;

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
    place.strata(&["train", "sgd.toml"]).refused(&[&format!("is locked by {holder}")]);
    place.strata(&["train", "sgd.toml", "--force"]).refused(&[&format!("is locked by {holder}")]);
    running.signal("CONT");
    assert!(running.wait().success());
    assert_eq!(whole.differs(&place.run("sgd")), None);
}

#[test]
fn a_run_does_not_go_on_with_other_data() {
    let place = Place::new();
    let set_pixel = |value: u8| {
        for (split, count) in [("train", 200), ("val", 20)] {
            std::fs::create_dir_all(place.path(&format!("images/{split}/c"))).unwrap();
            for number in 0..count {
                let colour = if number == 150 { [value; 3] } else { [number as u8, 1, 2] };
                let path = place.path(&format!("images/{split}/c/{number:03}.png"));
                image::RgbImage::from_pixel(8, 8, image::Rgb(colour)).save(path).unwrap();
            }
        }
        place.strata(&["fetch", "imagenet", "--from", "images"]).good();
    };
    set_pixel(0);
    let experiment = Recipe::named("sgd").experiment(2).replace("synthetic", "imagenet");
    place.file("sgd.toml", experiment.replace("limit = 192", "limit = 80").replace("[1, 12, 12]", "[3, 12, 12]"));
    let fault = place.command(&["train", "sgd.toml"]).env("STRATA_FAULT", "step:8:kill").output().unwrap();
    assert!(String::from_utf8(fault.stderr).unwrap().contains("fault injected"));
    set_pixel(9);
    let run = place.run("sgd");
    let before = fs::read(run.path("epochs.csv")).unwrap();
    place.strata(&["train", "sgd.toml"]).refused(&["was trained on other data than imagenet", "has now", "--force"]);
    assert_eq!(fs::read(run.path("epochs.csv")).unwrap(), before);
    // The former data brings the run to its end; other data begins another.
    set_pixel(0);
    place.strata(&["train", "sgd.toml"]).good();
    set_pixel(9);
    place.strata(&["train", "sgd.toml", "--force"]).good();
}
