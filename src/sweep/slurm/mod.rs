//! Runs the points of a sweep as jobs of Slurm: a job array with a task for each point. This process only submits and polls; it
//! reads the state of points from their run folders, so that it can be stopped and restarted at any time.

mod jobs;

use super::event::Event;
use super::finished::Finished;
use super::halving::{Goal, Rungs};
use super::outcome::PointOutcome;
use super::report::{Report, SweepError};
use super::state::Failure;
use super::tables::{SweepTables, write_tables};
use super::{Counts, Ended, Watcher};
use crate::config::Sweep;
use crate::files::write_atomic;
use crate::interrupt;
use crate::runs::{Column, Epochs, RunError, Status, Store, claim_sweep_folder, counted};
use jobs::Jobs;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How a sweep is run on Slurm.
#[derive(Clone, Debug)]
pub struct SlurmOptions {
    pub store: Store,
    /// The folder of datasets.
    pub cache: PathBuf,
    /// `strata sweep FILE …` as a shell reads it; `--point KEY` is added.
    pub command: String,
    /// Tasks that run at once; all if `None`.
    pub at_once: Option<usize>,
    /// Further options of `sbatch`.
    pub sbatch: Vec<String>,
    /// How often a failed point is submitted again.
    pub retries: usize,
    pub poll: Duration,
    /// Cancel the jobs on Ctrl-C, instead of leaving them in the queue.
    pub cancel: bool,
}

/// Polls for which a task may be gone from the queue before its result is seen: file systems of clusters are read with a delay.
const GRACE: u32 = 3;

struct Driver<'a> {
    sweep: &'a Sweep,
    options: &'a SlurmOptions,
    jobs: Jobs<'a>,
    finished: Finished,
    rungs: Option<Rungs<'a>>,
    folder: PathBuf,
    points: Vec<Watched>,
    done: usize,
    failed: Vec<(usize, Failure)>,
    stopped: usize,
}

/// The state of a point.
#[derive(Clone, Default)]
struct Watched {
    attempts: usize,
    /// The epoch that it was submitted to stop after.
    until: Option<usize>,
    /// When it was first missing from the queue without a result.
    missing: Option<Instant>,
    /// The progress bar, while it runs.
    slot: Option<usize>,
    epochs: usize,
    settled: bool,
}

/// Submits every point that is not finished, and waits for all of them.
///
/// # Errors
/// When the tables cannot be written, or Slurm refuses the jobs.
pub fn run_on_slurm(sweep: &Sweep, options: &SlurmOptions, watcher: &mut dyn Watcher) -> Result<Report, SweepError> {
    let _deferred = interrupt::defer();
    let folder = claim_sweep_folder(&options.store, sweep)?;
    let points = folder.join("points");
    std::fs::create_dir_all(&points).map_err(RunError::io("make", &points))?;
    let mut driver = Driver {
        sweep,
        options,
        jobs: Jobs::new(sweep, &options.sbatch, options.at_once),
        finished: Finished::new(options.store.clone(), options.cache.clone()),
        rungs: Rungs::new(sweep),
        folder,
        points: vec![Watched::default(); sweep.points.len()],
        done: 0,
        failed: Vec::new(),
        stopped: 0,
    };
    driver.watch(watcher)?;
    let tables = driver.write_tables()?;
    let left = sweep.points.len() - driver.done - driver.failed.len() - driver.stopped;
    driver.failed.sort_by_key(|(point, _)| *point);
    let Driver { done, failed, stopped, .. } = driver;
    Ok(Report { failed, done, stopped, left, interrupted: interrupt::requested(), tables })
}

