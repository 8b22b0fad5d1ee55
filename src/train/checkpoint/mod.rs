//! Checkpoints: a folder per saved step, and two links, `last` and `best`, that are moved in one step once it is complete.
//!
//! A kill at any moment leaves either link on a complete folder. The SHA-256 of every file, of the position and of the rows
//! that `epochs.csv` had stands in `position.json`, so that damage is noticed before anything is taken from it; the
//! checkpoint before it is then used.

mod manifest;
mod position;
mod step;
#[cfg(test)]
mod tests;

pub use position::{Best, Position};
pub use step::StepFolder;

use super::average::Average;
use super::optimizer::Optimizer;
use crate::IsInputError;
use crate::config::Key;
use crate::files::{make_folder, point_link, remove_folder};
use crate::model::{Model, WeightsError, read_tensors, write_tensors};
use manifest::Whole;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const WEIGHTS: &str = "weights.safetensors";
const AVERAGES: &str = "averages.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const POSITION: &str = "position.json";
/// The run's table; its rows up to a checkpoint are checked with it.
const EPOCHS: &str = "epochs.csv";

/// Why a checkpoint cannot be written or taken up.
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
    /// What went wrong with the weights of the best epoch, which no other checkpoint has.
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
    /// Of the experiment.
    key: Key,
}

impl Checkpoints {
    pub fn new(run: &Path, key: Key) -> Checkpoints {
        Checkpoints { run: run.to_owned(), folder: run.join("checkpoint"), key }
    }

    /// Saves everything that a run needs to go on; where it is that of the best epoch, `best` leads to it too.
    ///
    /// # Errors
    /// When something cannot be written; `last` and `best` then stay what they were.
    pub fn save(
        &self,
        position: &Position,
        model: &Model,
        optimizer: &Optimizer,
        average: Option<&Average>,
    ) -> Result<(), CheckpointError> {
        if self.folder.is_symlink() {
            let problem = std::io::Error::other("it is a symbolic link, which is not followed");
            return Err(CheckpointError::io("write", &self.folder)(problem));
        }
        let name = position.folder();
        let folder = name.within(&self.folder);
        let previous = self.target("last").ok().flatten();
        // A folder of that name that no link points to is what a kill left of an attempt.
        if folder.exists() && previous != Some(name) {
            remove_folder(&folder).map_err(CheckpointError::io("remove", &folder))?;
        }
        make_folder(&folder).map_err(CheckpointError::io("make", &folder))?;
        write_tensors(&folder.join(WEIGHTS), &model.named_tensors())?;
        write_tensors(&folder.join(OPTIMIZER), &optimizer.state())?;
        let mut files = vec![WEIGHTS, OPTIMIZER];
        if let Some(average) = average {
            write_tensors(&folder.join(AVERAGES), &average.tensors())?;
            files.push(AVERAGES);
        }
        manifest::write(&folder, position, &files, self.rows(position.epoch))?;
        self.link("last", name)?;
        if position.best.as_ref().is_some_and(|best| best.folder == name) {
            self.link("best", name)?;
        }
        // Where a damaged checkpoint was made anew, the one before it is still the only other.
        if previous != Some(name) {
            self.prune(previous, position);
        }
        Ok(())
    }

    fn link(&self, link: &str, target: StepFolder) -> Result<(), CheckpointError> {
        let path = self.folder.join(link);
        point_link(&path, &target.to_string()).map_err(CheckpointError::io("link", &path))
    }

    /// The SHA-256 of the header and the first `epochs` rows of the run's table; `None` where it has not so many.
    fn rows(&self, epochs: usize) -> Option<String> {
        manifest::of_lines(&self.run.join(EPOCHS), epochs.checked_add(1)?)
    }

    /// Where a link leads; `None` where there is no such link.
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

    /// Where the last checkpoint is; an error where there must be one, for a kill before the first leaves one row, and never two.
    fn last(&self) -> Result<Option<StepFolder>, CheckpointError> {
        match self.target("last") {
            Ok(None) if self.rows(2).is_some() => {
                let (path, problem) = (self.folder.join("last"), "it is gone".to_owned());
                Err(CheckpointError::Damaged { path, problem })
            }
            last => last,
        }
    }

    /// Whether there is, or was, something to go on from.
    pub fn begun(&self) -> bool {
        !matches!(self.last(), Ok(None))
    }

