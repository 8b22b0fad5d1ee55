//! Progress of a run: on a terminal a table of epochs above a bar and a plot, elsewhere one plain line an epoch; the plain lines
//! go to `run.log` too. Draws the run's curves into its folder.

use super::bars;
use super::epoch_table::{EpochTable, folded, percent, terminal_width};
use super::live_plot::LivePlot;
use super::table::grouped;
use console::Term;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use strata::emit;
use strata::figures::curves;
use strata::files::open_without_links;
use strata::runs::{EpochRow, Epochs, counted, significant};
use strata::train::{Observer, Started, StepReport};

/// Least time between drawings of the curves, since a picture takes longer than a short epoch.
const DRAWN_EVERY: Duration = Duration::from_secs(10);
/// Least time between updates of the plot on the terminal.
const PLOTTED_EVERY: Duration = Duration::from_millis(250);

/// A line of the bar for terminals of at least this many columns, with the first `parts` of loss, Top-1 and speed. Room is left for
/// `epoch 100/200`, `Top-1 100.00 %` and `12345 images/s`.
struct Layout {
    columns: usize,
    template: &'static str,
    parts: usize,
}

const LAYOUTS: [Layout; 5] = [
    Layout { columns: 94, template: "{prefix} {wide_bar:.cyan/blue} {msg} · {elapsed} elapsed, {eta} left", parts: 3 },
    Layout { columns: 78, template: "{prefix} {wide_bar:.cyan/blue} {msg} · {eta} left", parts: 3 },
    Layout { columns: 62, template: "{prefix} {wide_bar:.cyan/blue} {msg} · {eta} left", parts: 2 },
    Layout { columns: 54, template: "{prefix} {msg} · {eta} left", parts: 2 },
    Layout { columns: 0, template: "{prefix} {msg} · {eta} left", parts: 1 },
];

impl Layout {
    /// Index of the one for the terminal as it is now.
    fn fitting() -> usize {
        let columns = terminal_width().unwrap_or(usize::MAX);
        LAYOUTS.iter().position(|layout| layout.columns <= columns).unwrap_or(LAYOUTS.len() - 1)
    }
}

pub(super) struct Progress {
    quiet: bool,
    bar: Option<ProgressBar>,
    log: Option<File>,
    name: String,
    epochs: usize,
    table: EpochTable,
    folder: Option<PathBuf>,
    drawn: Instant,
    /// Epochs ended since the curves were drawn.
    undrawn: bool,
    plot: LivePlot,
    /// The plot as the bar shows it; empty where there is no room.
    plotted: Arc<Mutex<String>>,
    plotted_at: Option<Instant>,
    /// What the bar is drawn with: the index of its layout, and whether there is a plot above it.
    style: Option<(usize, bool)>,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Progress {
        Progress {
            quiet,
            bar: None,
            log: None,
            name: String::new(),
            epochs: 0,
            table: EpochTable::default(),
            folder: None,
            drawn: Instant::now(),
            undrawn: false,
            plot: LivePlot::default(),
            plotted: Arc::default(),
            plotted_at: None,
            style: None,
        }
    }

    /// Draws the curves of the run so far into its folder. A failure is a note only, since they are not part of the result.
    pub(super) fn draw_curves(&mut self) {
        let Some(folder) = self.folder.as_ref().filter(|_| self.undrawn) else { return };
        let drawn = curves::write_run_picture(folder);
        self.drawn = Instant::now();
        self.undrawn = false;
        if let Err(error) = drawn {
            self.emit(&format!("note: the curves could not be drawn: {error}"));
        }
    }

    /// Updates the plot on the terminal.
    fn plot(&mut self) {
        if self.bar.is_none() || self.plotted_at.is_some_and(|at| at.elapsed() < PLOTTED_EVERY) {
            return;
        }
        self.plotted_at = Some(Instant::now());
        let text = self.plot.fitted().unwrap_or_default();
        *self.plotted.lock().unwrap_or_else(PoisonError::into_inner) = text;
        self.restyle();
    }