impl Driver<'_> {
    fn watch(&mut self, watcher: &mut dyn Watcher) -> Result<(), SweepError> {
        let mut first = true;
        loop {
            let queue = match self.jobs.queued() {
                Ok(queue) => queue,
                Err(error) if first => return Err(error.into()),
                Err(error) => {
                    // The controller restarts now and then, and its jobs go on.
                    watcher.note(&format!("{error}; trying again"));
                    if interrupt::requested() {
                        return Ok(());
                    }
                    self.pause();
                    continue;
                }
            };
            let settled = self.settle(&queue, first, watcher);
            self.progress(&queue, watcher);
            if settled > 0 || first {
                self.write_tables()?;
            }
            let wanted = self.wanted()?;
            if first && !queue.is_empty() {
                watcher.note(&format!("{} of its points are in Slurm's queue already", queue.len()));
            }
            if interrupt::requested() {
                return self.leave(watcher);
            }
            // A point that ended after `settle` is neither wanted nor counted yet.
            if wanted.is_empty() && self.settle(&queue, false, watcher) == 0 {
                return Ok(());
            }
            self.submit(&wanted, &queue, watcher)?;
            self.count(&queue, wanted.len(), watcher);
            first = false;
            self.pause();
        }
    }

    /// Waits for the next poll.
    fn pause(&self) {
        let start = Instant::now();
        while start.elapsed() < self.options.poll && !interrupt::requested() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Handles the points that have ended, with `quietly` without messages. Returns their number.
    fn settle(&mut self, queue: &HashMap<usize, bool>, quietly: bool, watcher: &mut dyn Watcher) -> usize {
        let mut settled = 0;
        for point in 0..self.points.len() {
            if self.points[point].settled {
                continue;
            }
            let Some(record) = self.finished.record(&self.sweep.points[point]) else { continue };
            let outcome = match record.status() {
                Some(Status::Done) => PointOutcome::Done,
                _ => PointOutcome::Diverged,
            };
            self.points[point].settled = true;
            settled += 1;
            match outcome {
                PointOutcome::Done => self.done += 1,
                _ => self.failed.push((point, Failure::Diverged)),
            }
            if !quietly || queue.contains_key(&point) {
                let slot = self.points[point].slot.take().unwrap_or(usize::MAX);
                watcher.ended(point, slot, &Ended { outcome, record, log: self.log(point) });
            }
        }
        if quietly && self.done > 0 {
            watcher.note(&format!("{} of {} finished before", self.done, counted(self.points.len(), "point")));
        }
        settled
    }

    /// Reports starts and epochs of the points that run.
    fn progress(&mut self, queue: &HashMap<usize, bool>, watcher: &mut dyn Watcher) {
        for point in 0..self.points.len() {
            let runs = queue.get(&point) == Some(&true) && !self.points[point].settled;
            if !runs {
                self.points[point].slot = None;
                continue;
            }
            let taken: Vec<usize> = self.points.iter().filter_map(|point| point.slot).collect();
            let epochs = self.sweep.points[point].experiment.train.epochs;
            let watched = &mut self.points[point];
            if watched.slot.is_none() {
                watched.slot = (0..).find(|slot| !taken.contains(slot));
                watcher.started(point, watched.slot.unwrap_or_default());
            }
            let slot = watched.slot.unwrap_or_default();
            let folder = self.options.store.folder_of(&self.sweep.points[point]);
            let rows = Epochs::find(&folder).ok().flatten().unwrap_or_default();
            if let Some(row) = rows.last().filter(|row| row.epoch > watched.epochs) {
                watched.epochs = row.epoch;
                watcher.event(point, slot, &Event::Epoch { epoch: row.epoch, epochs, val_top1: Some(row.val_top1) });
            }
        }
    }

    /// The points that are to run, each with the epoch to stop after.
    fn wanted(&mut self) -> Result<Vec<(usize, Option<usize>)>, SweepError> {
        let failed: Vec<usize> = self.failed.iter().map(|(point, _)| *point).collect();
        let open = |points: &[Watched], point: usize| !points[point].settled && !failed.contains(&point);
        let store = &self.options.store;
        let Some(rungs) = &mut self.rungs else {
            return Ok((0..self.points.len())
                .filter(|&point| open(&self.points, point))
                .map(|point| (point, None))
                .collect());
        };
        let goals = rungs.goals(store, &failed);
        rungs.write(&self.folder)?;
        let goals = goals.into_iter().enumerate().filter(|(point, _)| open(&self.points, *point));
        let mut wanted = Vec::new();
        self.stopped = 0;
        for (point, goal) in goals {
            match goal {
                Goal::Epoch(rung) => wanted.push((point, rung)),
                Goal::Stop => self.stopped += 1,
                Goal::Wait => {}
            }
        }
        Ok(wanted)
    }

    /// Submits the points that are not in the queue. One that left it without a result is submitted again, or given up.
    fn submit(
        &mut self,
        wanted: &[(usize, Option<usize>)],
        queue: &HashMap<usize, bool>,
        watcher: &mut dyn Watcher,
    ) -> Result<(), SweepError> {
        let mut batches: Vec<(Option<usize>, Vec<usize>)> = Vec::new();
        for &(point, until) in wanted {
            if queue.contains_key(&point) {
                self.points[point].missing = None;
                if self.points[point].attempts == 0 {
                    // Submitted by an earlier process.
                    self.points[point].attempts = 1;
                    self.points[point].until = until;
                }
                continue;
            }
            if self.points[point].attempts > 0 && !self.is_given_back(point, until, watcher) {
                continue;
            }
            self.points[point].missing = None;
            self.points[point].attempts += 1;
            self.points[point].until = until;
            match batches.iter_mut().find(|(other, _)| *other == until) {
                Some((_, points)) => points.push(point),
                None => batches.push((until, vec![point])),
            }
        }
        let output = self.folder.join("points");
        let output = std::path::absolute(&output).map_err(RunError::io("find", &output))?;
        let keys = output.join("keys.txt");
        if !batches.is_empty() {
            let text: String = self.sweep.points.iter().map(|point| format!("{}\n", point.key.short())).collect();
            write_atomic(&keys, text.as_bytes()).map_err(RunError::io("write", &keys))?;
        }
        for (until, points) in batches {
            self.jobs.submit(&points, &script(&self.options.command, &keys, until), &output)?;
            watcher.note(&format!("submitted {}", counted(points.len(), "point")));
        }
        Ok(())
    }

    /// Whether a point that left the queue without a result may be submitted again, up to the epoch `until`.
    fn is_given_back(&mut self, point: usize, until: Option<usize>, watcher: &mut dyn Watcher) -> bool {
        let record = self.options.store.record_of(&self.sweep.points[point]).unwrap_or_default();
        let epochs = record.number(Column::Epochs).unwrap_or_default();
        if self.points[point].until.is_some_and(|rung| epochs >= rung as f64) {
            // It may have reached this very rung after `until` was chosen: the next poll finds another one.
            if self.points[point].until == until {
                return false;
            }
            self.points[point].attempts = 0;
            return true;
        }
        let missing = *self.points[point].missing.get_or_insert_with(Instant::now);
        if missing.elapsed() < self.options.poll * GRACE {
            return false;
        }
        let reason =
            format!("left Slurm's queue without a result; see {}/slurm-*.out", self.folder.join("points").display());
        let retry = self.points[point].attempts <= self.options.retries;
        let outcome = if retry { PointOutcome::Retry(reason) } else { PointOutcome::Failed(reason.clone()) };
        let ended = Ended { outcome: outcome.clone(), record, log: self.log(point) };
        watcher.ended(point, usize::MAX, &ended);
        if let PointOutcome::Failed(reason) = outcome {
            self.failed.push((point, Failure::Failed(reason)));
        }
        retry
    }

    fn count(&self, queue: &HashMap<usize, bool>, wanted: usize, watcher: &mut dyn Watcher) {
        let diverged = self.failed.iter().filter(|(_, failure)| *failure == Failure::Diverged).count();
        let running = queue.values().filter(|runs| **runs).count();
        watcher.counts(&Counts {
            done: self.done,
            failed: self.failed.len() - diverged,
            diverged,
            running,
            left: wanted.saturating_sub(running),
            held: 0,
            seconds_left: None,
        });
    }

    fn leave(&self, watcher: &mut dyn Watcher) -> Result<(), SweepError> {
        if !self.options.cancel {
            watcher.note(&format!(
                "the jobs stay in the queue: the same command follows them, and `scancel --name={}` cancels them",
                self.jobs.names()
            ));
            return Ok(());
        }
        watcher.note("cancelling the jobs; running points finish their step and save");
        self.jobs.cancel()?;
        let start = Instant::now();
        // Slurm's KillWait is 30 s.
        while start.elapsed() < Duration::from_secs(60) && self.jobs.queued().is_ok_and(|queue| !queue.is_empty()) {
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    fn log(&self, point: usize) -> PathBuf {
        self.folder.join("points").join(format!("{}.log", self.sweep.points[point].key))
    }

    fn write_tables(&self) -> Result<SweepTables, RunError> {
        let failed: Vec<usize> = self.failed.iter().map(|(point, _)| *point).collect();
        write_tables(&self.options.store, self.sweep, &failed)
    }
}

/// The batch script of an array: runs the point whose key is in line `index` of `keys`.
fn script(command: &str, keys: &Path, until: Option<usize>) -> String {
    let until = until.map_or_else(String::new, |epoch| format!(" --until {epoch}"));
    let keys = keys.display();
    format!(
        "key=$(sed -n \"$((index + 1))p\" '{keys}')\n\
         srun --ntasks=1 ${{SLURM_CPUS_PER_TASK:+--cpus-per-task=$SLURM_CPUS_PER_TASK}} {command} --point \"$key\"{until}\n\
         code=$?\n\
         # Stopped by SIGUSR1 before the time limit, and saved: back into the queue.\n\
         if [ $code = 130 ]; then scontrol requeue \"${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID\"; fi\n\
         exit $code\n"
    )
}
