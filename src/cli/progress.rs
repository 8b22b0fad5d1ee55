//! What a person sees while a run goes on: a bar and a plot on a terminal, a line an epoch anywhere; the lines go to
//! `run.log` too. Draws the run's curves into its folder.

use super::live_plot::LivePlot;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use strata::figures::curves;
use strata::files::open_without_links;
use strata::runs::{EpochRow, Epochs};
use strata::say;
use strata::train::{Observer, Started, StepReport};

/// The curves of a run that goes on are drawn at most so often: a picture costs more than a short epoch.
const DRAWN_EVERY: Duration = Duration::from_secs(10);
/// The same for the plot on the terminal.
const PLOTTED_EVERY: Duration = Duration::from_millis(250);
const BAR: &str = "{prefix} {wide_bar:.cyan/blue} {msg} · {elapsed} gone, {eta} left";

pub struct Progress {
    quiet: bool,
    bar: Option<ProgressBar>,
    log: Option<File>,
    name: String,
    epochs: usize,
    folder: Option<PathBuf>,
    drawn: Instant,
    /// Epochs ended since the curves were drawn.
    undrawn: bool,
    plot: LivePlot,
    /// The plot as the bar shows it; empty where there is no room.
    plotted: Arc<Mutex<String>>,
    plotted_at: Option<Instant>,
}

impl Progress {
    pub fn new(quiet: bool) -> Progress {
        Progress {
            quiet,
            bar: None,
            log: None,
            name: String::new(),
            epochs: 0,
            folder: None,
            drawn: Instant::now(),
            undrawn: false,
            plot: LivePlot::default(),
            plotted: Arc::default(),
            plotted_at: None,
        }
    }

    /// Draws the curves of the run so far into its folder. They are no part of the result: what goes wrong is a note.
    pub fn draw_curves(&mut self) {
        let Some(folder) = self.folder.as_ref().filter(|_| self.undrawn) else { return };
        let drawn = curves::write_run_picture(folder);
        self.drawn = Instant::now();
        self.undrawn = false;
        if let Err(error) = drawn {
            self.say(&format!("note: the curves could not be drawn: {error}"));
        }
    }

    /// Brings the plot on the terminal up to date.
    fn plot(&mut self) {
        let Some(bar) = &self.bar else { return };
        if self.plotted_at.is_some_and(|at| at.elapsed() < PLOTTED_EVERY) {
            return;
        }
        self.plotted_at = Some(Instant::now());
        let text = self.plot.fitted().unwrap_or_default();
        let mut plotted = self.plotted.lock().unwrap_or_else(PoisonError::into_inner);
        let (had, has) = (!plotted.is_empty(), !text.is_empty());
        *plotted = text;
        drop(plotted);
        // Without a plot there is no empty line above the bar either.
        if had != has
            && let Ok(style) = ProgressStyle::with_template(&format!("{}{BAR}", if has { "{plot}\n" } else { "" }))
        {
            let plotted = Arc::clone(&self.plotted);
            bar.set_style(style.with_key("plot", move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = out.write_str(&plotted.lock().unwrap_or_else(PoisonError::into_inner));
            }));
        }
    }

    /// Takes the bar away; the plot stays, as it was in the end.
    fn end(&mut self) {
        let Some(bar) = self.bar.take() else { return };
        bar.finish_and_clear();
        if let (true, Some(plot)) = (self.plotted_at.is_some(), self.plot.fitted()) {
            say(plot);
        }
    }

    fn say(&mut self, text: &str) {
        if let Some(log) = &mut self.log {
            // The log is a copy for later; a run does not stop for it.
            let _ = writeln!(log, "{text}");
        }
        match &self.bar {
            _ if self.quiet => {}
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }
}

impl Observer for Progress {
    fn started(&mut self, run: &Started) {
        let log = run.folder.join("run.log");
        self.log = open_without_links(OpenOptions::new().create(true).append(true), &log).ok();
        self.name = run.name.clone();
        self.epochs = run.epochs;
        self.folder = Some(run.folder.clone());
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
            if let Ok(style) = ProgressStyle::with_template(BAR) {
                bar.set_style(style);
            }
            let earlier =
                if run.done_epochs > 0 { Epochs::read(&run.folder).unwrap_or_default() } else { Epochs::default() };
            self.plot = LivePlot::new(run.epochs, &earlier);
            bar.reset_eta();
            bar.enable_steady_tick(Duration::from_millis(250));
            self.bar = Some(bar);
        }
    }

    fn step(&mut self, step: &StepReport) {
        let Some(bar) = &self.bar else { return };
        self.plot.step(step);
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
        self.plot();
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
        self.plot.epoch(row);
        self.plot();
        self.undrawn = true;
        // The last epoch is drawn before the summary says that the run is done: a kill while the picture is written leaves a
        // temporary file, which the next process only tidies up in a run that is not.
        if row.epoch == self.epochs || self.drawn.elapsed() >= DRAWN_EVERY {
            self.draw_curves();
        }
    }

    fn note(&mut self, text: &str) {
        self.say(&format!("note: {text}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
