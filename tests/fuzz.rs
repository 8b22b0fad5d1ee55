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

#[test]
fn torch_files_are_read_or_refused() {
    all_pass("torch_file", bodies::torch_file::read);
}

/// The seeds are read whole, with the values behind them, or refused: changes of them reach the reader's inside.
#[test]
fn whole_torch_files_are_read_and_no_others() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/torch_file");
    let tensors = |name: &str| bodies::torch_file::tensors(&fs::read(folder.join(name)).unwrap());
    for whole in ["whole-tiny", "whole-checkpoint", "pickle-tiny", "pickle-checkpoint"] {
        assert_eq!(tensors(whole), 10, "{whole}");
    }
    for refused in
        ["whole-module", "pickle-module", "cut", "compressed", "big-endian", "no-pickle", "no-values", "calls-system"]
    {
        assert_eq!(tensors(refused), 0, "{refused}");
    }
}

/// What the fuzzer does, on the stable toolchain: some thousands of files that differ from the seeds by a few bytes, pieces cut out,
/// put elsewhere or doubled.
#[test]
fn changed_torch_files_are_read_or_refused() {
    let seeds: Vec<Vec<u8>> = corpus("torch_file").iter().map(|file| fs::read(file).unwrap()).collect();
    let whole: Vec<Vec<u8>> = seeds.iter().filter(|seed| bodies::torch_file::tensors(seed) > 0).cloned().collect();
    let mut read = 0;
    for case in 0..4000 {
        let data = changed(&whole, &seeds, case);
        match catch_unwind(|| bodies::torch_file::tensors(&data)) {
            Ok(tensors) => read += usize::from(tensors > 0),
            Err(_) => {
                let path = std::env::temp_dir().join(format!("torch_file-{case}"));
                fs::write(&path, &data).unwrap();
                panic!("case {case} fails: {}", path.display());
            }
        }
    }
    assert!((100..3900).contains(&read), "{read} of 4000 are still read");
}

/// A seed, mostly one of the `whole` ones, with one to three changes that follow from the number of the case.
fn changed(whole: &[Vec<u8>], seeds: &[Vec<u8>], case: u64) -> Vec<u8> {
    let mut state = case.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = |count: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % count.max(1)
    };
    let mut data = if draw(4) > 0 { whole[draw(whole.len())].clone() } else { seeds[draw(seeds.len())].clone() };
    for _ in 0..=draw(3) {
        let (at, length) = (draw(data.len()), draw(16) + 1);
        let end = (at + length).min(data.len());
        match draw(6) {
            _ if data.is_empty() => data.push(draw(256) as u8),
            0 => data[at] ^= 1 << draw(8),
            1 => data[at] = [0, 1, 0x7f, 0x80, 0xff][draw(5)],
            2 => drop(data.drain(at..end)),
            3 => {
                let piece = data[at..end].to_vec();
                let to = draw(data.len());
                drop(data.splice(to..to, piece));
            }
            4 => {
                let other = &seeds[draw(seeds.len())];
                let from = draw(other.len());
                let piece = other[from..(from + length).min(other.len())].to_vec();
                drop(data.splice(at..end, piece));
            }
            _ => data[at] = draw(256) as u8,
        }
    }
    data
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
