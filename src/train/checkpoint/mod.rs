//! Checkpoints: one folder per saved step, and two symbolic links to complete folders, `last` and `best`.
//!
//! A save runs in this order, each step synced before the next, so that a kill between any two leaves a run that resumes:
//!
//! 1. The row of the epoch is appended to `epochs.csv` (by the caller). Killed after it: the row is not covered by a
//!    checkpoint; the resume cuts it off and trains the epoch again.
//! 2. The tensors are written into a new folder. Killed after it: a folder without a manifest, to which no link points. It is
//!    ignored, and removed when the same step is saved again or old folders are pruned.
//! 3. `position.json` is written into the folder: the training state and the SHA-256 of every file, of the state and of the
//!    rows of `epochs.csv` so far. Killed after it: a complete folder newer than `last`, ignored like an incomplete one.
//! 4. `last` is renamed onto the folder. From here on the checkpoint counts. Killed after it: `best` may lag behind; the state
//!    names the best folder itself, and the resume moves the link.
//! 5. `best` is renamed, if this epoch is the best so far.
//! 6. Old folders are pruned, last, when nothing refers to them any more: neither the new checkpoint nor the one before it.
//!
//! Nothing is read before its digest was verified. If the newest checkpoint is damaged, the one before it, which step 6 keeps
//! for that, is used.

mod kept;
mod manifest;
mod state;
mod step;
#[cfg(test)]
mod tests;

pub(super) use kept::copy_kept_weights;
pub(super) use kept::keep_weights;
pub use kept::kept_weights;
pub use state::{Best, TrainState};
pub(super) use step::StepFolder;

use super::average::Average;
use super::optimizer::Optimizer;
use crate::config::Key;
use crate::files::{make_folder, point_link, remove_folder};
use crate::input_error::IsInputError;
use crate::model::{Model, WeightsError, read_tensors, write_tensors};
use manifest::VerifiedCheckpoint;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const WEIGHTS: &str = "weights.safetensors";
const AVERAGES: &str = "averages.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const MANIFEST: &str = "position.json";
/// The run's table. A checkpoint covers the rows of the epochs done.
pub(super) const EPOCHS: &str = "epochs.csv";

/// Why a checkpoint cannot be written or restored.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("cannot {action} {path}: {reason}")]
    Io { action: &'static str, path: PathBuf, reason: io::Error },
    #[error("{path} is damaged: {problem}")]
    Damaged { path: PathBuf, problem: String },
    #[error("{0}; no earlier checkpoint is left, so the run has to start over: `strata train --force`")]
    NoneLeft(Box<CheckpointError>),
    #[error("{0}; the best epoch's weights are nowhere else, so the run has to start over: `strata train --force`")]
    BestLost(Box<CheckpointError>),
    #[error("{path} is a checkpoint of another experiment (key {found}): {hint}")]
    OfAnother { path: PathBuf, found: Key, hint: &'static str },
    #[error(
        "{run} has no trained weights: no epoch of it has ended yet, or they were removed (`strata train --force` trains it anew)"
    )]
    Untrained { run: PathBuf },
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

impl IsInputError for CheckpointError {}

impl CheckpointError {
    /// Turns damage of the checkpoint of the best epoch into [`CheckpointError::BestLost`]: no other checkpoint has its weights.
    fn of_the_best(self) -> CheckpointError {
        match self {
            CheckpointError::Damaged { .. } => CheckpointError::BestLost(Box::new(self)),
            CheckpointError::Io { ref reason, .. } if reason.kind() == io::ErrorKind::NotFound => {
                CheckpointError::BestLost(Box::new(self))
            }
            other => other,
        }
    }

    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
        let path = path.to_owned();
        move |reason| CheckpointError::Io { action, path, reason }
    }
}

/// The `checkpoint` folder of a run.
pub struct Checkpoints {
    run: PathBuf,
    folder: PathBuf,
    /// Key of the experiment; checkpoints of another are refused.
    key: Key,
}

