//! Runs whose process was killed or crashed before it could record their end.

use super::error::MEMORY_HINT;
use crate::config::{Experiment, Machine};
use crate::runs::{RunFolder, RunInfo, Status, Summary, read_epochs, utc_now};
use crate::say;
use std::path::Path;

/// Records that the run in `folder` failed, unless another process has resumed it or its own recorded an end.
pub fn record(folder: &Path) {
    let Ok(experiment) = Experiment::load(&folder.join("experiment.toml"), &[], Machine::default()) else { return };
    let Ok(run) = RunFolder::take_over(folder) else { return };
    let Some(mut info) = RunInfo::read(folder).filter(RunInfo::is_running) else { return };
    let name = &experiment.name;
    info.finished = utc_now();
    info.outcome = format!("failed: the process ended without recording why: it was killed or it crashed{MEMORY_HINT}");
    say(format_args!("error: {name}: {}; `strata train` resumes from the last checkpoint", info.outcome));
    let rows = read_epochs(folder).unwrap_or_default();
    // The first of the best epochs, as in the summary of a run that ends by itself.
    let best = rows.iter().rev().max_by(|a, b| a.val_top1.total_cmp(&b.val_top1));
    let summary = Summary {
        status: Status::Failed,
        epochs: rows.len(),
        best_epoch: best.map(|row| row.epoch),
        val: best.map(|row| [row.val_loss, row.val_top1, row.val_top5]),
        test: None,
        test_correct: None,
        seconds: rows.iter().map(|row| row.epoch_seconds).sum(),
        device: info.device.clone(),
        precision: info.precision.clone(),
        git: info.git_mark(),
        started: info.process.started.clone(),
    };
    let _ = run.write("run.json", &info.to_json()).and_then(|()| summary.write(&run, &experiment));
}
