//! Two tables of the lecture recounted: GoogLeNet's layers beside the paper's figures, and the Inception module with and
//! without 1x1 reductions beside the deck's. `cargo run --release --example deck [FOLDER]` writes them as CSV.

mod googlenet;
mod inception;

use anyhow::{Context, Result};
use std::path::PathBuf;
use strata::arch::network::{NetworkError, StochasticDepth};
use strata::arch::rows::Row;
use strata::arch::{Network, Plan, Style};

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("results/tables"), PathBuf::from);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    googlenet::layers()?.write(&folder.join("googlenet-layers.csv"))?;
    inception::cost()?.write(&folder.join("inception-cost.csv"))?;
    Ok(())
}

/// A network from rows.
fn network(rows: Vec<Row>, style: Style, input: [usize; 3], classes: usize) -> Result<Network, NetworkError> {
    Network::new(Plan { rows, style, stochastic_depth: StochasticDepth::default(), input, classes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata::runs::Table;

    fn column<'t>(table: &'t Table, name: &str) -> Vec<&'t str> {
        let index = table.column(name).unwrap();
        table.rows.iter().map(|row| row[index].as_str()).collect()
    }

    #[test]
    fn googlenet_line_by_line() {
        let table = googlenet::layers().unwrap();
        let weights = [
            "9408", "114688", "163328", "388096", "375552", "448512", "509440", "604672", "867328", "1042432",
            "1442816", "1024000", "6990272",
        ];
        assert_eq!(column(&table, "weights"), weights);
        let ops = ["118.0", "359.7", "128.0", "304.3", "73.6", "87.9", "99.9", "118.5", "170.0", "51.1", "70.7", "1.0"];
        assert_eq!(column(&table, "ops_m")[..12], ops);
        assert_eq!((column(&table, "paper_params_k")[12], column(&table, "paper_ops_m")[12]), ("6797.7", "1502"));
        let slips: Vec<&str> =
            table.rows.iter().filter(|row| row[9].starts_with("slip")).map(|row| row[0].as_str()).collect();
        assert_eq!(slips, ["conv1", "inception 4c", "inception 5a"]);
    }

    #[test]
    fn the_slips_explained() {
        // conv1: a separable 7x7 with depth multiplier 8; 5a: 48 channels in the 5x5 reduction
        assert_eq!(7 * 7 * 3 * 8 + 24 * 64, 2712);
        let five_a = 832 * 256 + 832 * 160 + 9 * 160 * 320 + 832 * 48 + 25 * 48 * 128 + 832 * 128;
        assert_eq!((f64::from(five_a) / 1024.0).round(), 1081.0);
    }

    /// The deck's 358M is its 3x3 term counted twice.
    #[test]
    fn the_decks_inception_example() {
        let table = inception::cost().unwrap();
        let sums: Vec<&Vec<String>> = table.rows.iter().filter(|row| row[1] == "sum").collect();
        assert_eq!([sums[0][2].as_str(), &sums[1][2]], ["854196224", "271351808"]);
        assert!(sums[0][5].is_empty() && sums[1][5].contains("358055936"), "{sums:?}");
        let terms: Vec<&Vec<String>> = table.rows.iter().filter(|row| row[1] != "sum").collect();
        assert_eq!(terms.len(), 3 + 6);
        assert!(terms.iter().all(|row| row[2] == row[4]), "the terms are right, only one total is not");
    }

    /// The tables in the repository are those that this program writes.
    #[test]
    fn the_tables_are_up_to_date() {
        let kept =
            |name: &str| Table::read(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("results/tables").join(name));
        assert_eq!(googlenet::layers().unwrap(), kept("googlenet-layers.csv").unwrap());
        assert_eq!(inception::cost().unwrap(), kept("inception-cost.csv").unwrap());
    }
}
