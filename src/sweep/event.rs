//! The protocol between the process of a point and the sweep. The process writes events to standard output, one line of JSON
//! each. When its standard input closes, because the sweep stops or was killed, it stops as on Ctrl-C.

use crate::interrupt;
use crate::runs::{EpochRow, Status};
use crate::train::{Observer, Started, StepReport};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// An event. Epochs and batches are counted from 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Started {
        epochs: usize,
        done_epochs: usize,
        batches: usize,
    },
    Step {
        epoch: usize,
        epochs: usize,
        batch: usize,
        batches: usize,
        loss: Option<f64>,
        top1: Option<f64>,
    },
    Epoch {
        epoch: usize,
        epochs: usize,
        val_top1: Option<f64>,
    },
    /// A message for the user.
    Note {
        text: String,
    },
    /// The run is locked by another process.
    Held {
        by: String,
    },
    Ended {
        status: Status,
    },
}

impl Event {
    /// Writes the event to standard output, unless nobody reads it.
    pub fn emit(&self) {
        if let Ok(line) = serde_json::to_string(self) {
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    }
}

/// The shortest time between two step events.
const INTERVAL: Duration = Duration::from_secs(1);

/// Emits the events of a run, and passes them on to another observer.
pub struct Reporter<'a> {
    inner: &'a mut dyn Observer,
    epochs: usize,
    last: Option<Instant>,
}

impl<'a> Reporter<'a> {
    pub fn new(inner: &'a mut dyn Observer) -> Reporter<'a> {
        Reporter { inner, epochs: 0, last: None }
    }
}

impl Observer for Reporter<'_> {
    fn started(&mut self, run: &Started) {
        self.inner.started(run);
        self.epochs = run.epochs;
        Event::Started { epochs: run.epochs, done_epochs: run.done_epochs, batches: run.batches }.emit();
    }

    fn step(&mut self, step: &StepReport) {
        self.inner.step(step);
        if self.last.is_some_and(|last| last.elapsed() < INTERVAL) {
            return;
        }
        self.last = Some(Instant::now());
        let StepReport { epoch, batch, batches, loss, top1, .. } = *step;
        Event::Step { epoch, epochs: self.epochs, batch, batches, loss: Some(loss), top1: Some(top1) }.emit();
    }

    fn epoch(&mut self, row: &EpochRow, is_best: bool) {
        self.inner.epoch(row, is_best);
        Event::Epoch { epoch: row.epoch, epochs: self.epochs, val_top1: Some(row.val_top1) }.emit();
    }

    fn note(&mut self, text: &str) {
        self.inner.note(text);
        Event::Note { text: text.to_owned() }.emit();
    }
}

/// Starts a thread that requests a stop when standard input closes.
pub fn stop_with_stdin() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        interrupt::request();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_serialisation() {
        let step = Event::Step { epoch: 1, epochs: 2, batch: 3, batches: 4, loss: Some(0.1 + 0.2), top1: None };
        for event in [step, Event::Held { by: "process 7".to_owned() }] {
            let line = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event, "{line}");
        }
        // JSON has no NaN.
        let nan = Event::Epoch { epoch: 1, epochs: 1, val_top1: Some(f64::NAN) };
        let line = serde_json::to_string(&nan).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), Event::Epoch { epoch: 1, epochs: 1, val_top1: None });
    }
}
