//! Shows a sweep: on a terminal a progress bar for the sweep and one for each running point, elsewhere a plain line whenever a point
//! starts or ends.

use super::bars::{self, Templates};
use super::epoch_table::{folded, percent, terminal_width};
use indicatif::{MultiProgress, ProgressBar};
use std::io::IsTerminal;
use std::time::Duration;
use strata::config::Sweep;
use strata::emit;
use strata::runs::{Column, counted, duration};
use strata::sweep::event::Event;
use strata::sweep::{Counts, Ended, PointOutcome, Watcher};

pub(super) struct SweepView<'a> {
    sweep: &'a Sweep,
    /// Number of points to run.
    total: usize,
    quiet: bool,
    settled: usize,
    live: Option<Live>,
}

/// The line of the whole sweep.
const WHOLE: &Templates = &[(100, "{bar:20.cyan/blue} {wide_msg} {elapsed:>6} elapsed"), (0, "{wide_msg}")];
/// The line of a running point: how far it is, then its settings, of which a narrow terminal cuts the end.
const JOB: &Templates = &[(80, "  {bar:16.green/blue} {wide_msg}"), (0, "  {wide_msg}")];

/// The progress bars on a terminal.
struct Live {
    whole: ProgressBar,
    /// A bar for each job.
    jobs: Vec<ProgressBar>,
}

impl<'a> SweepView<'a> {
    pub(super) fn new(sweep: &'a Sweep, total: usize, jobs: usize, quiet: bool) -> SweepView<'a> {
        let live = (!quiet && std::io::stderr().is_terminal()).then(|| Live::new(total, jobs));
        SweepView { sweep, total, quiet, settled: 0, live }
    }

    pub(super) fn begin(&self, excluded: Option<&str>) {
        let excluded = excluded.map_or_else(String::new, |text| format!("; {text}"));
        self.print(&format!("{}: {}{excluded}", self.sweep.name, counted(self.total, "point")));
    }

    /// Removes the progress bars.
    pub(super) fn clear(&self) {
        if let Some(live) = &self.live {
            live.jobs.iter().for_each(ProgressBar::finish_and_clear);
            live.whole.finish_and_clear();
            bars::messages_directly();
        }
    }

    fn print(&self, text: &str) {
        if !self.quiet {
            emit(text);
        }
    }

    fn settle(&mut self, point: usize, outcome: &PointOutcome, what: &str) {
        self.settled += 1;
        let head = format!("sweep {}/{} {}:", self.settled, self.total, self.sweep.label(point));
        let phrases = head.split(' ').chain(what.split_inclusive(", "));
        let line = folded(&phrases.map(|part| part.trim_end().to_owned()).collect::<Vec<_>>(), " ", terminal_width());
        if matches!(outcome, PointOutcome::Done) { self.print(&line) } else { emit(line) }
    }
}

impl Live {
    fn new(points: usize, jobs: usize) -> Live {
        let all = MultiProgress::new();
        let bar = |length: usize, templates: &Templates| {
            let bar = all.add(ProgressBar::new(length as u64));
            bars::fit(&bar, templates);
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        };
        let whole = bar(points, WHOLE);
        let jobs = (0..jobs.min(points)).map(|_| bar(1000, JOB)).collect();
        bars::messages_above(move |print| all.suspend(print));
        Live { whole, jobs }
    }

    fn job(&self, slot: usize) -> Option<&ProgressBar> {
        self.jobs.get(slot)
    }
}

impl Watcher for SweepView<'_> {
    fn started(&mut self, point: usize, slot: usize) {
        match self.live.as_ref().and_then(|live| live.job(slot)) {
            Some(bar) => {
                bar.reset();
                bar.set_message(format!("starting · {}", short(&self.sweep.label(point))));
            }
            None => self.print(&format!("sweep: {} starts", self.sweep.label(point))),
        }
    }

    fn event(&mut self, point: usize, slot: usize, event: &Event) {
        let Some(bar) = self.live.as_ref().and_then(|live| live.job(slot)) else { return };
        bars::fit(bar, JOB);
        let label = short(&self.sweep.label(point));
        let percent = |fraction: Option<f64>| fraction.map_or_else(String::new, percent);
        match event {
            Event::Started { epochs, done_epochs, .. } if *done_epochs > 0 => {
                bar.set_message(format!("resumed after epoch {done_epochs}/{epochs} · {label}"));
            }
            Event::Step { epoch, epochs, batch, batches, loss, top1 } => {
                let done = ((epoch - 1) * batches + batch) as f64 / (epochs * batches).max(1) as f64;
                bar.set_position((1000.0 * done) as u64);
                let top1 = percent(*top1);
                let loss = match terminal_width() {
                    Some(..80) => String::new(),
                    _ => format!("loss {:.3}, ", loss.unwrap_or(f64::NAN)),
                };
                bar.set_message(format!("epoch {epoch}/{epochs}, {loss}Top-1 {top1} · {label}"));
            }
            Event::Epoch { epoch, epochs, val_top1 } => {
                let top1 = percent(*val_top1);
                bar.set_message(format!("epoch {epoch}/{epochs} done, validation Top-1 {top1} · {label}"));
            }
            _ => {}
        }
    }

