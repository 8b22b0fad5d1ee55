//! The corpora of the fuzz targets (`make fuzz`), and inputs that once made one of them fail: each goes through the same
//! readers here.

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// The inputs of a target, sorted by name.
fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{target} has only {} inputs", files.len());
    files
}

fn all_pass(target: &str, read: fn(&[u8])) {
    let fails = |file: &PathBuf| {
        let data = fs::read(file).unwrap();
        catch_unwind(|| read(&data)).is_err()
    };
    let failed: Vec<PathBuf> = corpus(target).into_iter().filter(fails).collect();
    assert!(failed.is_empty(), "see above; run by run: {failed:#?}");
}

#[test]
fn experiments_are_read_or_refused() {
    all_pass("experiment", bodies::experiment::read);
}

#[test]
fn idx_files_are_read_or_refused() {
    all_pass("idx", bodies::idx::read);
}

#[test]
fn tables_are_read_or_refused() {
    all_pass("tables", bodies::tables::read);
}

#[test]
fn checkpoints_are_taken_up_or_refused() {
    all_pass("checkpoint", bodies::checkpoint::read);
}

/// The seeds were made by a training run of the target's network: what the fuzzer changes lies behind the checks of sums, names
/// and shapes, not before them.
#[test]
fn whole_checkpoints_are_taken_up_and_no_others() {
    let taken_up = |name: &str| {
        let data = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/checkpoint").join(name)).unwrap();
        bodies::checkpoint::taken_up(&data)
    };
    for whole in ["whole", "rows-behind", "best-before", "mid-epoch", "no-best", "nan"] {
        assert!(taken_up(whole), "{whole}");
    }
    for broken in [
        "empty",
        "empty-side",
        "epoch-max",
        "foreign-file",
        "leads-out",
        "no-optimizer-sum",
        "no-sums",
        "no-tensors",
        "side-of-2-63",
    ] {
        assert!(!taken_up(broken), "{broken}");
    }
}
