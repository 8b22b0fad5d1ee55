//! A run's checkpoint: `position.json`, the safetensors files beside it, the rows that it answers for.
//!
//! An input is these files, in the order of [`FILES`], with [`BETWEEN`] between them. A checksum cannot be guessed: those
//! that are there are put right, so that what is behind them is reached.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use strata::config::{Experiment, Machine};
use strata::model::{Model, parse_tensors, tensor_bytes};
use strata::train::{Average, Checkpoints, Optimizer, TrainState, best_weights};
use tempfile::TempDir;

/// Stands between the files of an input.
const BETWEEN: &[u8] = b"\n<-->\n";

/// Below `checkpoint/STEP`, but the last: that is the run's.
const FILES: [&str; 5] =
    ["position.json", "weights.safetensors", "optimizer.safetensors", "averages.safetensors", "epochs.csv"];

const STEP: &str = "step-000000002-epoch-0001";

const KEY: &str = "0123456789";

/// Small enough that its whole checkpoint is a few kilobytes.
const NETWORK: &str = r#"
[data]
dataset = "synthetic"
validation = 100
limit = 128
[model]
input = [1, 8, 8]
rows = [ { op = "conv", kernel = 1, width = 2 }, { op = "global_avg_pool" }, { op = "classifier" } ]
[train]
epochs = 2
batch = 64
lr = 0.1
ema = 0.9
"#;

pub(crate) fn read(data: &[u8]) {
    taken_up(data);
}

/// As [`read`]; whether the input was a checkpoint that a run goes on from.
pub(crate) fn taken_up(data: &[u8]) -> bool {
    let mut files = parts(data);
    files[1..4].iter_mut().for_each(headed);
    files[1..4].iter().for_each(|file| tensors(file));
    put_right(&mut files);
    with_place(|place| place.take_up(&files))
}

fn parts(data: &[u8]) -> [Vec<u8>; 5] {
    let mut files = <[Vec<u8>; 5]>::default();
    let mut rest = data;
    for file in &mut files {
        let end = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN);
        *file = rest[..end.unwrap_or(rest.len())].to_vec();
        rest = end.map_or(&[], |end| &rest[end + BETWEEN.len()..]);
    }
    files
}

/// A safetensors file begins with its header's length. One that begins with the header itself gets it, so that a header can
/// grow under mutation.
fn headed(file: &mut Vec<u8>) {
    if file.first() == Some(&b'{') {
        let end = file.windows(2).position(|window| window == b"}}").map_or(file.len(), |place| place + 2);
        file.splice(0..0, (end as u64).to_le_bytes());
    }
}

/// Tensors that were read are written down as themselves, but for their precision.
fn tensors(file: &[u8]) {
    let Ok(read) = parse_tensors(file, Path::new("x.safetensors")) else { return };
    let floats = |(name, tensor): (String, tch::Tensor)| match tensor.kind() {
        tch::Kind::Int64 => (name, tensor),
        _ => (name, tensor.to_kind(tch::Kind::Float)),
    };
    let read: Vec<_> = read.into_iter().map(floats).collect();
    let written = tensor_bytes(&read).unwrap();
    let again = parse_tensors(&written, Path::new("again.safetensors")).unwrap();
    assert_eq!(again.len(), read.len());
    for (name, tensor) in &read {
        let again = &again[name];
        assert_eq!((again.size(), again.kind()), (tensor.size(), tensor.kind()));
        // Numbers that are none differ from themselves.
        let same = again.eq_tensor(tensor).logical_or(&again.isnan()).all().int64_value(&[]);
        assert_eq!(same, 1, "{name}");
    }
}

/// Puts checksums that `position.json` has right, where it is whole enough for that.
fn put_right(files: &mut [Vec<u8>; 5]) {
    let Ok(mut manifest) = serde_json::from_slice::<Value>(&files[0]) else { return };
    let Ok(state) = serde_json::from_value::<TrainState>(manifest["position"].clone()) else { return };
    let Some(sums) = manifest.get_mut("sha256").and_then(Value::as_object_mut) else { return };
    let rows: Vec<&[u8]> =
        files[4].split_inclusive(|&byte| byte == b'\n').take(state.epoch.saturating_add(1)).collect();
    for (file, sum) in sums.iter_mut().filter(|(_, sum)| sum.as_str() == Some("")) {
        let content = match file.as_str() {
            "position.json" => serde_json::to_vec(&state).unwrap(),
            "epochs.csv" => rows.concat(),
            _ => FILES.iter().position(|known| known == file).map(|index| files[index].clone()).unwrap_or_default(),
        };
        *sum = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
    }
    files[0] = serde_json::to_vec(&manifest).unwrap();
}

/// A run folder and what a run has in memory.
struct Place {
    folder: TempDir,
    model: Model,
    optimizer: Optimizer,
    average: Average,
}

impl Place {
    fn new() -> Place {
        let experiment = Experiment::parse("x.toml", NETWORK, "x", &[], Machine::default()).unwrap();
        let model = Model::new(&experiment.network, tch::Device::Cpu, 0).unwrap();
        let optimizer = Optimizer::new(&experiment, model.trainable());
        let average = Average::new(&model, experiment.train.ema);
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("checkpoint").join(STEP)).unwrap();
        std::os::unix::fs::symlink(STEP, folder.path().join("checkpoint/last")).unwrap();
        Place { folder, model, optimizer, average }
    }

    fn take_up(&mut self, files: &[Vec<u8>; 5]) -> bool {
        let run = self.folder.path().to_owned();
        for (name, bytes) in FILES.iter().zip(files) {
            let path =
                if *name == "epochs.csv" { run.join(name) } else { run.join("checkpoint").join(STEP).join(name) };
            fs::write(path, bytes).unwrap();
        }
        if let Ok(weights) = best_weights(&run, &KEY.into()) {
            let inside = weights.strip_prefix(run.join("checkpoint")).unwrap();
            assert_eq!(inside.components().count(), 2, "{}", weights.display());
        }
        let Place { model, optimizer, average, .. } = self;
        let resumed = Checkpoints::new(&run, KEY.into()).resume(model, optimizer, Some(average));
        if let Ok(target) = fs::read_link(run.join("checkpoint/best")) {
            assert_eq!(
                target.file_name(),
                Some(target.as_os_str()),
                "`best` leads out of the folder: {}",
                target.display()
            );
            fs::remove_file(run.join("checkpoint/best")).unwrap();
        }
        let Ok((Some(state), skipped)) = resumed else { return false };
        assert!(skipped.is_empty());
        let again: TrainState = serde_json::from_str(&serde_json::to_string_pretty(&state).unwrap()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{state:?}"), "NaN is not equal to itself");
        true
    }
}

fn with_place<T>(work: impl FnOnce(&mut Place) -> T) -> T {
    thread_local!(static PLACE: std::cell::RefCell<Place> = std::cell::RefCell::new(Place::new()));
    PLACE.with(|place| work(&mut place.borrow_mut()))
}
