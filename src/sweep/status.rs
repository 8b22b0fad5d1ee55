//! The status of a sweep: points finished earlier, points locked by others, the time left.

use super::Counts;
use super::state::{Failure, Runner, Running};
use crate::runs::{Status, counted};
use std::time::Instant;

impl Runner<'_> {
    /// Removes the points from the queue that earlier sweeps finished.
    pub(super) fn skip_finished(&mut self) {
        let points = &self.sweep.points;
        let mut diverged = Vec::new();
        self.queue.retain(|&point| {
            let record = self.finished.record(&points[point]).unwrap_or_default();
            match record.status() {
                Some(Status::Done) => self.done += 1,
                Some(Status::Diverged) => diverged.push(point),
                _ => return true,
            }
            false
        });
        if self.done > 0 {
            self.watcher.note(&format!("{} of {} finished before", self.done, counted(self.total(), "point")));
        }
        for point in diverged {
            let label = self.sweep.label(point);
            let again = match self.finished.recorded(&points[point]) {
                Some(_) => "the sweep without --skip-recorded",
                None => "`strata train --force` on its points/ file",
            };
            self.watcher.note(&format!("{label} diverged before; {again} runs it again"));
            self.failed.push((point, Failure::Diverged));
        }
    }

    /// Polls the locks of other processes, and reports counts and the time left.
    pub(super) fn poll(&mut self) {
        self.polled = Instant::now();
        let (store, sweep) = (&self.options.store, self.sweep);
        let free: Vec<usize> =
            self.held.iter().copied().filter(|&point| store.locked_by(&sweep.points[point]).is_none()).collect();
        self.held.retain(|point| !free.contains(point));
        free.into_iter().for_each(|point| self.queue.push_front(point));
        if self.queue.is_empty() && self.running.is_empty() && !self.held.is_empty() && !self.reported_waiting {
            self.reported_waiting = true;
            self.watcher.note(&match self.held.len() {
                1 => "waiting for 1 point that is locked by another process".to_owned(),
                count => format!("waiting for {count} points that are locked by other processes"),
            });
        }
        self.estimate();
        let diverged = self.failed.iter().filter(|(_, failure)| *failure == Failure::Diverged).count();
        self.watcher.counts(&Counts {
            done: self.done,
            failed: self.failed.len() - diverged,
            diverged,
            running: self.running.len(),
            left: self.queue.len(),
            held: self.held.len(),
            seconds_left: self.seconds_left,
        });
    }

    fn estimate(&mut self) {
        let mut running = Vec::with_capacity(self.running.len());
        for Running { job, progress, .. } in &self.running {
            let (elapsed, point) = (job.started.elapsed().as_secs_f64(), &self.sweep.points[job.point]);
            // The first steps say little about the rest.
            if progress.done() > 0.02 {
                self.estimates.add_running(point, progress.done(), elapsed);
                running.push(Some(elapsed * progress.left() / progress.done()));
            } else {
                running
                    .push(self.estimates.seconds(point).map(|seconds| (seconds * progress.left() - elapsed).max(0.0)));
            }
        }
        let queued = self.queue.iter().map(|&point| self.estimates.seconds(&self.sweep.points[point]));
        let all: Option<Vec<f64>> = running.iter().copied().chain(queued).collect();
        let longest = running.iter().flatten().copied().fold(0.0, f64::max);
        self.seconds_left = all.map(|all| (all.iter().sum::<f64>() / self.options.jobs as f64).max(longest));
    }
}