    fn ended(&mut self, point: usize, slot: usize, ended: &Ended) {
        if let Some(bar) = self.live.as_ref().and_then(|live| live.job(slot)) {
            bar.set_position(0);
            bar.set_message("idle");
        }
        let label = self.sweep.label(point);
        let number = |column: Column| ended.record.number(column);
        match &ended.outcome {
            PointOutcome::Done => {
                let percent = |column| number(column).map_or_else(String::new, percent);
                let time = number(Column::Seconds).map(duration).unwrap_or_default();
                let (validation, test) = (percent(Column::ValTop1), percent(Column::TestTop1));
                let what = format!("done, validation Top-1 {validation}, test Top-1 {test}, {time}");
                self.settle(point, &PointOutcome::Done, &what);
            }
            outcome @ PointOutcome::Diverged => self.settle(point, outcome, "diverged: the loss is NaN or infinite"),
            outcome @ PointOutcome::Failed(reason) => {
                self.settle(point, outcome, &format!("FAILED: it {reason}\n  log: {}", ended.log.display()));
            }
            PointOutcome::Retry(reason) => emit(format_args!("sweep: {label} {reason}\n  it is retried later")),
            PointOutcome::Held => self.print(&format!("sweep: {label} is locked by another process; skipped for now")),
            PointOutcome::Rung(epoch) => {
                let top1 = number(Column::ValTop1).map_or_else(String::new, percent);
                self.print(&format!("sweep: {label} at the rung of epoch {epoch}, best validation Top-1 {top1}"));
            }
            PointOutcome::Stopped => self.print(&format!("sweep: {label} stopped and saved")),
        }
    }

    fn ended_elsewhere(&mut self, point: usize, outcome: &PointOutcome) {
        if let PointOutcome::Rung(_) = outcome {
            return;
        }
        let what =
            if *outcome == PointOutcome::Done { "done by another process" } else { "diverged in another process" };
        self.settle(point, outcome, what);
    }

    fn note(&mut self, text: &str) {
        self.print(&format!("sweep: {text}"));
    }

    fn counts(&mut self, counts: &Counts) {
        self.settled = counts.done + counts.failed + counts.diverged;
        let Some(live) = &self.live else { return };
        bars::fit(&live.whole, WHOLE);
        live.whole.set_position(self.settled as u64);
        live.whole.set_message(status(counts));
    }
}

/// A label with the last parts of its keys: `lr=0.1` for `train.lr=0.1`.
fn short(label: &str) -> String {
    let part = |part: &str| match part.split_once('=') {
        Some((key, value)) => format!("{}={value}", key.rsplit('.').next().unwrap_or_default()),
        None => part.to_owned(),
    };
    label.split(' ').map(part).collect::<Vec<_>>().join(" ")
}

/// The status of a sweep in a line, without zero counts except those of done, failed and running points.
fn status(counts: &Counts) -> String {
    let Counts { done, failed, diverged, running, left, held, seconds_left } = *counts;
    let some = |count: usize, what: &str| if count > 0 { format!(", {count} {what}") } else { String::new() };
    let (diverged, others) = (some(diverged, "diverged"), some(held, "locked by others"));
    let time = seconds_left.map_or_else(|| "time left unknown".to_owned(), |s| format!("about {} left", duration(s)));
    format!("{done} done{diverged}, {failed} failed, {running} running, {left} to go{others} · {time}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short() {
        assert_eq!(short("model.override.block.scale=0.3 seed=1"), "scale=0.3 seed=1");
        assert_eq!(short("s"), "s");
    }

    #[test]
    fn points_that_diverged_are_not_counted_as_failed() {
        let counts = Counts { done: 3, failed: 1, diverged: 2, running: 1, left: 5, held: 0, seconds_left: Some(45.0) };
        assert_eq!(status(&counts), "3 done, 2 diverged, 1 failed, 1 running, 5 to go · about 45 s left");
        let counts = Counts { held: 1, ..Counts::default() };
        assert_eq!(status(&counts), "0 done, 0 failed, 0 running, 0 to go, 1 locked by others · time left unknown");
    }
}
