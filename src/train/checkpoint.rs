//! Checkpoints: a folder per saved step, and two links, `last` and `best`, that are moved in one step once it is complete.
//!
//! A kill at any moment leaves either link on a complete folder. The SHA-256 of every file, of the position and of the rows
//! that `epochs.csv` had stands in `position.json`, so that damage is noticed before anything is taken from it; the
//! checkpoint before it is then used.

use super::average::Average;
use super::metrics::Sums;
use super::optimizer::Stepper;
use crate::files::{make_folder, point_link, remove_folder, write_whole};
use crate::model::{Model, WeightsError, read_tensors, write_tensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const WEIGHTS: &str = "weights.safetensors";
const AVERAGES: &str = "averages.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const POSITION: &str = "position.json";
/// The run's table; its rows up to a checkpoint are checked with it.
const EPOCHS: &str = "epochs.csv";

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Whole epochs done.
    pub epoch: usize,
    /// Batches done of the epoch that runs.
    pub batch: usize,
    /// Steps done since the start.
    pub step: u64,
    /// Sums over the batches of the epoch that runs.
    pub sums: Sums,
    pub best: Option<Best>,
    /// Seconds that the run took so far, sessions before this one included.
    pub seconds: f64,
}

impl Position {
    fn checksum(&self) -> String {
        // A position always turns into JSON; were it not so, an empty text would stand for it on both sides.
        hex(&Sha256::digest(serde_json::to_vec(self).unwrap_or_default()))
    }
}

/// The best epoch so far on the validation images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// The checkpoint of that epoch. It stands here, and not in the link `best` alone, because two links do not move at once.
    pub folder: String,
    /// Counted from 1.
    pub epoch: usize,
    #[serde(with = "any_float")]
    pub loss: f64,
    pub top1: f64,
    pub top5: f64,
}

/// JSON has no NaN and no infinity; a validation loss can be either.
mod any_float {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Text(String),
    }

    pub fn serialize<S: Serializer>(value: &f64, s: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() { s.serialize_f64(*value) } else { s.serialize_str(&value.to_string()) }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        match Written::deserialize(d)? {
            Written::Number(value) => Ok(value),
            Written::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    position: Position,
    sha256: BTreeMap<String, String>,
}

/// Why a checkpoint cannot be written or taken up.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("cannot {action} {path}: {reason}")]
    Io { action: &'static str, path: PathBuf, reason: io::Error },
    #[error("{path} is damaged: {problem}")]
    Damaged { path: PathBuf, problem: String },
    #[error("{0}; no earlier checkpoint is left, so the run has to start over: `strata train --force`")]
    NoneLeft(Box<CheckpointError>),
    #[error("{run} has no trained weights yet: `strata train` has not come through an epoch of it")]
    Untrained { run: PathBuf },
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

impl CheckpointError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
        let path = path.to_owned();
        move |reason| CheckpointError::Io { action, path, reason }
    }
}

/// The `checkpoint` folder of a run.
pub struct Checkpoints {
    run: PathBuf,
    folder: PathBuf,
}

impl Checkpoints {
    pub fn new(run: &Path) -> Checkpoints {
        Checkpoints { run: run.to_owned(), folder: run.join("checkpoint") }
    }

    /// Saves everything that a run needs to go on; `is_best` makes it the best one too.
    ///
    /// # Errors
    /// When something cannot be written; `last` and `best` then stay what they were.
    pub fn save(
        &self,
        position: &mut Position,
        model: &Model,
        stepper: &Stepper,
        average: Option<&Average>,
        is_best: bool,
    ) -> Result<(), CheckpointError> {
        let name = format!("step-{:09}-epoch-{:04}", position.step, position.epoch);
        if let (true, Some(best)) = (is_best, &mut position.best) {
            best.folder.clone_from(&name);
        }
        let folder = self.folder.join(&name);
        // A folder of that name that no link points to is what a kill left of an attempt.
        if folder.exists() && self.target("last").as_deref() != Some(name.as_str()) {
            remove_folder(&folder).map_err(CheckpointError::io("remove", &folder))?;
        }
        make_folder(&folder).map_err(CheckpointError::io("make", &folder))?;
        write_tensors(&folder.join(WEIGHTS), &model.named_tensors())?;
        write_tensors(&folder.join(OPTIMIZER), &stepper.state())?;
        let mut files = vec![WEIGHTS, OPTIMIZER];
        if let Some(average) = average {
            write_tensors(&folder.join(AVERAGES), &average.tensors())?;
            files.push(AVERAGES);
        }
        let mut sha256 = files
            .into_iter()
            .map(|file| Ok((file.to_owned(), checksum(&folder.join(file))?)))
            .collect::<Result<BTreeMap<_, _>, CheckpointError>>()?;
        sha256.insert(POSITION.to_owned(), position.checksum());
        sha256.extend(self.rows(position.epoch).map(|sum| (EPOCHS.to_owned(), sum)));
        let manifest = Manifest { position: position.clone(), sha256 };
        let path = folder.join(POSITION);
        let text = serde_json::to_string_pretty(&manifest)
            .map_err(|error| CheckpointError::io("write", &path)(error.into()))?;
        write_whole(&path, text.as_bytes()).map_err(CheckpointError::io("write", &path))?;
        let previous = self.target("last");
        self.link("last", &name)?;
        if is_best {
            self.link("best", &name)?;
        }
        // Where a damaged checkpoint was made anew, the one before it is still the only other.
        if previous.as_deref() != Some(name.as_str()) {
            self.prune(previous.as_deref(), position);
        }
        Ok(())
    }

