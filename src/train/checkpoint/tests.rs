//! A checkpoint or table that is truncated at any length, or has any bit changed, is never accepted as intact.

use super::*;
use crate::config::{Experiment, Machine};
use crate::train::tally::tally;
use std::os::unix::fs::FileExt;
use tch::Device;

const EXPERIMENT: &str = r#"
[data]
dataset = "synthetic"
validation = 20

[model]
input = [1, 4, 4]
rows = [{ op = "conv", kernel = 1, width = 1 }, { op = "global_avg_pool" }, { op = "classifier" }]

[train]
epochs = 3
lr = 0.1
ema = 0.5
"#;

const KEY: &str = "0123456789ab";

const TABLE: [&str; 3] = ["epoch,train_loss,val_top1\n", "1,0.693147,0.500000\n", "2,0.500000,0.750000\n"];

/// A run with a checkpoint after each of two epochs.
struct Run {
    folder: tempfile::TempDir,
    model: Model,
    optimizer: Optimizer,
    average: Average,
}

/// What a checkpoint holds besides its state.
type Content = Vec<(String, Vec<f32>)>;

impl Run {
    fn new() -> Run {
        let experiment = Experiment::parse("run.toml", EXPERIMENT, "run", &[], Machine::default()).unwrap();
        let model = Model::build(&experiment.network, Device::Cpu, 0, true).unwrap();
        let optimizer = Optimizer::new(&experiment, model.trainable());
        let average = Average::new(&model, 0.5);
        Run { folder: tempfile::tempdir().unwrap(), model, optimizer, average }
    }

    fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.folder.path(), KEY.into())
    }

    /// Changes all weights, as an epoch would, and saves a checkpoint.
    fn epoch(&mut self, epoch: usize) -> TrainState {
        tch::no_grad(|| self.model.named_tensors().iter_mut().for_each(|(_, tensor)| drop(tensor.g_add_scalar_(0.25))));
        self.average.update(epoch as u64).unwrap();
        let state = TrainState { key: KEY.into(), epoch, step: 10 * epoch as u64, ..TrainState::default() };
        fs::write(self.folder.path().join(EPOCHS), TABLE[..=epoch].concat()).unwrap();
        let held = || Ok::<(), CheckpointError>(());
        self.checkpoints().save(&state, &self.model, &self.optimizer, Some(&self.average), held).unwrap();
        state
    }

    fn content(&self) -> Content {
        let tensors =
            [self.model.named_tensors(), self.optimizer.state(), self.average.tensors()].into_iter().flatten();
        tensors.map(|(name, tensor)| (name, Vec::try_from(tensor.flatten(0, -1)).unwrap())).collect()
    }

    fn resume(&mut self) -> Result<(Option<TrainState>, Vec<CheckpointError>), CheckpointError> {
        self.checkpoints().resume(&mut self.model, &mut self.optimizer, Some(&self.average))
    }
}

/// Calls `check` with a file truncated at every length and with every bit changed in turn; then the file is as before.
fn damage(path: &Path, mut check: impl FnMut(&str)) {
    let written = fs::read(path).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    for length in (0..written.len()).rev() {
        file.set_len(length as u64).unwrap();
        check(&format!("{} cut at {length}", path.display()));
    }
    file.write_all_at(&written, 0).unwrap();
    for (at, byte) in (0u64..).zip(&written) {
        for bit in 0..8 {
            file.write_all_at(&[byte ^ 1 << bit], at).unwrap();
            check(&format!("{} changed at {at}, bit {bit}", path.display()));
        }
        file.write_all_at(&[*byte], at).unwrap();
    }
    assert_eq!(fs::read(path).unwrap(), written);
}

#[test]
fn damage_at_every_place_is_noticed() {
    let mut run = Run::new();
    let first = run.epoch(1);
    let content = run.content();
    let second = run.epoch(2);
    assert_ne!(run.content(), content);
    let last = second.folder().within(&run.checkpoints().folder);
    let (mut resumed, mut refused) = (0, 0);

    for file in [WEIGHTS, OPTIMIZER, AVERAGES, MANIFEST, EPOCHS] {
        let path = if file == EPOCHS { run.folder.path().join(file) } else { last.join(file) };
        damage(&path, |damage| match run.resume() {
            Ok((state, skipped)) => {
                resumed += 1;
                assert_eq!(state.as_ref(), Some(&first), "{damage}");
                assert_eq!(run.content(), content, "{damage}");
                let messages: Vec<String> = skipped.iter().map(ToString::to_string).collect();
                // A digest that was changed blames the file that it is of.
                let blamed = messages.len() == 1 && (file == MANIFEST || messages[0].contains(file));
                assert!(blamed, "{damage}: {messages:?}");
            }
            Err(error) => {
                refused += 1;
                // The header and the first row are of both checkpoints.
                let nothing_left = matches!(error, CheckpointError::NoneLeft(_));
                assert!(nothing_left && file == EPOCHS, "{damage}: {error}");
            }
        });
        assert_eq!(run.resume().unwrap().0.as_ref(), Some(&second), "{file}");
    }
    let lost =
        format!("nothing accepted that was damaged: {resumed} resumed from the checkpoint before, {refused} refused");
    tally("a checkpoint or table, in memory: cut at every length, every bit changed", resumed + refused, &lost);
}
