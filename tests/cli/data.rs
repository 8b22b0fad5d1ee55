//! The images under a run: other ones, changed ones.

use super::place::{Place, TINY};
use std::fs;
use std::path::PathBuf;

/// Nine by nine images of two classes whose brightness is `level` and twice that.
fn images(place: &Place, name: &str, level: u8) -> PathBuf {
    let folder = place.path(name);
    for (split, count) in [("train", 12), ("val", 6)] {
        for (class, level) in [("dark", level), ("light", 2 * level)] {
            fs::create_dir_all(folder.join(split).join(class)).unwrap();
            for number in 0..count {
                let pixel = |x, y| image::Rgb([level, level / 2 + (x * y) as u8, number]);
                let path = folder.join(split).join(class).join(format!("{number}.png"));
                image::RgbImage::from_fn(9, 9, pixel).save(path).unwrap();
            }
        }
    }
    folder
}

fn experiment(place: &Place) {
    let text = TINY.replace("synthetic", "imagenet").replace("validation = 100", "validation = 8");
    let text = text.replace("limit = 128", "limit = 16").replace("[1, 14, 14]", "[3, 9, 9]\nclasses = 2");
    place.file("i.toml", text.replace("batch = 64", "batch = 4"));
}

fn fetch(place: &Place, folder: &str) {
    place.strata(&["fetch", "imagenet", "--from", folder]).good();
}

const CHANGED: [&str; 2] = ["was trained on other data than", "--force"];

/// The second `train` said "finished before" with the accuracy on the first images, and `eval` measured the second with the
/// labels of the first.
#[test]
fn a_finished_run_is_not_taken_for_one_on_other_images() {
    let place = Place::new();
    experiment(&place);
    images(&place, "a", 40);
    images(&place, "b", 90);
    place.file("sweep.toml", fs::read_to_string(place.path("i.toml")).unwrap() + "[sweep]\nseed = [0]\n");
    fetch(&place, "a");
    place.strata(&["train", "i.toml"]).good();
    place.strata(&["sweep", "sweep.toml"]).good();
    assert!(place.strata(&["train", "i.toml"]).good().contains("finished before"));
    let evaluated = place.strata(&["eval", "i"]).good();
    let before = place.run("i").result();

    fetch(&place, "b");
    place.strata(&["train", "i.toml"]).refused(&CHANGED);
    place.strata(&["eval", "i"]).refused(&CHANGED);
    assert!(place.strata(&["sweep", "sweep.toml", "--dry-run"]).good().contains("other data"));
    let swept = place.strata(&["sweep", "sweep.toml"]);
    assert_eq!(swept.code, Some(1), "{}", swept.out);
    assert!(
        swept.out.contains("0 of 1 point done, 1 failed") && swept.err.contains("was trained on other data"),
        "{}",
        swept.err
    );
    assert!(place.run("i").result() == before);

    fetch(&place, "a");
    assert!(place.strata(&["train", "i.toml"]).good().contains("finished before"));
    assert_eq!(place.strata(&["eval", "i"]).good(), evaluated);
    fetch(&place, "b");
    place.strata(&["train", "i.toml", "--force"]).good();
    assert!(place.strata(&["train", "i.toml"]).good().contains("finished before"));
}

