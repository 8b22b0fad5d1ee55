//! The corpora of broken input, counted for the table.

use super::tally;
use crate::{broken, corpus};
use std::fs;
use std::path::Path;

#[test]
#[ignore = "counts what the suite tests: make torture"]
fn long_inputs() {
    corpus::every_broken_file_gets_its_message();
    broken::broken_images_get_their_message();
    broken::broken_weights_get_their_message();
    broken::broken_tables_get_their_message();
    // IDX files are the library's own test, which `make torture` runs before this one.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let lines = |kind: &str| fs::read_to_string(folder.join(kind)).unwrap().lines().count();
    let messages: usize = ["images.txt", "weights.txt", "tables.txt", "idx.txt"].map(lines).iter().sum();
    let files = fs::read_dir(&folder).unwrap().flatten();
    let experiments = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "toml")).count();
    tally(
        "broken experiment files, images, weights, tables and IDX files",
        (experiments + messages) as u64,
        "nothing: all refused, each with its exact message",
    );
}
