//! The loop of a sweep: what starts next, what an end means, who else is at work.

use super::child::Job;
use super::estimate::Estimates;
use super::event::Event;
use super::finished::Finished;
use super::progress::Progress;
use super::state::{Failure, LOOK, Options, Runner, Running};
use super::tables::{SweepTables, write_tables};
use super::verdict::{Exit, Verdict, verdict};
use super::{Ended, Watcher};
use crate::config::Sweep;
use crate::files::write_whole;
use crate::interrupt;
use crate::runs::{Record, RunError, Status, claim_sweep_folder, sweep_folder};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How a sweep ended.
#[derive(Debug)]
pub struct Report {
    /// Points that failed or diverged, each with the reason.
    pub failed: Vec<(usize, Failure)>,
    pub done: usize,
    /// Points that have not run to their end.
    pub left: usize,
    /// Stopped by a signal.
    pub interrupted: bool,
    pub tables: SweepTables,
}

impl Report {
    /// How many of the `failed` diverged.
    pub fn diverged(&self) -> usize {
        self.failed.iter().filter(|(_, failure)| *failure == Failure::Diverged).count()
    }
}

/// Why a sweep cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error(transparent)]
    Run(#[from] RunError),
}

/// How often ends are looked for while no event comes.
const TICK: Duration = Duration::from_millis(25);

/// Runs every point that is not finished.
///
/// # Errors
/// When the tables or the files of points cannot be written; points that run are stopped first, and saved.
pub fn run(sweep: &Sweep, options: &Options, watcher: &mut dyn Watcher) -> Result<Report, SweepError> {
    let (sender, events) = channel();
    let mut runner = Runner {
        sweep,
        options,
        watcher,
        queue: (0..sweep.points.len()).collect(),
        running: Vec::new(),
        held: Vec::new(),
        finished: Finished::new(options.store.clone(), options.cache.clone()),
        attempts: vec![0; sweep.points.len()],
        done: 0,
        failed: Vec::new(),
        stopping: false,
        waiting_said: false,
        looked: Instant::now(),
        estimates: Estimates::default(),
        seconds_left: None,
        sender,
        events,
    };
    let result = runner.go();
    if result.is_err() {
        runner.abandon();
    }
    result
}

