//! `strata train FILE…`

use super::epoch_table::{folded, percent, width_of};
use super::progress::Progress;
use super::{Done, RANKS, Shared, Usage, print};
use anyhow::{Result, bail};
use clap::Args;
use console::Term;
use std::path::{Path, PathBuf};
use strata::config::Experiment;
use strata::emit;
use strata::ranks::{self, Ranks};
use strata::runs::{Column, RunError, Status};
use strata::sweep::event::{Event, Reporter, stop_with_stdin};
use strata::train::{Outcome, Quiet, RunOptions, TrainError};
use strata::{data, interrupt, train, watchdog};

/// Run experiments: train, validate every epoch, test at the end
///
/// An interrupted run is resumed from its last checkpoint; a finished one is skipped. Ctrl-C finishes the step, saves and exits
/// with code 130; pressed again, it stops at once.
///
/// Started by torchrun, srun or mpirun, the processes train together, each on its part of every batch (docs/distributed.md).
#[derive(Args)]
pub(crate) struct Train {
    /// Experiment files, or their names
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Run finished experiments again, from the start
    #[arg(long)]
    force: bool,
    /// Stop after this epoch; the same command without it resumes the run. Schedules are those of the whole run
    #[arg(long, value_name = "EPOCH", value_parser = clap::value_parser!(u32).range(1..))]
    until: Option<u32>,
    /// Train finished experiments for N more epochs: the run with the larger train.epochs begins where the finished one ended.
    /// Needs a schedule that does not depend on train.epochs: constant, step or exponential
    #[arg(long, value_name = "N", conflicts_with_all = ["force", "events"], value_parser = clap::value_parser!(u32).range(1..))]
    epochs_more: Option<u32>,
    /// On a GPU, run each step as a CUDA graph, which is faster for small networks (not tested on a GPU yet)
    #[arg(long)]
    cuda_graphs: bool,
    /// For `strata sweep`: events on standard output; stop when standard input closes
    #[arg(long, hide = true)]
    events: bool,
}