    fn link(&self, link: &str, target: &str) -> Result<(), CheckpointError> {
        let path = self.folder.join(link);
        point_link(&path, target).map_err(CheckpointError::io("link", &path))
    }

    /// The SHA-256 of the header and the first `epochs` rows of the run's table; `None` where it has not so many.
    fn rows(&self, epochs: usize) -> Option<String> {
        let table = fs::read(self.run.join(EPOCHS)).ok()?;
        let lines: Vec<&[u8]> = table.split_inclusive(|&byte| byte == b'\n').take(epochs + 1).collect();
        let whole = lines.len() == epochs + 1 && lines.iter().all(|line| line.ends_with(b"\n"));
        whole.then(|| hex(&Sha256::digest(lines.concat())))
    }

    fn target(&self, link: &str) -> Option<String> {
        let target = fs::read_link(self.folder.join(link)).ok()?;
        target.to_str().map(str::to_owned)
    }

    /// Removes folders that nothing needs any more; the checkpoint before the last stays for the case that the last is damaged.
    fn prune(&self, previous: Option<&str>, position: &Position) {
        let best_before = previous.and_then(|name| read_manifest(&self.folder.join(name)).ok());
        let best_before = best_before.and_then(|manifest| manifest.position.best);
        let best = [&position.best, &best_before].map(|best| best.as_ref().map(|best| best.folder.clone()));
        let needed = [best.to_vec(), vec![self.target("last"), previous.map(str::to_owned)]].concat();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("step-") && !needed.iter().flatten().any(|kept| *kept == name) {
                // A leftover costs room and nothing else.
                let _ = remove_folder(&entry.path());
            }
        }
    }

    /// Takes the run up where its last whole checkpoint left it. `None` where there is none yet. The second value tells
    /// what was wrong with newer checkpoints that had to be passed over.
    pub fn resume(
        &self,
        model: &mut Model,
        stepper: &mut Stepper,
        average: Option<&Average>,
    ) -> Result<(Option<Position>, Vec<CheckpointError>), CheckpointError> {
        let mut names: Vec<String> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with("step-"))
            .collect();
        names.sort();
        // Folders newer than the link are unfinished, for the link moves last; without it, all are.
        let last = self.target("last");
        names.retain(|name| last.as_ref().is_some_and(|last| name <= last));
        let mut passed_over = Vec::new();
        for name in names.iter().rev() {
            match self.take_up(&self.folder.join(name), model, stepper, average) {
                Ok(position) => {
                    // A kill between the two links of a save leaves `best` behind `last`.
                    if let Some(best) = &position.best
                        && self.target("best").as_ref() != Some(&best.folder)
                    {
                        self.link("best", &best.folder)?;
                    }
                    return Ok((Some(position), passed_over));
                }
                Err(error) => passed_over.push(error),
            }
        }
        match passed_over.pop() {
            // Starting over in silence would throw the run away.
            Some(error) => Err(CheckpointError::NoneLeft(Box::new(error))),
            None => Ok((None, passed_over)),
        }
    }

    fn take_up(
        &self,
        folder: &Path,
        model: &mut Model,
        stepper: &mut Stepper,
        average: Option<&Average>,
    ) -> Result<Position, CheckpointError> {
        let manifest = read_manifest(folder)?;
        let epochs = manifest.position.epoch;
        if manifest.sha256.get(EPOCHS).is_some_and(|wanted| self.rows(epochs).as_ref() != Some(wanted)) {
            let problem = format!("its rows up to epoch {epochs} are not those that were written (SHA-256 differs)");
            return Err(CheckpointError::Damaged { path: self.run.join(EPOCHS), problem });
        }
        model.load_weights(&folder.join(WEIGHTS))?;
        let path = folder.join(OPTIMIZER);
        let state = read_tensors(&path)?;
        let missing = |path: &Path| {
            let path = path.to_owned();
            move |name| CheckpointError::Damaged { path, problem: format!("`{name}` is missing") }
        };
        stepper
            .restore(manifest.position.step, |name| state.get(name).map(tch::Tensor::shallow_clone))
            .map_err(missing(&path))?;
        if let Some(average) = average {
            let path = folder.join(AVERAGES);
            let averages = read_tensors(&path)?;
            average.restore(|name| averages.get(name).map(tch::Tensor::shallow_clone)).map_err(missing(&path))?;
        }
        Ok(manifest.position)
    }
}

