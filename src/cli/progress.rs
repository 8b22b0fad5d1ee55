//! What a person sees while a run goes on: a bar on a terminal, a line an epoch anywhere; the lines go to `run.log` too.

use indicatif::{ProgressBar, ProgressStyle};
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::time::Duration;
use strata::results::EpochRow;
use strata::train::{Observer, Started, StepReport};

pub struct Progress {
    quiet: bool,
    bar: Option<ProgressBar>,
    log: Option<File>,
    name: String,
    epochs: usize,
}

impl Progress {
    pub fn new(quiet: bool) -> Progress {
        Progress { quiet, bar: None, log: None, name: String::new(), epochs: 0 }
    }

    fn say(&mut self, text: &str) {
        if let Some(log) = &mut self.log {
            // The log is a copy for later; a run does not stop for it.
            let _ = writeln!(log, "{text}");
        }
        match &self.bar {
            _ if self.quiet => {}
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

impl Observer for Progress {
    fn started(&mut self, run: &Started) {
        self.log = OpenOptions::new().create(true).append(true).open(run.folder.join("run.log")).ok();
        self.name = run.name.clone();
        self.epochs = run.epochs;
        let resumed = match run.done_epochs {
            0 => String::new(),
            done => format!(", resumed after epoch {done}"),
        };
        self.say(&format!(
            "{} ({}): {} parameters, {:.1} M multiply-adds; {} images, {} batches an epoch; {} {}{resumed}",
            run.name,
            run.key,
            run.params,
            run.macs as f64 / 1e6,
            run.train_images,
            run.batches,
            run.device,
            run.precision,
        ));
        if !self.quiet && std::io::stderr().is_terminal() {
            let total = run.epochs * run.batches;
            let bar = ProgressBar::new(total as u64).with_position((run.done_epochs * run.batches) as u64);
            let style = "{prefix} {wide_bar:.cyan/blue} {msg} · {elapsed} gone, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar.reset_eta();
            bar.enable_steady_tick(Duration::from_millis(250));
            self.bar = Some(bar);
        }
    }

    fn step(&mut self, step: &StepReport) {
        let Some(bar) = &self.bar else { return };
        bar.set_prefix(format!("epoch {}/{}", step.epoch, self.epochs));
        bar.set_message(format!(
            "loss {:.4} · Top-1 {:.2} % · {:.0} images/s",
            step.loss,
            100.0 * step.top1,
            step.images_per_second
        ));
        bar.set_position(((step.epoch - 1) * step.batches + step.batch) as u64);
        if step.epoch == self.epochs && step.batch == step.batches {
            bar.finish_and_clear();
        }
    }

    fn epoch(&mut self, row: &EpochRow, is_best: bool) {
        let line = format!(
            "{} {}/{}: loss {:.4}, Top-1 {:.2} %; validation loss {:.4}, Top-1 {:.2} %, Top-5 {:.2} %{}; {:.0} images/s, {:.1} s",
            self.name,
            row.epoch,
            self.epochs,
            row.train_loss,
            100.0 * row.train_top1,
            row.val_loss,
            100.0 * row.val_top1,
            100.0 * row.val_top5,
            if is_best { " (best)" } else { "" },
            row.images_per_second,
            row.epoch_seconds,
        );
        self.say(&line);
    }

    fn note(&mut self, text: &str) {
        self.say(&format!("note: {text}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
