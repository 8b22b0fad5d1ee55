//! `strata sweep FILE`

use super::epoch_table::{width_of, wrapped};
use super::sweep_view::SweepView;
use super::table::fitted;
use super::{Done, Shared, Usage, locate, machine, print};
use anyhow::{Result, bail};
use clap::Args;
use console::Term;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use strata::analysis::Spread;
use strata::config::Sweep as Points;
use strata::runs::{Column, Table, counted, cut_apart};
use strata::sweep::{Estimates, Failure, Finished, Options, Report, SweepTables, duration};
use strata::{data, emit};

/// Run every point of a file's [sweep] and write one table
///
/// Every point runs in a process of its own, so that a crash affects one point only. Finished points are skipped, interrupted
/// ones resumed, failed ones retried. Ctrl-C saves and stops; the same command resumes. Several `strata sweep` on one results
/// folder share the work. Tables and figures are written to results/sweeps/NAME/; docs/sweeps.md describes [sweep].
#[derive(Args)]
pub(crate) struct Sweep {
    /// Experiment file with a [sweep] table, or its name
    #[arg(value_name = "FILE")]
    file: String,
    /// List the points with cost, status and estimated time without running them
    #[arg(long)]
    dry_run: bool,
    /// Run N points at once; CPU cores are divided among them, GPUs are assigned in turn
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// Retry a failed point up to N times
    #[arg(long, value_name = "N", default_value_t = 1)]
    retries: usize,
    /// Stop at the first point that fails
    #[arg(long)]
    fail_fast: bool,
}

impl Sweep {
    /// The command `strata sweep FILE` without options.
    pub(super) fn of(file: &Path) -> Sweep {
        let file = file.to_string_lossy().into_owned();
        Sweep { file, dry_run: false, jobs: 1, retries: 1, fail_fast: false }
    }
}

pub(crate) fn run(command: &Sweep, shared: &Shared) -> Result<Done> {
    if !(1..=1024).contains(&command.jobs) {
        bail!(Usage(format!("--jobs takes 1 to 1024, not {}", command.jobs)));
    }
    let sweep = Points::load(&file(&command.file)?, &shared.set, machine())?;
    let devices = shared.job_devices()?;
    if command.dry_run {
        let kind = if devices.iter().any(|device| device.starts_with("cuda")) { "cuda" } else { "cpu" };
        print(&dry_run(&sweep, shared, kind, command.jobs)?)?;
        return Ok(Done::Well);
    }
    let jobs = command.jobs.min(sweep.points.len());
    let cores = available_parallelism().map_or(1, NonZero::get);
    let options = Options {
        store: shared.store(),
        cache: data::cache_dir()?,
        // The running program, even if a build replaced its file: all points use the same one.
        program: "/proc/self/exe".into(),
        arguments: vec!["--results".into(), shared.results.clone().into()],
        jobs,
        threads: shared.threads_of_jobs().or((jobs > 1).then(|| (cores / jobs).max(1))),
        devices,
        retries: command.retries,
        fail_fast: command.fail_fast,
    };
    if let Some(problem) = sweep.points.iter().find_map(|point| point.experiment.init.check().err()) {
        bail!(Usage(problem));
    }
    let mut view = SweepView::new(&sweep, jobs, shared.quiet);
    view.begin(excluded(&sweep).as_deref());
    let report = strata::sweep::run(&sweep, &options, &mut view);
    view.clear();
    finish(&sweep, &report?)
}

/// The file for a path or a name; a sweep is preferred to another experiment of the name.
fn file(word: &str) -> Result<PathBuf> {
    let sweep = Path::new("experiments/sweeps").join(format!("{word}.toml"));
    if sweep.is_file() && !Path::new(word).is_file() { Ok(sweep) } else { locate(word) }
}

/// Prints the table of settings, the paths of the tables, and the failures.
fn finish(sweep: &Points, report: &Report) -> Result<Done> {
    let folder = &report.tables.folder;
    let count = |number: usize, what: &str| if number > 0 { format!(", {number} {what}") } else { String::new() };
    print(&format!(
        "{}\n{}: {} of {} done{}{}{} → {}, {}\n",
        means(sweep, &report.tables)?,
        sweep.name,
        report.done,
        counted(sweep.points.len(), "point"),
        count(report.diverged(), "diverged"),
        count(report.failed.len() - report.diverged(), "failed"),
        count(report.left, "not finished"),
        folder.join("summary.csv").display(),
        folder.join("table.csv").display(),
    ))?;
    for (point, failure) in &report.failed {
        let label = sweep.label(*point);
        match failure {
            Failure::Diverged => emit(format_args!("diverged: {label}")),
            Failure::Failed(reason) => {
                emit(format_args!("failed: {label}: {}", reason.split("; its last output").next().unwrap_or_default()))
            }
        }
    }
    if report.interrupted {
        emit("the sweep was stopped; the same command resumes it");
        return Ok(Done::Interrupted);
    }
    Ok(if report.failed.is_empty() { Done::Well } else { Done::WithFailures })
}

