//! Checkpoints: a folder per saved step, and two links, `last` and `best`, that are moved in one step once it is complete.
//!
//! A kill at any moment leaves either link on a complete folder. Every file's SHA-256 stands in `position.json`, so that a
//! damaged one is noticed before anything is taken from it; the checkpoint before it is then used.

use super::average::Average;
use super::metrics::Sums;
use super::optimizer::Stepper;
use crate::files::{sync_folder, write_whole};
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

/// The best epoch so far on the validation images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Counted from 1.
    pub epoch: usize,
    pub loss: f64,
    pub top1: f64,
    pub top5: f64,
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
    folder: PathBuf,
}

impl Checkpoints {
    pub fn new(run: &Path) -> Checkpoints {
        Checkpoints { folder: run.join("checkpoint") }
    }

    /// Saves everything that a run needs to go on; `is_best` makes it the best one too.
    ///
    /// # Errors
    /// When something cannot be written; `last` and `best` then stay what they were.
    pub fn save(
        &self,
        position: &Position,
        model: &Model,
        stepper: &Stepper,
        average: Option<&Average>,
        is_best: bool,
    ) -> Result<(), CheckpointError> {
        let name = format!("step-{:09}-epoch-{:04}", position.step, position.epoch);
        let folder = self.folder.join(&name);
        // A folder of that name that no link points to is what a kill left of an attempt.
        if folder.exists() && self.target("last").as_deref() != Some(name.as_str()) {
            fs::remove_dir_all(&folder).map_err(CheckpointError::io("remove", &folder))?;
        }
        fs::create_dir_all(&folder).map_err(CheckpointError::io("make", &folder))?;
        write_tensors(&folder.join(WEIGHTS), &model.named_tensors())?;
        write_tensors(&folder.join(OPTIMIZER), &stepper.state())?;
        let mut files = vec![WEIGHTS, OPTIMIZER];
        if let Some(average) = average {
            write_tensors(&folder.join(AVERAGES), &average.tensors())?;
            files.push(AVERAGES);
        }
        let sha256 = files
            .into_iter()
            .map(|file| Ok((file.to_owned(), checksum(&folder.join(file))?)))
            .collect::<Result<_, CheckpointError>>()?;
        let manifest = Manifest { position: position.clone(), sha256 };
        let path = folder.join(POSITION);
        let text = serde_json::to_string_pretty(&manifest)
            .map_err(|error| CheckpointError::io("write", &path)(error.into()))?;
        write_whole(&path, text.as_bytes()).map_err(CheckpointError::io("write", &path))?;
        let previous = self.target("last");
        if is_best {
            self.link("best", &name)?;
        }
        self.link("last", &name)?;
        self.prune(previous.as_deref());
        Ok(())
    }

    /// Points a link to a folder: a new link is renamed over the old one, which happens at once or not at all.
    fn link(&self, link: &str, target: &str) -> Result<(), CheckpointError> {
        let path = self.folder.join(link);
        let fresh = self.folder.join(format!(".{link}.new"));
        let _ = fs::remove_file(&fresh);
        std::os::unix::fs::symlink(target, &fresh).map_err(CheckpointError::io("link", &fresh))?;
        fs::rename(&fresh, &path).map_err(CheckpointError::io("link", &path))?;
        sync_folder(&self.folder).map_err(CheckpointError::io("sync", &self.folder))
    }

    fn target(&self, link: &str) -> Option<String> {
        let target = fs::read_link(self.folder.join(link)).ok()?;
        target.to_str().map(str::to_owned)
    }

    /// Removes folders that nothing needs any more; the checkpoint before the last stays for the case that the last is damaged.
    fn prune(&self, previous: Option<&str>) {
        let needed = [self.target("last"), self.target("best"), previous.map(str::to_owned)];
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("step-") && !needed.iter().flatten().any(|kept| *kept == name) {
                // A leftover costs room and nothing else.
                let _ = fs::remove_dir_all(entry.path());
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
        // Folders newer than the link are unfinished: the link moves last.
        if let Some(last) = self.target("last") {
            names.retain(|name| *name <= last);
        }
        let mut passed_over = Vec::new();
        for name in names.iter().rev() {
            match self.take_up(&self.folder.join(name), model, stepper, average) {
                Ok(position) => return Ok((Some(position), passed_over)),
                Err(error) => passed_over.push(error),
            }
        }
        match passed_over.pop() {
            // Starting over in silence would throw the run away.
            Some(error) => Err(error),
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
        if ![WEIGHTS, OPTIMIZER, AVERAGES].contains(&file.as_str()) {
            return Err(CheckpointError::Damaged { path, problem: format!("`{file}` is not a file of a checkpoint") });
        }
        let path = folder.join(file);
        if checksum(&path)? != *wanted {
            let problem = "its bytes are not those that were written (SHA-256 differs)".to_owned();
            return Err(CheckpointError::Damaged { path, problem });
        }
    }
    Ok(manifest)
}

/// The file of the weights that were evaluated: the averages where the run kept some.
///
/// # Errors
/// When the run has no such checkpoint, or it is damaged.
pub fn evaluated_weights(run: &Path, link: &str) -> Result<PathBuf, CheckpointError> {
    let folder = run.join("checkpoint").join(link);
    read_manifest(&folder)?;
    let averages = folder.join(AVERAGES);
    Ok(if averages.exists() { averages } else { folder.join(WEIGHTS) })
}

fn checksum(path: &Path) -> Result<String, CheckpointError> {
    let mut file = fs::File::open(path).map_err(CheckpointError::io("read", path))?;
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut HashWriter(&mut hasher)).map_err(CheckpointError::io("read", path))?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
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
