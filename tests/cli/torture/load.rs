//! A results folder with thousands of finished runs: the commands that read them all stay quick and small.

use super::{Place, print_table, tally};
use std::fs;
use strata::config::{Machine, Sweep};
use strata::runs::Table;

const RUNS: usize = 5000;
const SEEDS: usize = 5;
const MOST_SECONDS: f64 = 2.0;
const MOST_MEBIBYTES: f64 = 500.0;

/// A sweep of so many points, five seeds of each setting.
fn sweep(runs: usize) -> String {
    let rates: Vec<String> = (0..runs / SEEDS).map(|rate| format!("{}", 0.01 + 0.0001 * rate as f64)).collect();
    format!(
        r#"
[data]
dataset = "synthetic"
validation = 20
limit = 40

[model]
input = [1, 8, 8]
rows = [{{ op = "conv", kernel = 3, width = 4 }}, {{ op = "global_avg_pool" }}, {{ op = "classifier" }}]

[train]
epochs = 5
batch = 20
precision = "fp32"

[sweep]
seed = {:?}
train.lr = [{}]
"#,
        (0..SEEDS).collect::<Vec<_>>(),
        rates.join(", ")
    )
}

/// A place where every point of the sweep is done. One of them was trained, the others have its files and their own names.
fn finished(runs: usize) -> Place {
    let place = Place::new();
    let text = sweep(runs);
    place.file("many.toml", &text);
    let points = Sweep::parse("many.toml", &text, "many", &[], Machine::default()).unwrap().points;
    assert_eq!(points.len(), runs);
    let mut points = points.iter();
    let first = points.next().unwrap();
    place.file("many-first.toml", first.experiment.to_toml().to_string());
    place.strata(&["train", "many-first.toml"]).good();
    let run = place.run("many");
    assert_eq!(run.key(), first.key.short());
    let mut summary = Table::read(&run.path("summary.csv")).unwrap();
    let columns = ["key", "sha256", "seed", "train.lr"].map(|name| summary.column(name).unwrap());
    for point in points {
        let (key, experiment) = (&point.key, &point.experiment);
        let own = [key.short(), key.sha256(), &experiment.seed.to_string(), &experiment.train.lr.to_string()];
        columns.iter().zip(own).for_each(|(&column, cell)| summary.rows[0][column] = cell.to_owned());
        let folder = format!("results/runs/many/{}", point.key);
        fs::create_dir_all(place.path(&folder)).unwrap();
        summary.write(&place.path(&folder).join("summary.csv")).unwrap();
        place.file(&format!("{folder}/experiment.toml"), point.experiment.to_toml().to_string());
        for name in ["epochs.csv", "run.json"] {
            fs::copy(run.path(name), place.path(&folder).join(name)).unwrap();
        }
    }
    place
}

/// Lets each command look at all the runs; gives a row of the table for each: the slowest of three times, the highest memory.
fn look_at_all(runs: usize) -> Vec<Vec<String>> {
    let place = finished(runs);
    let ran = place.strata(&["sweep", "many.toml"]);
    assert!(ran.err.contains(&format!("{runs} of {runs} points finished before")), "{}", ran.err);
    let commands = [
        &["compare"][..],
        &["compare", "many", "--baseline", "train.lr=0.01"],
        &["sweep", "many.toml", "--dry-run"],
        &["report"],
    ];
    commands
        .map(|arguments| {
            let (mut slowest, mut most) = (0.0f64, 0.0f64);
            for _ in 0..3 {
                let (ran, seconds, bytes) = place.measured(arguments);
                ran.good();
                slowest = slowest.max(seconds);
                most = most.max(bytes as f64 / f64::from(1 << 20));
            }
            let command = format!("strata {}", arguments.join(" "));
            assert!(slowest < MOST_SECONDS && most < MOST_MEBIBYTES, "{command}: {slowest} s, {most} MiB");
            vec![command, runs.to_string(), format!("{slowest:.2}"), format!("{most:.0}")]
        })
        .to_vec()
}

#[test]
fn many_runs_are_read_in_no_time() {
    assert_eq!(look_at_all(200).len(), 4);
}

#[test]
#[ignore = "long: make torture"]
fn long_load() {
    let rows = look_at_all(RUNS);
    print_table(&["command", "finished runs", "seconds, slowest of three", "MiB, highest"], &rows);
    let most = |column: usize| rows.iter().map(|row| row[column].parse::<f64>().unwrap()).fold(0.0, f64::max);
    let lost = format!("at most {:.1} s and {:.0} MiB a command", most(2), most(3));
    tally("finished runs in results/, read by `compare`, `sweep --dry-run` and `report`", RUNS as u64, &lost);
}
