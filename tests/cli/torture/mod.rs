//! Kills, faults and damage. The suite has a short form of each; `make torture` runs the long forms, which print tables.

mod clock;
mod damage;
mod faults;
mod inputs;
mod kills;
mod load;
mod memory;
mod recipes;
mod shared;
/// Shared with the unit tests.
#[path = "../../../src/train/tally.rs"]
mod tally;

use super::place::{Place, Run};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tally::tally;

/// What a run that nothing happened to came to.
struct Whole {
    /// Of the process, start and end included.
    time: Duration,
    epochs: Vec<String>,
    result: (Vec<String>, BTreeMap<String, String>, Vec<u8>, Vec<u8>),
}

impl Whole {
    fn of(name: &str, experiment: &str) -> Whole {
        let start = Instant::now();
        let place = Place::trained(name, experiment);
        let time = start.elapsed();
        let run = place.run(name);
        Whole { time, epochs: run.epochs(), result: run.result() }
    }

    /// What differs in a run, if anything does.
    fn differs(&self, run: &Run) -> Option<String> {
        let (epochs, summary, last, best) = run.result();
        let same = [
            ("epochs.csv", epochs == self.result.0),
            ("summary.csv", summary == self.result.1),
            ("the last weights", last == self.result.2),
            ("the best weights", best == self.result.3),
        ];
        same.into_iter().find_map(|(what, same)| (!same).then(|| what.to_owned()))
    }
}

/// Nothing that a person should not see, and no panic, is in what the program said.
fn plain(said: &str) -> bool {
    ["panicked", "RUST_BACKTRACE", "c10::", "Exception raised"].iter().all(|foreign| !said.contains(foreign))
}

/// How many kills a recipe gets: `KILLS` of the makefile.
fn kills_asked() -> u64 {
    std::env::var("STRATA_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(50)
}

/// Prints a table under its header, columns as wide as they need.
fn print_table(header: &[&str], rows: &[Vec<String>]) {
    let mut lines = vec![header.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>()];
    lines.extend(rows.iter().cloned());
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    println!();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("  {}", cells.join("  ").trim_end());
    }
}