    /// The folders of steps, whole or not, from the first to the last.
    fn folders(&self) -> Vec<StepFolder> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut folders: Vec<StepFolder> =
            entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        folders.sort();
        folders
    }

    /// Removes folders that nothing needs any more; the checkpoint before the last stays for the case that the last is damaged.
    fn prune(&self, previous: Option<StepFolder>, position: &Position) {
        let before = previous.and_then(|folder| Whole::read(&folder.within(&self.folder)).ok());
        let best = [Some(position), before.as_ref().map(|whole| &whole.position)];
        let best = best.map(|position| position?.best.as_ref().map(|best| best.folder));
        let needed = [best[0], best[1], Some(position.folder()), previous];
        for folder in self.folders().into_iter().filter(|&folder| !needed.contains(&Some(folder))) {
            // A leftover costs room and nothing else.
            let _ = remove_folder(&folder.within(&self.folder));
        }
    }

    /// Takes the run up where its last whole checkpoint left it. `None` where there is none yet. The second value tells
    /// what was wrong with newer checkpoints that had to be passed over.
    pub fn resume(
        &self,
        model: &mut Model,
        optimizer: &mut Optimizer,
        average: Option<&Average>,
    ) -> Result<(Option<Position>, Vec<CheckpointError>), CheckpointError> {
        let mut folders = self.folders();
        let mut passed_over = Vec::new();
        let last = self.last();
        let lost = last.is_err();
        match last {
            // Folders newer than the link are unfinished, for the link moves last; without it, all are.
            Ok(last) => folders.retain(|&folder| last.is_some_and(|last| folder <= last)),
            // Nobody knows where it led: the sums tell which folders are whole.
            Err(error) => passed_over.push(error),
        }
        for folder in folders.into_iter().rev() {
            match self.take_up(&folder.within(&self.folder), model, optimizer, average) {
                Ok(position) => {
                    if lost {
                        self.link("last", folder)?;
                    }
                    // Better now than after the last epoch, when the test images are to be read with them.
                    if let Some(best) = &position.best
                        && best.folder != folder
                    {
                        Whole::read(&best.folder.within(&self.folder)).map_err(CheckpointError::of_the_best)?;
                    }
                    // A kill between the two links of a save leaves `best` behind `last`.
                    if let Some(best) = &position.best
                        && self.target("best").ok().flatten() != Some(best.folder)
                    {
                        self.link("best", best.folder)?;
                    }
                    return Ok((Some(position), passed_over));
                }
                Err(error) => passed_over.push(error),
            }
        }
        match passed_over.pop() {
            Some(error @ CheckpointError::OfAnother { .. }) => Err(error),
            // Starting over in silence would throw the run away.
            Some(error) => Err(CheckpointError::NoneLeft(Box::new(error))),
            None => Ok((None, passed_over)),
        }
    }

    fn take_up(
        &self,
        folder: &Path,
        model: &mut Model,
        optimizer: &mut Optimizer,
        average: Option<&Average>,
    ) -> Result<Position, CheckpointError> {
        let whole = Whole::read(folder)?;
        whole.check_key(&self.key, "move it away, or start over with `strata train --force`")?;
        self.check_rows(&whole)?;
        model.load_weights(&whole.file(WEIGHTS)?)?;
        let path = whole.file(OPTIMIZER)?;
        let state = read_tensors(&path)?;
        let missing = |path: &Path| {
            let path = path.to_owned();
            move |name| CheckpointError::Damaged { path, problem: format!("`{name}` is missing") }
        };
        optimizer
            .restore(whole.position.step, |name| state.get(name).map(tch::Tensor::shallow_clone))
            .map_err(missing(&path))?;
        if let Some(average) = average {
            let path = whole.file(AVERAGES)?;
            let averages = read_tensors(&path)?;
            average.restore(|name| averages.get(name).map(tch::Tensor::shallow_clone)).map_err(missing(&path))?;
        }
        Ok(whole.position)
    }

    /// The rows of the epochs that the checkpoint answers for are those that were written.
    fn check_rows(&self, whole: &Whole) -> Result<(), CheckpointError> {
        let epochs = whole.position.epoch;
        let wanted = match whole.sum(EPOCHS) {
            Ok(wanted) => wanted,
            // Before the first row there may be no table.
            Err(_) if epochs == 0 => return Ok(()),
            Err(error) => return Err(error),
        };
        if self.rows(epochs).as_deref() == Some(wanted) {
            return Ok(());
        }
        let problem = format!("its rows up to epoch {epochs} are not those that were written (SHA-256 differs)");
        Err(CheckpointError::Damaged { path: self.run.join(EPOCHS), problem })
    }
}

/// The file of a run's best weights, as they were evaluated: the averages where the run kept some.
///
/// # Errors
/// When the run has no finished epoch, its checkpoint is damaged, or is that of an experiment with another key.
pub fn best_weights(run: &Path, key: &Key) -> Result<PathBuf, CheckpointError> {
    let checkpoints = run.join("checkpoint");
    let untrained = || CheckpointError::Untrained { run: run.to_owned() };
    let [last, best] = ["last", "best"].map(|link| checkpoints.join(link));
    if !last.exists() && !best.exists() {
        return Err(untrained());
    }
    // The position of the last checkpoint names the best one; without it, a link leads there too.
    let named = Whole::read(&last).or_else(|_| Whole::read(&best)).map_err(CheckpointError::of_the_best)?;
    let folder = named.position.best.ok_or_else(untrained)?.folder.within(&checkpoints);
    let whole = Whole::read(&folder).map_err(CheckpointError::of_the_best)?;
    whole.check_key(key, "experiment.toml beside it was changed; `strata train` of a finished run's file mends it")?;
    whole.file(if folder.join(AVERAGES).exists() { AVERAGES } else { WEIGHTS })
}