impl Checkpoints {
    pub fn new(run: &Path, key: Key) -> Checkpoints {
        Checkpoints { run: run.to_owned(), folder: run.join("checkpoint"), key }
    }

    /// Saves everything that a run needs to be resumed, in the order that the module describes. `check_held` is asked before
    /// everything that would replace or remove what is there: a process that was suspended may find its folder deleted and made
    /// again by another, whose checkpoints stay as they are.
    ///
    /// # Errors
    /// When something cannot be written, and those of `check_held`. A link that was not reached still leads to the checkpoint
    /// before.
    pub fn save<E: From<CheckpointError>>(
        &self,
        state: &TrainState,
        model: &Model,
        optimizer: &Optimizer,
        average: Option<&Average>,
        check_held: impl Fn() -> Result<(), E>,
    ) -> Result<(), E> {
        if self.folder.is_symlink() {
            let problem = std::io::Error::other("it is a symbolic link, which is not followed");
            return Err(CheckpointError::io("write", &self.folder)(problem).into());
        }
        let name = state.folder();
        let folder = name.within(&self.folder);
        let previous = self.target("last").ok().flatten();
        check_held()?;
        // A folder of this name that `last` does not lead to is left over from a save that was killed.
        if folder.exists() && previous != Some(name) {
            remove_folder(&folder).map_err(CheckpointError::io("remove", &folder))?;
        }
        self.write(&folder, state, model, optimizer, average)?;
        check_held()?;
        self.link("last", name)?;
        if state.best.as_ref().is_some_and(|best| best.folder == name) {
            check_held()?;
            self.link("best", name)?;
        }
        // The same step saved again replaces a damaged checkpoint: the one before it is still needed.
        if previous != Some(name) {
            let unneeded = self.unneeded(previous, state);
            check_held()?;
            for folder in unneeded {
                // One that cannot be removed only takes up disk space.
                let _ = remove_folder(&folder.within(&self.folder));
            }
        }
        Ok(())
    }

    /// Writes the files of a checkpoint, the manifest last.
    fn write(
        &self,
        folder: &Path,
        state: &TrainState,
        model: &Model,
        optimizer: &Optimizer,
        average: Option<&Average>,
    ) -> Result<(), CheckpointError> {
        make_folder(folder).map_err(CheckpointError::io("make", folder))?;
        write_tensors(&folder.join(WEIGHTS), &model.named_tensors())?;
        write_tensors(&folder.join(OPTIMIZER), &optimizer.state())?;
        let mut files = vec![WEIGHTS, OPTIMIZER];
        if let Some(average) = average {
            write_tensors(&folder.join(AVERAGES), &average.tensors())?;
            files.push(AVERAGES);
        }
        manifest::write(folder, state, &files, self.rows(state.epoch))
    }

    /// Copies the last and the best checkpoint of another run, to go on from there; [`Checkpoints::point_to`] makes them count.
    pub(crate) fn copy_from(&self, other: &Checkpoints) -> Result<TrainState, CheckpointError> {
        let hint = "its folder was changed: `strata train --force` trains it again";
        let last = VerifiedCheckpoint::read(&other.folder.join("last"))?;
        last.check_key(&other.key, hint)?;
        let name = last.state.folder();
        if let Some(best) = last.state.best.as_ref().map(|best| best.folder).filter(|&best| best != name) {
            VerifiedCheckpoint::read(&best.within(&other.folder))?.copy_to(&best.within(&self.folder), &self.key)?;
        }
        last.copy_to(&name.within(&self.folder), &self.key)?;
        Ok(last.state)
    }

    /// Points the links to the checkpoint that was saved in this state.
    pub(crate) fn point_to(&self, state: &TrainState) -> Result<(), CheckpointError> {
        state.best.as_ref().map_or(Ok(()), |best| self.link("best", best.folder))?;
        self.link("last", state.folder())
    }

    fn link(&self, link: &str, target: StepFolder) -> Result<(), CheckpointError> {
        let path = self.folder.join(link);
        point_link(&path, &target.to_string()).map_err(CheckpointError::io("link", &path))
    }