    /// Draws the bar in the layout for the terminal, below the plot if there is one: without it there is no empty line either.
    fn restyle(&mut self) {
        let Some(bar) = &self.bar else { return };
        let has_plot = !self.plotted.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        let layout = Layout::fitting();
        if self.style.replace((layout, has_plot)) == Some((layout, has_plot)) {
            return;
        }
        let template = LAYOUTS[layout].template;
        if let Ok(style) =
            ProgressStyle::with_template(&format!("{}{template}", if has_plot { "{plot}\n" } else { "" }))
        {
            let plotted = Arc::clone(&self.plotted);
            bar.set_style(style.with_key("plot", move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = out.write_str(&plotted.lock().unwrap_or_else(PoisonError::into_inner));
            }));
        }
    }

    /// Removes the bar; the plot stays.
    fn end(&mut self) {
        let Some(bar) = self.bar.take() else { return };
        bars::messages_directly();
        bar.finish_and_clear();
        if let (true, Some(plot)) = (self.plotted_at.is_some(), self.plot.fitted()) {
            // Not by `emit`, which would escape its colours.
            let _ = Term::stderr().write_line(&plot);
        }
    }

    /// All values of an epoch in one line, for logs.
    fn plain_line(&self, row: &EpochRow, is_best: bool) -> String {
        format!(
            "{} {}/{}: loss {:.4}, Top-1 {}, Top-5 {}; validation loss {:.4}, Top-1 {}, Top-5 {}{}; lr {}, {:.0} images/s, \
             {:.1} s, {:.0} MiB",
            self.name,
            row.epoch,
            self.epochs,
            row.train_loss,
            percent(row.train_top1),
            percent(row.train_top5),
            row.val_loss,
            percent(row.val_top1),
            percent(row.val_top5),
            if is_best { " (best)" } else { "" },
            significant(row.lr),
            row.images_per_second,
            row.epoch_seconds,
            row.peak_memory_mib,
        )
    }

    fn emit(&mut self, text: &str) {
        self.log(text);
        self.show(text);
    }

    fn log(&mut self, text: &str) {
        if let Some(log) = &mut self.log {
            // The log is a copy for later; a run does not fail because of it.
            let _ = writeln!(log, "{text}");
        }
    }

    fn show(&self, text: &str) {
        if !self.quiet {
            emit(text);
        }
    }
}

impl Observer for Progress {
    fn started(&mut self, run: &Started) {
        let log = run.folder.join("run.log");
        self.log = open_without_links(OpenOptions::new().create(true).append(true), &log).ok();
        self.name = run.name.clone();
        self.epochs = run.epochs;
        self.table = EpochTable::new(run.epochs);
        self.folder = Some(run.folder.clone());
        let resumed = match run.done_epochs {
            0 => String::new(),
            done => format!(", resumed after epoch {done}"),
        };
        let parts = [
            format!("{} ({}): {} parameters,", run.name, run.key, grouped(&run.params.to_string())),
            match run.macs {
                0..100_000 => format!("{} multiply-adds;", grouped(&run.macs.to_string())),
                macs => format!("{:.1} M multiply-adds;", macs as f64 / 1e6),
            },
            format!("{},", counted(run.train_images, "image")),
            format!("{} {} an epoch;", run.batches, if run.batches == 1 { "batch" } else { "batches" }),
            format!("{} {}{resumed}", run.device, run.precision),
        ];
        self.log(&folded(&parts, " ", None));
        self.show(&folded(&parts, " ", terminal_width()));
        if !self.quiet && std::io::stderr().is_terminal() {
            let total = run.epochs * run.batches;
            let bar = ProgressBar::new(total as u64).with_position((run.done_epochs * run.batches) as u64);
            let earlier =
                if run.done_epochs > 0 { Epochs::read(&run.folder).unwrap_or_default() } else { Epochs::default() };
            self.plot = LivePlot::new(run.epochs, &earlier);
            bar.reset_eta();
            let behind = bar.clone();
            bars::messages_above(move |print| behind.suspend(print));
            self.bar = Some(bar.clone());
            self.restyle();
            bar.set_prefix("starting");
            bar.enable_steady_tick(Duration::from_millis(250));
        }
    }

    fn step(&mut self, step: &StepReport) {
        self.restyle();
        let Some(bar) = &self.bar else { return };
        self.plot.step(step);
        bar.set_prefix(format!("epoch {}/{}", step.epoch, self.epochs));
        let parts = [
            format!("loss {:.4}", step.loss),
            format!("Top-1 {}", percent(step.top1)),
            format!("{:.0} images/s", step.images_per_second),
        ];
        bar.set_message(parts[..LAYOUTS[Layout::fitting()].parts].join(" · "));
        bar.set_position(((step.epoch - 1) * step.batches + step.batch) as u64);
        if step.epoch == self.epochs && step.batch == step.batches {
            bars::messages_directly();
            bar.finish_and_clear();
        }
        self.plot();
    }

    fn epoch(&mut self, row: &EpochRow, is_best: bool) {
        let line = self.plain_line(row, is_best);
        self.log(&line);
        match terminal_width() {
            Some(width) => {
                let lines = self.table.lines(row, is_best, width);
                self.show(&lines);
            }
            None => self.show(&line),
        }
        self.plot.epoch(row);
        self.plot();
        self.undrawn = true;
        // The last epoch is drawn before the summary says that the run is done: a kill while the picture is written leaves a
        // temporary file, which is only removed when an unfinished run is opened again.
        if row.epoch == self.epochs || self.drawn.elapsed() >= DRAWN_EVERY {
            self.draw_curves();
        }
    }

    fn note(&mut self, text: &str) {
        self.emit(&format!("note: {text}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
