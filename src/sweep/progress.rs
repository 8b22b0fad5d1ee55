//! The progress of a point.

use super::event::Event;

/// Completed epochs, with fractions, at the start of the process and now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    epochs: f64,
    at_start: f64,
    now: f64,
}

impl Progress {
    pub(super) fn update(&mut self, event: &Event) {
        match *event {
            Event::Started { epochs, done_epochs, .. } => {
                *self = Progress { epochs: epochs as f64, at_start: done_epochs as f64, now: done_epochs as f64 };
            }
            Event::Step { epoch, batch, batches, .. } => {
                self.now = epoch.saturating_sub(1) as f64 + batch as f64 / batches.max(1) as f64;
            }
            Event::Epoch { epoch, .. } => self.now = epoch as f64,
            Event::Note { .. } | Event::Held { .. } | Event::Ended { .. } => {}
        }
    }

    /// The fraction of the run that this process has completed.
    pub(super) fn done(&self) -> f64 {
        if self.epochs > 0.0 { (self.now - self.at_start) / self.epochs } else { 0.0 }
    }

    /// The fraction of the run that is left.
    pub(super) fn left(&self) -> f64 {
        if self.epochs > 0.0 { (1.0 - self.now / self.epochs).max(0.0) } else { 1.0 }
    }
}
