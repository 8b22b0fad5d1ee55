//! Rows of the table that `make torture` prints last. The command-line tests include this file by its path.

use std::fs::OpenOptions;
use std::io::Write;

/// Adds a row to the table in the file that `STRATA_TALLY` names; without the variable there is no table.
pub(super) fn tally(what: &str, how_often: u64, lost: &str) {
    let Some(path) = std::env::var_os("STRATA_TALLY") else { return };
    let mut table = OpenOptions::new().create(true).append(true).open(path).unwrap();
    writeln!(table, "| {what} | {how_often} | {lost} |").unwrap();
}
