//! The main loop of a sweep.

use super::child::Job;
use super::estimate::Estimates;
use super::event::Event;
use super::finished::Finished;
use super::halving::{Goal, Rungs};
use super::outcome::{Exit, PointOutcome};
use super::progress::Progress;
use super::report::{Report, SweepError};
use super::state::{Failure, Options, POLL_INTERVAL, Runner, Running};
use super::tables::{SweepTables, write_tables};
use super::{Ended, Watcher};
use crate::config::Sweep;
use crate::files::write_atomic;
use crate::interrupt;
use crate::runs::{Column, RunError, Status, claim_sweep_folder, sweep_folder};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long to wait for an event before looking for processes that have ended.
const TICK: Duration = Duration::from_millis(25);

/// Runs every point that is not finished.
///
/// # Errors
/// When the tables or the files of points cannot be written. Running points are stopped and saved first.
pub fn run(sweep: &Sweep, options: &Options, watcher: &mut dyn Watcher) -> Result<Report, SweepError> {
    let (sender, events) = channel();
    let finished = Finished::new(options.store.clone(), options.cache.clone());
    let finished = if options.skip_recorded { finished.or_recorded(sweep) } else { finished };
    let mut runner = Runner {
        sweep,
        options,
        watcher,
        queue: options.only.map_or_else(|| (0..sweep.points.len()).collect(), |point| [point].into()),
        running: Vec::new(),
        held: Vec::new(),
        finished,
        rungs: if options.only.is_some() { None } else { Rungs::new(sweep) },
        targets: vec![options.until; sweep.points.len()],
        stopped: 0,
        attempts: vec![0; sweep.points.len()],
        done: 0,
        failed: Vec::new(),
        stopping: false,
        reported_waiting: false,
        polled: Instant::now(),
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
        self.set_goals()?;
        self.write_tables()?;
        self.estimates = Estimates::read(&self.options.store, self.sweep, self.device());
        self.poll();
        while !(self.running.is_empty() && (self.stopping || self.queue.is_empty() && self.held.is_empty())) {
            if interrupt::requested() && !self.stopping {
                self.stopping = true;
                self.watcher.note("running points finish their step and save");
            }
            if self.stopping {
                self.running.iter_mut().for_each(|running| running.job.stop());
            } else {
                self.fill()?;
            }
            match self.events.recv_timeout(TICK) {
                Ok(event) => self.event(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            while let Ok(event) = self.events.try_recv() {
                self.event(event);
            }
            self.reap()?;
            if self.polled.elapsed() >= POLL_INTERVAL {
                self.poll();
            }
        }
        let tables = self.write_tables()?;
        let left = self.total() - self.done - self.failed.len() - self.stopped;
        self.failed.sort_by_key(|(point, _)| *point);
        let failed = std::mem::take(&mut self.failed);
        Ok(Report { failed, done: self.done, stopped: self.stopped, left, interrupted: interrupt::requested(), tables })
    }

    /// Number of points to run.
    pub(super) fn total(&self) -> usize {
        if self.options.only.is_some() { 1 } else { self.sweep.points.len() }
    }

    /// Whether a point has come to the epoch of a rung.
    fn has_reached(&mut self, point: usize, rung: usize) -> bool {
        let (store, sweep) = (&self.options.store, self.sweep);
        match &mut self.rungs {
            Some(rungs) => rungs.has_reached(point, rung, store),
            None => {
                let epochs = store.record_of(&sweep.points[point]).and_then(|record| record.number(Column::Epochs));
                epochs.is_some_and(|epochs| epochs >= rung as f64)
            }
        }
    }

    /// With halving, queues the points that have a rung to reach, those of higher rungs first.
    fn set_goals(&mut self) -> Result<(), RunError> {
        let Some(rungs) = &mut self.rungs else { return Ok(()) };
        let (store, points) = (&self.options.store, self.sweep.points.len());
        let ended = |point: usize| self.failed.iter().any(|(failed, _)| *failed == point);
        let failed: Vec<usize> = (0..points).filter(|&point| ended(point)).collect();
        let goals = rungs.goals(store, &failed);
        rungs.write(&sweep_folder(store, self.sweep))?;
        let is_done = |point: usize| {
            let record = self.finished.record(&self.sweep.points[point]);
            record.is_some_and(|record| record.status() == Some(Status::Done))
        };
        let busy =
            |point: usize| self.held.contains(&point) || self.running.iter().any(|running| running.job.point == point);
        self.stopped = 0;
        let mut queue = Vec::new();
        for (point, goal) in goals.into_iter().enumerate().filter(|(point, _)| !ended(*point) && !is_done(*point)) {
            match goal {
                Goal::Stop => self.stopped += 1,
                Goal::Epoch(rung) if !busy(point) => {
                    self.targets[point] = rung;
                    queue.push(point);
                }
                Goal::Epoch(_) | Goal::Wait => {}
            }
        }
        let rank = |rung: Option<usize>| std::cmp::Reverse(rung.unwrap_or(usize::MAX));
        queue.sort_by_key(|&point| (self.attempts[point], rank(self.targets[point])));
        self.queue = queue.into();
        Ok(())
    }

    /// The kind of device, on which estimates depend.
    pub(super) fn device(&self) -> &'static str {
        let first = self.options.devices.first();
        if first.is_some_and(|device| device.starts_with("cuda")) { "cuda" } else { "cpu" }
    }

    /// Starts points while jobs are free.
    fn fill(&mut self) -> Result<(), SweepError> {
        while self.running.len() < self.options.jobs && !self.stopping {
            let Some(point) = self.queue.pop_front() else { return Ok(()) };
            // Another sweep may have run it meanwhile.
            let record = self.finished.record(&self.sweep.points[point]).unwrap_or_default();
            let elsewhere = match (record.status(), self.targets[point]) {
                (Some(Status::Done), _) => Some(PointOutcome::Done),
                (Some(Status::Diverged), _) => Some(PointOutcome::Diverged),
                (_, Some(rung)) if self.has_reached(point, rung) => Some(PointOutcome::Rung(rung)),
                _ => None,
            };
            match elsewhere {
                Some(outcome) => {
                    self.watcher.ended_elsewhere(point, &outcome);
                    self.settle(point, &outcome)?;
                    self.estimates.learn(&record, self.device());
                }
                None if self.options.store.locked_by(&self.sweep.points[point]).is_some() => self.held.push(point),
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
        write_atomic(&file, it.experiment.to_toml().to_string().as_bytes()).map_err(RunError::io("write", &file))?;
        let mut arguments = options.arguments.clone();
        if let Some(threads) = options.threads {
            arguments.extend(["--threads".into(), threads.to_string().into()]);
        }
        if let Some(device) = options.devices.get(slot % options.devices.len().max(1)) {
            arguments.extend(["--device".into(), device.into()]);
        }
        let until = self.targets[point];
        if let Some(epoch) = until {
            arguments.extend(["--until".into(), epoch.to_string().into()]);
        }
        let log = folder.join(format!("{}.log", it.key));
        self.attempts[point] += 1;
        match Job::start(&options.program, &file, &arguments, (point, slot), log.clone(), self.sender.clone()) {
            Ok(job) => {
                self.running.push(Running { job, progress: Progress::default(), until });
                self.watcher.started(point, slot);
                Ok(())
            }
            Err(error) => {
                let exit = Exit { code: Some(1), words: String::new() };
                let mut outcome = PointOutcome::of(&exit, None, None, self.attempts_left(point), false);
                if let PointOutcome::Retry(reason) | PointOutcome::Failed(reason) = &mut outcome {
                    *reason = format!("cannot be started: {error}");
                }
                self.end(point, slot, outcome, log)
            }
        }
    }

    fn attempts_left(&self, point: usize) -> usize {
        (1 + self.options.retries).saturating_sub(self.attempts[point])
    }

    fn event(&mut self, (point, slot, event): (usize, usize, Event)) {
        if let Some(running) = self.running.iter_mut().find(|running| running.job.point == point) {
            running.progress.update(&event);
        }
        if let Event::Note { text } = &event {
            self.watcher.note(&format!("{}: {text}", self.sweep.label(point)));
        }
        self.watcher.event(point, slot, &event);
    }

    /// Handles processes that have ended.
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
            let Running { job, until, .. } = self.running.remove(index);
            let rung = until.filter(|&rung| self.has_reached(job.point, rung));
            let status = self.finished.record(&self.sweep.points[job.point]).and_then(|record| record.status());
            // A scheduler's signal reaches the points as well, which may end before this process looks at it.
            let stopping = self.stopping || interrupt::requested();
            let mut outcome = PointOutcome::of(&exit, status, rung, self.attempts_left(job.point), stopping);
            if let PointOutcome::Retry(reason) | PointOutcome::Failed(reason) = &mut outcome {
                let output = job.last_output();
                if !output.is_empty() {
                    reason.push_str(&format!("; its last output:\n    {}", output.replace('\n', "\n    ")));
                }
            }
            self.end(job.point, job.slot, outcome, job.log.clone())?;
        }
        Ok(())
    }

    fn end(&mut self, point: usize, slot: usize, outcome: PointOutcome, log: PathBuf) -> Result<(), SweepError> {
        let record = self.options.store.record_of(&self.sweep.points[point]).unwrap_or_default();
        if outcome == PointOutcome::Done {
            self.estimates.learn(&record, self.device());
        }
        self.watcher.ended(point, slot, &Ended { outcome: outcome.clone(), record, log });
        self.settle(point, &outcome)
    }

    /// Records the outcome of a point and writes the tables.
    fn settle(&mut self, point: usize, outcome: &PointOutcome) -> Result<(), SweepError> {
        match outcome {
            PointOutcome::Done => self.done += 1,
            PointOutcome::Diverged => self.failed.push((point, Failure::Diverged)),
            PointOutcome::Failed(reason) => self.failed.push((point, Failure::Failed(reason.clone()))),
            // Retried after all others: the cause may have disappeared by then.
            PointOutcome::Retry(_) => self.queue.push_back(point),
            PointOutcome::Held => {
                self.attempts[point] = self.attempts[point].saturating_sub(1);
                self.held.push(point);
            }
            PointOutcome::Stopped => {}
            PointOutcome::Rung(_) => self.attempts[point] = 0,
        }
        self.set_goals()?;
        if self.options.fail_fast && !self.failed.is_empty() {
            self.stopping = true;
        }
        if !matches!(outcome, PointOutcome::Held) {
            self.write_tables()?;
            self.poll();
        }
        Ok(())
    }

    fn write_tables(&self) -> Result<SweepTables, RunError> {
        let failed: Vec<usize> = self.failed.iter().map(|(point, _)| *point).collect();
        write_tables(&self.options.store, self.sweep, &failed)
    }

    /// Stops all processes and waits for them.
    fn abandon(&mut self) {
        for Running { job, .. } in &mut self.running {
            job.stop();
            while matches!(job.ended(), Ok(None)) {
                std::thread::sleep(TICK);
            }
        }
    }
}