/// The summary for people: means ± standard deviations, accuracies in per cent.
fn means(sweep: &Points, tables: &SweepTables) -> Result<String> {
    const SHOWN: [(Column, &str, f64, usize); 3] = [
        (Column::ValTop1, "validation Top-1, %", 100.0, 2),
        (Column::TestTop1, "test Top-1, %", 100.0, 2),
        (Column::Seconds, "seconds", 1.0, 1),
    ];
    let varied = sweep.columns.iter().map(String::as_str).filter(|name| *name != Column::Seed.name());
    let mut header: Vec<&str> = varied.chain(["n", Column::Params.name(), Column::Macs.name()]).collect();
    let line = |(cells, runs): (&Vec<String>, &Vec<usize>)| {
        let spread = |column| Spread::of_column(&tables.points, column, runs);
        let shown =
            SHOWN.map(|(column, _, scale, digits)| spread(column).map(|spread| spread.plus_minus(scale, digits)));
        cells.iter().take(header.len()).cloned().chain(shown.map(Option::unwrap_or_default)).collect()
    };
    let lines: Vec<Vec<String>> = tables.summary.rows.iter().zip(&tables.settings).map(line).collect();
    let settings = header.len() - 3;
    header.extend(SHOWN.map(|(_, title, ..)| title));
    let columns = header.into_iter().map(str::to_owned).collect();
    fitted(Table { columns, rows: lines }, settings, &["params", "seconds", "macs", "n"])
}

/// Combinations that are not points.
fn excluded(sweep: &Points) -> Option<String> {
    let parts: Vec<String> = [(sweep.left_out, "outside the limits"), (sweep.repeats, "repeating others")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, why)| format!("{count} {why}"))
        .collect();
    (!parts.is_empty()).then(|| format!("excluded: {}", parts.join(", ")))
}

/// Longest value of a key in the table of points; a whole [model] is longer.
const LONGEST_VALUE: usize = 40;

/// Values of points, column by column, long ones cut.
fn shown_values(sweep: &Points) -> Vec<Vec<String>> {
    let column = |index: usize| {
        let values: Vec<&str> = sweep.points.iter().map(|point| point.values[index].as_str()).collect();
        cut_apart(&values, LONGEST_VALUE)
    };
    let columns: Vec<Vec<String>> = (0..sweep.columns.len()).map(column).collect();
    (0..sweep.points.len()).map(|point| columns.iter().map(|column| column[point].clone()).collect()).collect()
}

fn dry_run(sweep: &Points, shared: &Shared, device: &str, jobs: usize) -> Result<String> {
    let mut columns = sweep.columns.clone();
    columns.extend(["key", "params", "macs", "epochs", "time", "status"].map(str::to_owned));
    let store = shared.store();
    let estimates = Estimates::read(&store, sweep, device);
    let finished = Finished::new(store.clone(), data::cache_dir()?);
    let (mut total, mut left) = (Some(0.0), 0);
    let mut lines = Vec::with_capacity(sweep.points.len());
    for (point, mut line) in sweep.points.iter().zip(shown_values(sweep)) {
        let seconds = estimates.seconds(point);
        // A run on other data than in the cache is neither finished nor resumable.
        let done = finished.record(point).and_then(|record| record.status());
        let status = match store.record_of(point).and_then(|record| record.status()) {
            Some(status) if status.is_final() && done.is_none() => "other data".to_owned(),
            status => status.map_or_else(|| "to run".to_owned(), |status| status.to_string()),
        };
        if done.is_none() {
            left += 1;
            total = total.zip(seconds).map(|(total, seconds)| total + seconds);
        }
        line.extend([
            point.key.short().to_owned(),
            point.cost.params.to_string(),
            point.cost.macs.to_string(),
            point.experiment.train.epochs.to_string(),
            seconds.map_or_else(|| "?".to_owned(), duration),
            status,
        ]);
        lines.push(line);
    }
    let table = Table { columns, rows: lines };
    let mut text = fitted(table, sweep.columns.len(), &["epochs", "params", "key", "macs"])?;
    let time = match total {
        Some(total) => {
            format!("about {}, {}", duration(total / jobs as f64), estimates.basis())
        }
        None => "estimate unavailable: no finished run to measure the rate from".to_owned(),
    };
    let status = format!("{}, {left} to run; {time}", counted(sweep.points.len(), "point"));
    text.push_str(&format!("\n{}\n", wrapped(&status, width_of(&Term::stdout()))));
    text.extend(excluded(sweep).map(|out| format!("{out}\n")));
    Ok(text)
}