#[test]
fn an_image_that_changed_since_it_was_listed_is_not_read() {
    let place = Place::new();
    experiment(&place);
    let folder = images(&place, "a", 40);
    fetch(&place, "a");
    assert!(place.strata(&["doctor"]).good().contains("imagenet: ready"));
    let path = folder.join("train/dark/3.png");
    let sound = fs::read(&path).unwrap();
    image::RgbImage::new(9, 9).save(&path).unwrap();
    let ran = place.strata(&["train", "i.toml"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("train/dark/3.png: its content has changed"), "{}", ran.err);
    let doctor = place.strata(&["doctor"]).good();
    assert!(doctor.contains("imagenet: DAMAGED: ") && doctor.contains("3.png"), "{doctor}");
    // Written once more as it was, it has another time and the same content.
    fs::write(&path, sound).unwrap();
    place.strata(&["train", "i.toml"]).good();
    // A pipe in its place would be waited for without end.
    fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    place.strata(&["train", "i.toml", "--force"]).refused(&["3.png: this is a pipe or a device"]);
}

/// A folder of the user: its classes name the predictions, and its images, not where they lie, make the key.
#[test]
fn a_folder_is_trained_on_and_known_by_its_images() {
    let place = Place::new();
    images(&place, "pets/a", 40);
    let text =
        TINY.replace("dataset = \"synthetic\"\nvalidation = 100\nlimit = 128", "dataset = \"folder\"\npath = \"a\"");
    let text = text.replace("[1, 14, 14]", "[3, 9, 9]").replace("batch = 64", "batch = 4");
    place.file("pets/f.toml", &text);
    let strata = |arguments: &[&str]| place.strata(arguments);
    strata(&["train", "pets/f.toml"]).good();
    assert!(strata(&["eval", "f", "--split", "validation"]).good().contains(" 2 "), "a ninth of 12, of two classes");
    let predicted = strata(&["predict", "f", "pets/a/val/dark/0.png"]).good();
    assert!(predicted.contains("dark") && predicted.contains("light"), "{predicted}");
    let all =
        strata(&["predict", "f", "pets/a/val/light", "pets/a/val/dark/0.png", "--top", "1", "--format", "csv"]).good();
    let files: Vec<&str> = all.lines().filter_map(|line| line.split(',').next()).collect();
    assert_eq!(files[..2], ["image", "pets/a/val/light/0.png"]);
    assert!(files[1..files.len() - 1].is_sorted() && *files.last().unwrap() == "pets/a/val/dark/0.png", "{all}");
    let resolved = fs::read_to_string(place.run("f").folder.join("experiment.toml")).unwrap();
    assert!(resolved.contains("classes = 2") && resolved.contains("fingerprint = "), "{resolved}");
    place.file("again/f.toml", &resolved);
    assert!(
        strata(&["train", "again/f.toml"]).good().contains("finished before"),
        "what a run writes is the same experiment"
    );

    // Another decoder gives other pixels of the same files: a finished run stays what it is, one that goes on would mix both.
    let run = place.run("f");
    let record = run.read("run.json");
    assert!(record.contains("\"decoder\": 2"), "{record}");
    fs::write(run.path("run.json"), record.replace("\"decoder\": 2", "\"decoder\": 1")).unwrap();
    assert!(strata(&["train", "pets/f.toml"]).good().contains("finished before"));
    fs::remove_file(run.path("summary.csv")).unwrap();
    let changed = ["begun with version 1 of the image decoder, and this is version 2", "--force"];
    strata(&["train", "pets/f.toml"]).refused(&changed);
    strata(&["train", "pets/f.toml", "--force"]).good();

    fs::rename(place.path("pets/a"), place.path("b")).unwrap();
    let missing = ["pets/a: there is no such folder or file", "path = \"a\"", "^^^"];
    strata(&["train", "pets/f.toml"]).refused(&missing);
    let moved = ["train", "pets/f.toml", "--set", "data.path=b"];
    assert!(strata(&moved).good().contains("finished before"), "the same images elsewhere");
    fs::copy(place.path("b/val/light/0.png"), place.path("b/val/dark/0.png")).unwrap();
    strata(&moved).good();
    assert_eq!(place.runs("f").len(), 2, "other images are another experiment");
}

/// Two datasets in one `eval` were refused after the first of them had been evaluated. And small files were enlarged to the
/// network's input without a word.
#[test]
fn runs_of_two_datasets_and_small_files_are_said() {
    let place = Place::trained("tiny", TINY);
    images(&place, "a", 40);
    let own =
        TINY.replace("dataset = \"synthetic\"\nvalidation = 100\nlimit = 128", "dataset = \"folder\"\npath = \"a\"");
    let own = own.replace("batch = 64", "batch = 4").replace("epochs = 2", "epochs = 1");
    place.file("small.toml", own.replace("[1, 14, 14]", "[3, 12, 12]"));
    place.file("large.toml", own.replace("[1, 14, 14]", "[3, 20, 24]"));
    let [small, large] = ["small.toml", "large.toml"].map(|file| place.strata(&["train", file]).err);
    assert!(!small.contains("enlarged"), "{small}");
    assert_eq!(large.matches("are enlarged to the network's input of 24x20").count(), 1, "{large}");

    let two = place.strata(&["eval", "tiny", "small", "--format", "csv"]);
    assert!(two.err.contains("note: no ensemble: the runs are on synthetic and folder"), "{}", two.err);
    let table = two.good();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert_eq!(lines[0], "run,dataset,loss,top1,top5,correct,total");
    assert!(lines[1].starts_with("tiny,synthetic,") && lines[2].starts_with("small,folder,"), "{table}");
    let matrix = ["eval", "tiny", "small", "--confusion", "c.csv"];
    place.strata(&matrix).refused(&["--confusion is one matrix of all runs, but the runs are on synthetic and folder"]);

    // Seen from the working directory, as the user named them.
    images(&place, "b", 44);
    place.strata(&["train", "small.toml", "--set", "data.path=b"]).good();
    let table = place.strata(&["compare", "small", "--columns", "data.path", "--runs"]).good();
    let paths: Vec<&str> = table.lines().skip(1).flat_map(str::split_whitespace).collect();
    assert!(paths.contains(&"a") && paths.contains(&"b"), "{table}");
}

/// Smaller copies of the images are another experiment, which says what is missing, and trains and evaluates on them.
#[test]
fn prepared_copies_are_used_where_the_experiment_says_so() {
    let place = Place::new();
    experiment(&place);
    let folder = images(&place, "a", 40);
    let large = |x: u32, y: u32| image::Rgb([(x * 5) as u8, (y * 3) as u8, 7]);
    image::RgbImage::from_fn(50, 80, large).save(folder.join("train/dark/0.png")).unwrap();
    fetch(&place, "a");
    let prepared = ["train", "i.toml", "--set", "data.prepared={ size = 32, form = \"raw\" }"];
    place.strata(&prepared).refused(&["the images are not prepared", "strata fetch imagenet --prepare 32 --form raw"]);
    place.strata(&["train", "i.toml", "--set", "data.prepared.size=7"]).refused(&["data.prepared.size", "32 to 2048"]);
    place.strata(&["fetch", "imagenet", "--prepare", "32", "--form", "raw"]).good();
    place.strata(&["train", "i.toml"]).good();
    place.strata(&prepared).good();
    assert!(place.strata(&prepared).good().contains("finished before"));
    assert_eq!(place.runs("i").len(), 2, "other pixels are another experiment");
    // What is prepared is hashed once and then known by its time.
    let copies: Vec<_> = fs::read_dir(place.path("cache/strata/prepared")).unwrap().flatten().collect();
    fs::write(copies[0].path().join("images.bin"), "damaged").unwrap();
    let forced = [&prepared[..], &["--force"]].concat();
    place.strata(&forced).refused(&["images.bin: its content has changed"]);
    place.strata(&["fetch", "imagenet", "--prepare", "32", "--form", "raw"]).good();
    place.strata(&forced).good();
    // A folder of the user, named by its path.
    let ran = place.strata(&["fetch", "folder", "--from", "a", "--prepare", "40"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(
        ran.err.contains("form raw: raw bytes take about") && ran.err.contains("prepared = { size = 40"),
        "{}",
        ran.err
    );
}