    /// The SHA-256 of the header and the first `epochs` rows of the run's table; `None` if it has fewer.
    fn rows(&self, epochs: usize) -> Option<String> {
        manifest::line_digest(&self.run.join(EPOCHS), epochs.checked_add(1)?)
    }

    /// The folder that a link leads to; `None` if there is no such link.
    fn target(&self, link: &str) -> Result<Option<StepFolder>, CheckpointError> {
        let path = self.folder.join(link);
        let target = match fs::read_link(&path) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CheckpointError::io("read", &path)(error)),
        };
        let folder = target.to_str().unwrap_or_default().parse();
        folder.map(Some).map_err(|error| CheckpointError::Damaged { path, problem: format!("{error}") })
    }

    /// The folder that `last` leads to; `None` if nothing was saved yet. Without the link, two rows in `epochs.csv` show that
    /// it was lost: a kill before the first checkpoint leaves at most one row.
    fn last(&self) -> Result<Option<StepFolder>, CheckpointError> {
        match self.target("last") {
            Ok(None) if self.rows(2).is_some() => {
                let (path, problem) = (self.folder.join("last"), "it is missing".to_owned());
                Err(CheckpointError::Damaged { path, problem })
            }
            last => last,
        }
    }

    /// Whether there is, or must have been, a checkpoint to resume from.
    pub fn begun(&self) -> bool {
        !matches!(self.last(), Ok(None))
    }

    /// All folders of steps, complete or not, by step.
    fn folders(&self) -> Vec<StepFolder> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut folders: Vec<StepFolder> =
            entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        folders.sort();
        folders
    }

    /// The folders that nothing refers to. The previous checkpoint and its best epoch stay, for the case that the one just
    /// saved is damaged later.
    fn unneeded(&self, previous: Option<StepFolder>, state: &TrainState) -> Vec<StepFolder> {
        let before = previous.and_then(|folder| VerifiedCheckpoint::read(&folder.within(&self.folder)).ok());
        let best = [Some(state), before.as_ref().map(|checkpoint| &checkpoint.state)];
        let best = best.map(|state| state?.best.as_ref().map(|best| best.folder));
        let needed = [best[0], best[1], Some(state.folder()), previous];
        self.folders().into_iter().filter(|&folder| !needed.contains(&Some(folder))).collect()
    }

    /// Restores the newest intact checkpoint; no state if nothing was saved yet. The second value says what was wrong with the
    /// newer checkpoints that were skipped.
    ///
    /// # Errors
    /// [`CheckpointError::NoneLeft`] when checkpoints exist but all are damaged, [`CheckpointError::BestLost`] when the weights
    /// of the best epoch are, and [`CheckpointError::OfAnother`] for those of another experiment.
    pub fn resume(
        &self,
        model: &mut Model,
        optimizer: &mut Optimizer,
        average: Option<&Average>,
    ) -> Result<(Option<TrainState>, Vec<CheckpointError>), CheckpointError> {
        let mut folders = self.folders();
        let mut skipped = Vec::new();
        let last = self.last();
        let lost = last.is_err();
        match last {
            // Folders newer than the link were not finished, because the link moves after they are; without a link, none was.
            Ok(last) => folders.retain(|&folder| last.is_some_and(|last| folder <= last)),
            // The link is lost, so it cannot say which folders are finished; their digests can.
            Err(error) => skipped.push(error),
        }
        for folder in folders.into_iter().rev() {
            match self.restore(&folder.within(&self.folder), model, optimizer, average) {
                Ok(state) => {
                    if lost {
                        self.link("last", folder)?;
                    }
                    // The weights of the best epoch are needed after the last one, for the test. Damage should stop the run
                    // now, and not then, when all epochs were trained in vain.
                    if let Some(best) = &state.best
                        && best.folder != folder
                    {
                        VerifiedCheckpoint::read(&best.folder.within(&self.folder))
                            .map_err(CheckpointError::of_the_best)?;
                    }
                    // A kill between steps 4 and 5 of a save leaves `best` behind.
                    if let Some(best) = &state.best
                        && self.target("best").ok().flatten() != Some(best.folder)
                    {
                        self.link("best", best.folder)?;
                    }
                    return Ok((Some(state), skipped));
                }
                Err(error) => skipped.push(error),
            }
        }
        match skipped.pop() {
            Some(error @ CheckpointError::OfAnother { .. }) => Err(error),
            // To start over without being asked would throw away what was trained.
            Some(error) => Err(CheckpointError::NoneLeft(Box::new(error))),
            None => Ok((None, skipped)),
        }
    }

    fn restore(
        &self,
        folder: &Path,
        model: &mut Model,
        optimizer: &mut Optimizer,
        average: Option<&Average>,
    ) -> Result<TrainState, CheckpointError> {
        let checkpoint = VerifiedCheckpoint::read(folder)?;
        checkpoint.check_key(&self.key, "move it away, or start over with `strata train --force`")?;
        self.check_rows(&checkpoint)?;
        model.load_weights(&checkpoint.file(WEIGHTS)?)?;
        let path = checkpoint.file(OPTIMIZER)?;
        let state = read_tensors(&path)?;
        let missing = |path: &Path| {
            let path = path.to_owned();
            move |name| CheckpointError::Damaged { path, problem: format!("`{name}` is missing") }
        };
        optimizer
            .restore(checkpoint.state.updates(), |name| state.get(name).map(tch::Tensor::shallow_clone))
            .map_err(missing(&path))?;
        if let Some(average) = average {
            let path = checkpoint.file(AVERAGES)?;
            let averages = read_tensors(&path)?;
            average.restore(|name| averages.get(name).map(tch::Tensor::shallow_clone)).map_err(missing(&path))?;
        }
        Ok(checkpoint.state)
    }

    /// Checks that `epochs.csv` still has the rows that were there when the checkpoint was saved.
    fn check_rows(&self, checkpoint: &VerifiedCheckpoint) -> Result<(), CheckpointError> {
        let epochs = checkpoint.state.epoch;
        let recorded = match checkpoint.digest(EPOCHS) {
            Ok(recorded) => recorded,
            // A checkpoint within the first epoch: the table may not exist yet.
            Err(_) if epochs == 0 => return Ok(()),
            Err(error) => return Err(error),
        };
        if self.rows(epochs).as_deref() == Some(recorded) {
            return Ok(());
        }
        let problem = format!("its rows up to epoch {epochs} are not those that were written (SHA-256 differs)");
        Err(CheckpointError::Damaged { path: self.run.join(EPOCHS), problem })
    }
}

