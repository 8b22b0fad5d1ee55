//! Checkpoints and tables that are cut or changed: noticed, and the checkpoint before them used, or an error that says so.

use super::recipes::Recipe;
use super::{Place, Whole, kills_asked, plain, print_table, tally};
use std::fs;
use std::path::Path;
use std::process::Command;
use strata::random;

/// The files of a run that a resume reads.
const FILES: [&str; 5] = [
    "checkpoint/last/weights.safetensors",
    "checkpoint/last/averages.safetensors",
    "checkpoint/last/optimizer.safetensors",
    "checkpoint/last/position.json",
    "epochs.csv",
];

/// A run of three epochs as if it had been killed after its last checkpoint.
struct Stopped {
    place: Place,
    whole: Whole,
}

impl Stopped {
    fn new() -> Stopped {
        let recipe = Recipe::named("adamw-ema");
        let experiment = recipe.experiment(3);
        let whole = Whole::of(recipe.name, &experiment);
        let place = Place::trained(recipe.name, &experiment);
        fs::remove_file(place.run(recipe.name).path("summary.csv")).unwrap();
        fs::rename(place.path("results"), place.path("kept")).unwrap();
        Stopped { place, whole }
    }

    /// Brings the run back, damages one of its files, lets it go on: whether it did (else it refused to).
    fn goes_on(&self, file: &str, damage: impl FnOnce(&Path), told: &str) -> bool {
        let _ = fs::remove_dir_all(self.place.path("results"));
        let (from, to) = (self.place.path("kept"), self.place.path("results"));
        assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
        let run = self.place.run("adamw-ema");
        damage(&run.path(file));
        let ran = self.place.strata(&["train", "adamw-ema.toml"]);
        let name = file.rsplit('/').next().unwrap();
        // A checksum that was changed blames the file that it is of.
        let blamed = if name == "position.json" { "results/runs" } else { name };
        assert!(plain(&ran.err) && ran.err.contains(blamed), "{told}: {}", ran.err);
        if ran.code == Some(0) {
            assert!(ran.err.contains("resuming from the checkpoint before it"), "{told}: {}", ran.err);
            assert_eq!(self.whole.differs(&run), None, "{told}");
            return true;
        }
        // Rows that every checkpoint needs cannot be made up.
        assert!(file == "epochs.csv" && ran.err.contains("--force"), "{told}: {}", ran.err);
        false
    }
}

/// Cuts and changes each file at `samples` places; gives a row of the table for each.
fn damage_all(samples: u64) -> Vec<Vec<String>> {
    let stopped = Stopped::new();
    FILES
        .iter()
        .map(|file| {
            let path = stopped.place.path("kept/runs/adamw-ema").join(stopped_key(&stopped)).join(file);
            let length = fs::metadata(path).unwrap().len();
            let (mut went_on, mut refused) = (0, 0);
            for sample in 0..samples {
                let draw = |index| random::uniform(random::key(3, file, &[sample]), index);
                let at = (length as f64 * draw(0)) as usize;
                let cut = |path: &Path| fs::File::options().write(true).open(path).unwrap().set_len(at as u64).unwrap();
                let flip = |path: &Path| {
                    let mut bytes = fs::read(path).unwrap();
                    bytes[at] ^= 1 << (8.0 * draw(1)) as u32;
                    fs::write(path, bytes).unwrap();
                };
                for went in [
                    stopped.goes_on(file, cut, &format!("{file} cut at {at}")),
                    stopped.goes_on(file, flip, &format!("{file} changed at {at}")),
                ] {
                    if went { went_on += 1 } else { refused += 1 }
                }
            }
            vec![(*file).to_owned(), (2 * samples).to_string(), went_on.to_string(), refused.to_string()]
        })
        .collect()
}

fn stopped_key(stopped: &Stopped) -> String {
    let folder = stopped.place.path("kept/runs/adamw-ema");
    fs::read_dir(folder).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap()
}

#[test]
fn damage_at_any_place_is_noticed() {
    assert_eq!(damage_all(1).len(), FILES.len());
}

#[test]
#[ignore = "long: make torture"]
fn long_damage() {
    let rows = damage_all(kills_asked() / 2);
    let header = ["file", "cut or changed", "noticed, gone on to the equal result", "noticed, refused (needs --force)"];
    print_table(&header, &rows);
    println!("  wrong results: none");
    let sum = |column: usize| rows.iter().map(|row| row[column].parse::<u64>().unwrap()).sum::<u64>();
    let lost = format!("no wrong result: {} noticed and gone on with, {} noticed and refused", sum(2), sum(3));
    tally("a checkpoint file or `epochs.csv` cut, or a bit of it changed", sum(1), &lost);
}
