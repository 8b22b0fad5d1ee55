//! Runs whose process was killed or crashed before it could record their end.

use super::error::MEMORY_HINT;
use crate::config::{Experiment, Machine};
use crate::emit::emit;
use crate::runs::{Environment, Epochs, Record, RunFolder, RunResult, Status, utc_now};
use std::path::Path;

/// Records that the run in `folder` failed, unless another process has resumed it or its own recorded an end.
pub fn record(folder: &Path) {
    let Ok(experiment) = Experiment::load(&folder.join("experiment.toml"), &[], Machine::default()) else { return };
    let Ok(run) = RunFolder::take_over(folder) else { return };
    let Some(mut info) = Environment::read(folder).filter(Environment::is_running) else { return };
    let name = &experiment.name;
    info.finished = utc_now();
    info.outcome = format!("failed: the process ended without recording why: it was killed or it crashed{MEMORY_HINT}");
    emit(format_args!("error: {name}: {}; `strata train` resumes from the last checkpoint", info.outcome));
    let epochs = Epochs::read(folder).unwrap_or_default();
    let best = epochs.best();
    let result = RunResult {
        status: Status::Failed,
        epochs: epochs.len(),
        best_epoch: best.map(|row| row.epoch),
        val: best.map(|row| [row.val_loss, row.val_top1, row.val_top5]),
        test: None,
        test_correct: None,
        seconds: epochs.iter().map(|row| row.epoch_seconds).sum(),
    };
    let record = Record::new(&experiment, &info, &result);
    let _ = run.write("run.json", &info.to_json()).and_then(|()| record.write(&run));
}