fn read_manifest(folder: &Path) -> Result<Manifest, CheckpointError> {
    let path = folder.join(POSITION);
    let text = fs::read_to_string(&path).map_err(CheckpointError::io("read", &path))?;
    let manifest: Manifest = serde_json::from_str(&text)
        .map_err(|error| CheckpointError::Damaged { path: path.clone(), problem: error.to_string() })?;
    for (file, wanted) in &manifest.sha256 {
        let path = folder.join(file);
        let found = match file.as_str() {
            WEIGHTS | OPTIMIZER | AVERAGES => checksum(&path)?,
            POSITION => manifest.position.checksum(),
            // Of the run, not of the folder: judged where the run is taken up.
            EPOCHS => continue,
            _ => {
                let (path, problem) = (folder.join(POSITION), format!("`{file}` is not a file of a checkpoint"));
                return Err(CheckpointError::Damaged { path, problem });
            }
        };
        if found != *wanted {
            let problem = "its content is not what was written (SHA-256 differs)".to_owned();
            return Err(CheckpointError::Damaged { path, problem });
        }
    }
    Ok(manifest)
}

/// The file of a run's best weights, as they were evaluated: the averages where the run kept some.
///
/// # Errors
/// When the run has no finished epoch, or its checkpoint is damaged.
pub fn best_weights(run: &Path) -> Result<PathBuf, CheckpointError> {
    let checkpoints = run.join("checkpoint");
    let path = checkpoints.join("last");
    if !path.exists() {
        return Err(CheckpointError::Untrained { run: run.to_owned() });
    }
    let Some(best) = read_manifest(&path)?.position.best else {
        return Err(CheckpointError::Untrained { run: run.to_owned() });
    };
    // The name comes from a file: it shall not lead out of the folder.
    if !best.folder.starts_with("step-") || best.folder.contains('/') {
        let problem = format!("`{}` is not a checkpoint of this run", best.folder);
        return Err(CheckpointError::Damaged { path, problem });
    }
    let folder = checkpoints.join(&best.folder);
    read_manifest(&folder)?;
    let averages = folder.join(AVERAGES);
    Ok(if averages.exists() { averages } else { folder.join(WEIGHTS) })
}

fn checksum(path: &Path) -> Result<String, CheckpointError> {
    let mut file = fs::File::open(path).map_err(CheckpointError::io("read", path))?;
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut HashWriter(&mut hasher)).map_err(CheckpointError::io("read", path))?;
    Ok(hex(&hasher.finalize()))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(position: &Position) -> Position {
        serde_json::from_str(&serde_json::to_string_pretty(position).unwrap()).unwrap()
    }

    /// serde_json's quick way of reading numbers is off by one bit now and then, and a resumed run would take another
    /// epoch for its best.
    #[test]
    fn a_position_is_read_back_to_the_bit() {
        for index in 0..20_000 {
            let number = crate::random::uniform(7, index) * 2000.0;
            let best =
                Best { folder: String::new(), epoch: 1, loss: number, top1: number / 3000.0, top5: number / 2000.0 };
            let sums = Sums { loss: number * 128.0, top1: 5, top5: 9, count: 128 };
            let position = Position { best: Some(best), sums, seconds: number / 7.0, ..Position::default() };
            assert_eq!(back(&position), position);
        }
    }

    #[test]
    fn a_validation_loss_that_is_not_finite_is_read_back() {
        for loss in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let best = Best { folder: String::new(), epoch: 1, loss, top1: 0.1, top5: 0.5 };
            let position = back(&Position { best: Some(best), ..Position::default() });
            assert_eq!(position.best.unwrap().loss.to_bits(), loss.to_bits());
        }
    }
}
