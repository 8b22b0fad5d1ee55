//! A checkpoint or a table that is cut at any length, or has any of its bytes changed, is never taken for what was written.

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

/// What a checkpoint holds besides its position.
type Content = Vec<(String, Vec<f32>)>;

impl Run {
    fn new() -> Run {
        let experiment = Experiment::parse("run.toml", EXPERIMENT, "run", &[], Machine::default()).unwrap();
        let model = Model::build(&experiment.network, Device::Cpu, 0, true).unwrap();
        let optimizer = Optimizer::new(&experiment.train, model.trainable());
        let average = Average::new(&model, 0.5);
        Run { folder: tempfile::tempdir().unwrap(), model, optimizer, average }
    }

    fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.folder.path(), KEY.into())
    }

    /// Does an epoch, whatever it may be worth, and saves it.
    fn epoch(&mut self, epoch: usize) -> Position {
        tch::no_grad(|| self.model.named_tensors().iter_mut().for_each(|(_, tensor)| drop(tensor.g_add_scalar_(0.25))));
        self.average.update(epoch as u64).unwrap();
        let position = Position { key: KEY.into(), epoch, step: 10 * epoch as u64, ..Position::default() };
        fs::write(self.folder.path().join(EPOCHS), TABLE[..=epoch].concat()).unwrap();
        self.checkpoints().save(&position, &self.model, &self.optimizer, Some(&self.average)).unwrap();
        position
    }

    fn content(&self) -> Content {
        let tensors =
            [self.model.named_tensors(), self.optimizer.state(), self.average.tensors()].into_iter().flatten();
        tensors.map(|(name, tensor)| (name, Vec::try_from(tensor.flatten(0, -1)).unwrap())).collect()
    }

    fn resume(&mut self) -> Result<(Option<Position>, Vec<CheckpointError>), CheckpointError> {
        self.checkpoints().resume(&mut self.model, &mut self.optimizer, Some(&self.average))
    }
}

/// Lets a file be what damage can make of it, cut at any length or with any bit changed, and asks `check` each time.
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
    let (mut went_on, mut refused) = (0, 0);

    for file in [WEIGHTS, OPTIMIZER, AVERAGES, POSITION, EPOCHS] {
        let path = if file == EPOCHS { run.folder.path().join(file) } else { last.join(file) };
        damage(&path, |place| match run.resume() {
            Ok((position, passed_over)) => {
                went_on += 1;
                assert_eq!(position.as_ref(), Some(&first), "{place}");
                assert_eq!(run.content(), content, "{place}");
                let said: Vec<String> = passed_over.iter().map(ToString::to_string).collect();
                // A sum that was changed blames the file that it is of.
                let blamed = said.len() == 1 && (file == POSITION || said[0].contains(file));
                assert!(blamed, "{place}: {said:?}");
            }
            Err(error) => {
                refused += 1;
                // The header and the first row are of both checkpoints.
                let nothing_left = matches!(error, CheckpointError::NoneLeft(_));
                assert!(nothing_left && file == EPOCHS, "{place}: {error}");
            }
        });
        assert_eq!(run.resume().unwrap().0.as_ref(), Some(&second), "{file}");
    }
    let lost = format!("nothing taken for what was written: {went_on} gone on with, {refused} refused");
    tally("a checkpoint or table, in memory: cut at every length, every bit changed", went_on + refused, &lost);
}