pub(crate) fn run(command: &Train, shared: &Shared) -> Result<Done> {
    let info = ranks::rank_info()?;
    let _ = RANKS.set(info.as_ref().map_or(1, |info| info.world));
    if info.is_some() && command.epochs_more.is_some() {
        bail!(Usage("--epochs-more continues a run on one rank only".to_owned()));
    }
    let experiments = experiments(command, shared)?;
    let options = RunOptions {
        store: shared.store(),
        cache: data::cache_dir()?,
        device: shared.device()?,
        force: command.force,
        until: command.until.map(|epoch| epoch as usize),
        graphs: command.cuda_graphs,
        ranks: Ranks::meet(info.as_ref())?,
    };
    if command.events {
        stop_with_stdin();
    }
    let mut all = Done::Well;
    for experiment in &experiments {
        interrupt::release();
        if interrupt::requested() {
            return Ok(Done::Interrupted);
        }
        // The first rank prints and writes everything.
        let ended = match options.ranks.is_first() {
            true => train_one(experiment, &options, command, shared),
            false => follow(experiment, &options),
        };
        match ended {
            Ok(Done::Well) => {}
            Ok(Done::WithFailures) => all = Done::WithFailures,
            Ok(stopped) => return Ok(stopped),
            Err(error) if experiments.len() > 1 && options.ranks.world() == 1 && !is_of_input(&error) => {
                emit(format_args!("error: {}: {error}", experiment.name));
                all = Done::WithFailures;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(all)
}

/// The experiments of all files, read before the first of them runs: a typo in the last should not show up hours later.
fn experiments(command: &Train, shared: &Shared) -> Result<Vec<Experiment>> {
    let experiment = |file: &PathBuf| {
        let experiment = shared.experiment(file)?;
        match command.epochs_more {
            Some(more) => longer(file, &experiment, more, shared),
            None => Ok(experiment),
        }
    };
    command.files.iter().map(experiment).collect()
}

/// Whether an error of one experiment is likely one of all of them.
fn is_of_input(error: &TrainError) -> bool {
    matches!(error, TrainError::Data(_) | TrainError::Folder(_))
}

/// Trains with progress and prints the result.
fn train_one(
    experiment: &Experiment,
    options: &RunOptions,
    command: &Train,
    shared: &Shared,
) -> Result<Done, TrainError> {
    let mut progress = Progress::new(shared.quiet);
    let result = match command.events {
        true => train::run(experiment, options, &mut Reporter::new(&mut progress)),
        false => train::run(experiment, options, &mut progress),
    };
    progress.draw_curves();
    // Removes the bar, so that the result is printed below the plot.
    drop(progress);
    let outcome = match result {
        Err(TrainError::Folder(RunError::Held { holder, .. })) if command.events => {
            Event::Held { by: holder }.emit();
            return Ok(Done::Held);
        }
        result => result?,
    };
    let mut printed = true;
    if command.events {
        Event::Ended { status: outcome.status }.emit();
    } else if let Err(error) = print(&line(experiment, &outcome, options.until, shared.quiet)) {
        // Standard output may be closed or its disk full; the result is in results/ all the same.
        emit(format_args!("error: {error:#}"));
        printed = false;
    }
    Ok(match outcome.status {
        Status::Interrupted if !has_reached(&outcome, options.until) => Done::Interrupted,
        Status::Running | Status::Diverged | Status::Failed => Done::WithFailures,
        Status::Interrupted | Status::Done if printed => Done::Well,
        Status::Interrupted | Status::Done => Done::WithFailures,
    })
}

/// Trains as one of the ranks after the first.
fn follow(experiment: &Experiment, options: &RunOptions) -> Result<Done, TrainError> {
    Ok(match train::run(experiment, options, &mut Quiet)?.status {
        Status::Interrupted if options.ranks.stop_requested() => Done::Interrupted,
        Status::Diverged | Status::Failed => Done::WithFailures,
        Status::Interrupted | Status::Running | Status::Done => Done::Well,
    })
}

/// The experiment with more epochs, whose run is prepared to begin where that of `experiment` ended.
fn longer(file: &Path, experiment: &Experiment, more: u32, shared: &Shared) -> Result<Experiment> {
    let epochs = format!("train.epochs={}", experiment.train.epochs + more as usize);
    let longer = super::experiment(file, &[&shared.set[..], &[epochs]].concat())?;
    if let Some(epochs) = train::continue_from(experiment, &longer, &shared.store())? {
        tracing::info!("{}: {} is continued after its {epochs} epochs", experiment.name, experiment.key());
    }
    Ok(longer)
}

/// Whether a run has come to the epoch of `--until`.
fn has_reached(outcome: &Outcome, until: Option<usize>) -> bool {
    let epochs = outcome.record.number(Column::Epochs).unwrap_or_default();
    until.is_some_and(|until| epochs >= until as f64)
}

/// Forks the process that records the end of a run that is killed or crashes.
pub(crate) fn start_watchdog() {
    if let Err(error) = watchdog::start(train::record_lost_run) {
        tracing::debug!("a run that is killed will not be recorded as failed: {error}");
    }
}

/// The result, in one line where the terminal has room for it.
fn line(experiment: &Experiment, outcome: &Outcome, until: Option<usize>, quiet: bool) -> String {
    let number = |column| outcome.record.number(column);
    let skipped = match outcome.status {
        _ if quiet => "",
        Status::Interrupted if has_reached(outcome, until) => " (without --until the same command resumes it)",
        Status::Interrupted => " (the same command resumes it)",
        _ if outcome.skipped => " (finished before; --force runs it again)",
        _ => "",
    };
    let mut parts = vec![format!("{}: {}{skipped}", experiment.name, outcome.status.name())];
    if let (Some(epoch), Some(top1)) = (number(Column::BestEpoch), number(Column::ValTop1)) {
        parts.push(format!("validation Top-1 {} in epoch {epoch}", percent(top1)));
    }
    if let (Some(top1), Some(top5)) = (number(Column::TestTop1), number(Column::TestTop5)) {
        parts.push(format!("test Top-1 {}, Top-5 {}", percent(top1), percent(top5)));
    }
    let last = parts.len() - 1;
    parts[..last].iter_mut().for_each(|part| part.push(','));
    parts.push(format!("→ {}", outcome.folder.display()));
    folded(&parts, " ", width_of(&Term::stdout())) + "\n"
}