/// The file with the weights of a run's best epoch: the moving averages if the run has them, since those were evaluated.
///
/// # Errors
/// When no epoch was finished, or the checkpoint is damaged or belongs to an experiment with another key.
pub fn best_weights(run: &Path, key: &Key) -> Result<PathBuf, CheckpointError> {
    let checkpoints = run.join("checkpoint");
    let untrained = || CheckpointError::Untrained { run: run.to_owned() };
    let [last, best] = ["last", "best"].map(|link| checkpoints.join(link));
    if !last.exists() && !best.exists() {
        return Err(untrained());
    }
    // The last checkpoint names the best one. If it is damaged, the link `best` leads there as well.
    let named = VerifiedCheckpoint::read(&last)
        .or_else(|_| VerifiedCheckpoint::read(&best))
        .map_err(CheckpointError::of_the_best)?;
    let folder = named.state.best.ok_or_else(untrained)?.folder.within(&checkpoints);
    let checkpoint = VerifiedCheckpoint::read(&folder).map_err(CheckpointError::of_the_best)?;
    checkpoint
        .check_key(key, "experiment.toml beside it was changed; `strata train` of a finished run's file restores it")?;
    checkpoint.file(if folder.join(AVERAGES).exists() { AVERAGES } else { WEIGHTS })
}