impl Runner<'_> {
    fn go(&mut self) -> Result<Report, SweepError> {
        let _deferred = interrupt::defer();
        let points = claim_sweep_folder(&self.options.store, self.sweep)?.join("points");
        std::fs::create_dir_all(&points).map_err(RunError::io("make", &points))?;
        self.skip_finished();
        self.write_tables()?;
        self.estimates = Estimates::read(&self.options.store, self.sweep, self.device());
        self.look();
        while !(self.running.is_empty() && (self.stopping || self.queue.is_empty() && self.held.is_empty())) {
            if interrupt::requested() && !self.stopping {
                self.stopping = true;
                self.watcher.note("the points that run finish their step and save");
            }
            if self.stopping {
                self.running.iter_mut().for_each(|running| running.job.stop());
            } else {
                self.fill()?;
            }
            match self.events.recv_timeout(TICK) {
                Ok(event) => self.told(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            while let Ok(event) = self.events.try_recv() {
                self.told(event);
            }
            self.reap()?;
            if self.looked.elapsed() >= LOOK {
                self.look();
            }
        }
        let tables = self.write_tables()?;
        let left = self.sweep.points.len() - self.done - self.failed.len();
        self.failed.sort_by_key(|(point, _)| *point);
        let failed = std::mem::take(&mut self.failed);
        Ok(Report { failed, done: self.done, left, interrupted: interrupt::requested(), tables })
    }

    /// What estimates go by.
    pub(super) fn device(&self) -> &'static str {
        let first = self.options.devices.first();
        if first.is_some_and(|device| device.starts_with("cuda")) { "cuda" } else { "cpu" }
    }

    /// Starts points while there is room.
    fn fill(&mut self) -> Result<(), SweepError> {
        while self.running.len() < self.options.jobs && !self.stopping {
            let Some(point) = self.queue.pop_front() else { return Ok(()) };
            let (store, of_sweep) = (&self.options.store, &self.sweep.points[point]);
            // Another sweep may have come to it since.
            let summary = self.finished.record(of_sweep).unwrap_or_default();
            let elsewhere = match summary.status() {
                Some(Status::Done) => Some(Verdict::Done),
                Some(Status::Diverged) => Some(Verdict::Diverged),
                _ => None,
            };
            match elsewhere {
                Some(verdict) => {
                    self.watcher.ended_elsewhere(point, &verdict);
                    self.settle(point, &verdict)?;
                    self.estimates.learn(&summary, self.device());
                }
                None if store.locked_by(of_sweep).is_some() => self.held.push(point),
                None => self.start(point)?,
            }
        }
        Ok(())
    }

    fn start(&mut self, point: usize) -> Result<(), SweepError> {
        let options = self.options;
        let taken = |slot: &usize| !self.running.iter().any(|running| running.job.slot == *slot);
        let slot = (0..options.jobs).find(taken).unwrap_or(0);
        let folder = sweep_folder(&options.store, self.sweep).join("points");
        let Some(it) = self.sweep.points.get(point) else { return Ok(()) };
        let file = folder.join(format!("{}.toml", it.key));
        write_whole(&file, it.experiment.to_toml().to_string().as_bytes()).map_err(RunError::io("write", &file))?;
        let mut arguments = options.arguments.clone();
        if let Some(threads) = options.threads {
            arguments.extend(["--threads".into(), threads.to_string().into()]);
        }
        if let Some(device) = options.devices.get(slot % options.devices.len().max(1)) {
            arguments.extend(["--device".into(), device.into()]);
        }
        let log = folder.join(format!("{}.log", it.key));
        self.attempts[point] += 1;
        match Job::start(&options.program, &file, &arguments, (point, slot), log.clone(), self.sender.clone()) {
            Ok(job) => {
                self.running.push(Running { job, progress: Progress::default() });
                self.watcher.started(point, slot);
                Ok(())
            }
            Err(error) => {
                let exit = Exit { code: Some(1), words: String::new() };
                let mut verdict = verdict(&exit, None, self.attempts_left(point), false);
                if let Verdict::Retry(reason) | Verdict::Failed(reason) = &mut verdict {
                    *reason = format!("cannot be started: {error}");
                }
                self.end(point, slot, verdict, log)
            }
        }
    }

    fn attempts_left(&self, point: usize) -> usize {
        (1 + self.options.retries).saturating_sub(self.attempts[point])
    }

    fn told(&mut self, (point, slot, event): (usize, usize, Event)) {
        if let Some(running) = self.running.iter_mut().find(|running| running.job.point == point) {
            running.progress.take(&event);
        }
        if let Event::Note { text } = &event {
            self.watcher.note(&format!("{}: {text}", self.sweep.label(point)));
        }
        self.watcher.told(point, slot, &event);
    }

    /// Takes in the points whose process has ended.
    fn reap(&mut self) -> Result<(), SweepError> {
        let mut index = 0;
        while index < self.running.len() {
            let ended = self.running[index].job.ended();
            let exit = match ended {
                Ok(None) => {
                    index += 1;
                    continue;
                }
                Ok(Some(exit)) => exit,
                Err(error) => Exit { code: None, words: format!("process that cannot be waited for: {error}") },
            };
            let Running { job, .. } = self.running.remove(index);
            let summary = self.finished.record(&self.sweep.points[job.point]);
            let status = summary.as_ref().and_then(Record::status);
            let mut verdict = verdict(&exit, status, self.attempts_left(job.point), self.stopping);
            if let Verdict::Retry(reason) | Verdict::Failed(reason) = &mut verdict {
                let words = job.last_words();
                if !words.is_empty() {
                    reason.push_str(&format!("; the last it said:\n    {}", words.replace('\n', "\n    ")));
                }
            }
            self.end(job.point, job.slot, verdict, job.log.clone())?;
        }
        Ok(())
    }

    fn end(&mut self, point: usize, slot: usize, verdict: Verdict, log: PathBuf) -> Result<(), SweepError> {
        let summary = self.options.store.record_of(&self.sweep.points[point]).unwrap_or_default();
        if verdict == Verdict::Done {
            self.estimates.learn(&summary, self.device());
        }
        self.watcher.ended(point, slot, &Ended { verdict: verdict.clone(), summary, log });
        self.settle(point, &verdict)
    }

    /// Enters a point's end into the books, and writes the tables.
    fn settle(&mut self, point: usize, verdict: &Verdict) -> Result<(), SweepError> {
        match verdict {
            Verdict::Done => self.done += 1,
            Verdict::Diverged => self.failed.push((point, Failure::Diverged)),
            Verdict::Failed(reason) => self.failed.push((point, Failure::Failed(reason.clone()))),
            // A point that failed waits for the others: what was wrong may have passed by then.
            Verdict::Retry(_) => self.queue.push_back(point),
            Verdict::Held => {
                self.attempts[point] = self.attempts[point].saturating_sub(1);
                self.held.push(point);
            }
            Verdict::Stopped => {}
        }
        if self.options.fail_fast && !self.failed.is_empty() {
            self.stopping = true;
        }
        if !matches!(verdict, Verdict::Held) {
            self.write_tables()?;
            self.look();
        }
        Ok(())
    }

    fn write_tables(&self) -> Result<SweepTables, RunError> {
        let failed: Vec<usize> = self.failed.iter().map(|(point, _)| *point).collect();
        write_tables(&self.options.store, self.sweep, &failed)
    }

    /// Stops what runs and waits for it.
    fn abandon(&mut self) {
        for Running { job, .. } in &mut self.running {
            job.stop();
            while matches!(job.ended(), Ok(None)) {
                std::thread::sleep(TICK);
            }
        }
    }
}
