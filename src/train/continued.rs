//! More epochs for a finished run.
//!
//! With a schedule that does not depend on the number of epochs, the first epochs of a longer run are the shorter run, bit for
//! bit: data order, augmentation and initialisation are functions of seed and epoch. The longer run is therefore an ordinary
//! experiment, with an ordinary key, that begins with copies of the shorter one's checkpoints and rows.

use super::checkpoint::{Checkpoints, EPOCHS, copy_kept_weights};
use super::error::TrainError;
use super::finished::finished;
use crate::config::Experiment;
use crate::runs::{Column, Environment, GRADIENTS, RunError, STEPS, Status, Store};
use std::io::ErrorKind;

/// Prepares the run of `longer` to go on where that of `shorter` ended; the two differ in `train.epochs` only. Does nothing if
/// `longer` has begun already. Returns the epochs that are taken over.
///
/// # Errors
/// [`TrainError::NotContinued`] when `shorter` is not finished, stopped early, or its schedule depends on `train.epochs`; errors
/// of the run folders.
pub fn continue_from(shorter: &Experiment, longer: &Experiment, store: &Store) -> Result<Option<usize>, TrainError> {
    let (key, parent) = (shorter.key(), store.run_folder(&shorter.name, &shorter.key()));
    let refused = |reason: &str| Err(TrainError::NotContinued { run: parent.clone(), reason: reason.to_owned() });
    if shorter.train.schedule.depends_on_length() {
        return refused(
            "its schedule ends with its last epoch, so a longer run differs from the first epoch on; constant, step and \
             exponential schedules can be continued (or train it anew with --set train.epochs=N)",
        );
    }
    let epochs = match finished(&parent, shorter)? {
        Some(outcome) if outcome.status == Status::Done => outcome.record.number(Column::Epochs).unwrap_or_default(),
        Some(_) => return refused("it diverged"),
        None => return refused("it is not finished; `strata train` finishes it"),
    };
    if epochs < shorter.train.epochs as f64 {
        return refused("it stopped early (train.patience)");
    }
    let folder = store.open(longer).map_err(TrainError::Folder)?;
    let checkpoints = Checkpoints::new(folder.path(), longer.key());
    if checkpoints.begun() || finished(folder.path(), longer)?.is_some() {
        return Ok(None);
    }
    // In this order a kill at any moment leaves a run that begins anew, or one that goes on from the copies.
    let state = checkpoints.copy_from(&Checkpoints::new(&parent, key.clone()))?;
    let mut info = Environment::read(&parent).unwrap_or_default();
    info.parent = format!("{}/{}", shorter.name, key.short());
    folder.write("run.json", &info.to_json())?;
    for table in [EPOCHS, STEPS.name, GRADIENTS.name] {
        let path = parent.join(table);
        match std::fs::read_to_string(&path) {
            Ok(rows) => folder.write(table, &rows)?,
            // Tables by the step are there on request.
            Err(error) if error.kind() == ErrorKind::NotFound && table != EPOCHS => {}
            Err(error) => return Err(RunError::io("read", &path)(error).into()),
        }
    }
    copy_kept_weights(&parent, folder.path())?;
    checkpoints.point_to(&state)?;
    Ok(Some(shorter.train.epochs))
}
