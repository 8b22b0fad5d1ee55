//! `strata sweep FILE`

use super::cost::{Format, render};
use super::sweep_view::SweepView;
use super::{Done, Shared, Usage, locate, machine, print};
use anyhow::{Result, bail};
use clap::Args;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use strata::config::Sweep as Points;
use strata::runs::{Table, counted};
use strata::sweep::SweepTables;
use strata::sweep::{Estimates, Failure, Finished, Options, Report, duration};
use strata::{data, say};

/// Run every point of a file's [sweep]: skip what is finished, go on past failures, keep one table
///
/// Every point is a process of its own: what ends one leaves the others alone. Finished points are skipped, interrupted
/// ones resumed. Ctrl-C stops cleanly; the same command goes on. Sweeps on one results folder share the work. The tables
/// and pictures lie in results/sweeps/NAME/; docs/sweeps.md tells how a [sweep] is written.
#[derive(Args)]
pub struct Sweep {
    /// Experiment file with a [sweep] table, or its name
    #[arg(value_name = "FILE")]
    file: String,
    /// List the points with their cost, how they stand and how long they may take; run nothing
    #[arg(long)]
    dry_run: bool,
    /// So many points at once; the cores are divided among them, GPUs taken in turn
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// How often a point that failed is tried again
    #[arg(long, value_name = "N", default_value_t = 1)]
    retries: usize,
    /// Stop at the first point that fails
    #[arg(long)]
    fail_fast: bool,
}

pub fn run(command: &Sweep, shared: &Shared) -> Result<Done> {
    if !(1..=1024).contains(&command.jobs) {
        bail!(Usage(format!("--jobs takes 1 to 1024, not {}", command.jobs)));
    }
    let sweep = Points::load(&file(&command.file)?, &shared.set, machine())?;
    let devices = shared.job_devices()?;
    if command.dry_run {
        let kind = if devices.iter().any(|device| device.starts_with("cuda")) { "cuda" } else { "cpu" };
        print(&listed(&sweep, shared, kind, command.jobs)?)?;
        return Ok(Done::Well);
    }
    let jobs = command.jobs.min(sweep.points.len());
    let cores = available_parallelism().map_or(1, NonZero::get);
    let options = Options {
        store: shared.store(),
        cache: data::cache_dir()?,
        // The file that is running, even where a build has replaced it: all points are computed by one program.
        program: "/proc/self/exe".into(),
        arguments: vec!["--results".into(), shared.results.clone().into()],
        jobs,
        threads: shared.threads_of_jobs().or((jobs > 1).then(|| (cores / jobs).max(1))),
        devices,
        retries: command.retries,
        fail_fast: command.fail_fast,
    };
    let mut view = SweepView::new(&sweep, jobs, shared.quiet);
    view.begin(left_out(&sweep).as_deref());
    let report = strata::sweep::run(&sweep, &options, &mut view);
    view.clear();
    finish(&sweep, &report?)
}

/// The file that a path or a name stands for; names are those of sweeps first.
fn file(word: &str) -> Result<PathBuf> {
    let sweep = Path::new("experiments/sweeps").join(format!("{word}.toml"));
    if sweep.is_file() && !Path::new(word).is_file() { Ok(sweep) } else { locate(word) }
}

/// The table of settings, where everything lies, and what went wrong.
fn finish(sweep: &Points, report: &Report) -> Result<Done> {
    let SweepTables { summary, folder, .. } = &report.tables;
    let count = |number: usize, what: &str| if number > 0 { format!(", {number} {what}") } else { String::new() };
    print(&format!(
        "{}\n{}: {} of {} done{}{}{} → {}, {}\n",
        means(summary)?,
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
            Failure::Diverged => say(format_args!("diverged: {label}")),
            Failure::Failed(reason) => {
                say(format_args!("failed: {label}: {}", reason.split("; the last").next().unwrap_or_default()))
            }
        }
    }
    if report.interrupted {
        say("the sweep was stopped; the same command goes on from here");
        return Ok(Done::Interrupted);
    }
    Ok(if report.failed.is_empty() { Done::Well } else { Done::WithFailures })
}

/// The summary for people: mean ± standard deviation of the accuracies in per cent.
fn means(summary: &Table) -> Result<String> {
    let result = |name: &&String| name.ends_with("_mean") || name.ends_with("_std");
    let bound = |name: &&String| name.ends_with("_low") || name.ends_with("_high");
    let plain: Vec<&str> =
        summary.columns.iter().filter(|name| !result(name) && !bound(name)).map(String::as_str).collect();
    let shown = [("val_top1", "validation Top-1, %"), ("test_top1", "test Top-1, %"), ("seconds", "seconds")];
    let cell = |row: &Vec<String>, name: &str| summary.column(name).and_then(|column| row.get(column)).cloned();
    let lines: Vec<Vec<String>> = summary
        .rows
        .iter()
        .map(|row| {
            let mut line: Vec<String> = plain.iter().map(|name| cell(row, name).unwrap_or_default()).collect();
            for (name, _) in shown {
                let number = |part: &str| cell(row, &format!("{name}_{part}"))?.parse::<f64>().ok();
                let (scale, digits) = if name == "seconds" { (1.0, 1) } else { (100.0, 2) };
                line.push(match (number("mean"), number("std")) {
                    (Some(mean), Some(std)) => format!("{:.digits$} ± {:.digits$}", scale * mean, scale * std),
                    (Some(mean), None) => format!("{:.digits$}", scale * mean),
                    _ => String::new(),
                });
            }
            line
        })
        .collect();
    let header: Vec<&str> = plain.iter().copied().chain(shown.map(|(_, title)| title)).collect();
    render(Format::Table, &header, &lines)
}

/// What of the sweep's table became no point.
fn left_out(sweep: &Points) -> Option<String> {
    let parts: Vec<String> = [(sweep.left_out, "outside the limits"), (sweep.repeats, "repeating others")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, why)| format!("{count} {why}"))
        .collect();
    (!parts.is_empty()).then(|| format!("left out: {}", parts.join(", ")))
}

fn listed(sweep: &Points, shared: &Shared, device: &str, jobs: usize) -> Result<String> {
    let mut header: Vec<&str> = sweep.columns.iter().map(String::as_str).collect();
    header.extend(["key", "params", "macs", "epochs", "time", "status"]);
    let store = shared.store();
    let estimates = Estimates::read(&store, sweep, device);
    let finished = Finished::new(store.clone(), data::cache_dir()?);
    let (mut total, mut left) = (Some(0.0), 0);
    let mut lines = Vec::with_capacity(sweep.points.len());
    for point in &sweep.points {
        let seconds = estimates.seconds(point);
        // A run on other data than is in the cache is neither finished nor started.
        let done = finished.record(point).and_then(|record| record.status());
        let status = match store.record_of(point).and_then(|record| record.status()) {
            Some(status) if status.is_final() && done.is_none() => "other data".to_owned(),
            status => status.map(|status| status.to_string()).unwrap_or_default(),
        };
        if done.is_none() {
            left += 1;
            total = total.zip(seconds).map(|(total, seconds)| total + seconds);
        }
        let mut line = point.values.clone();
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
    let mut text = render(Format::Table, &header, &lines)?;
    let time = match total {
        Some(total) => format!(
            "about {}, estimated from finished runs and the threads that they had",
            duration(total / jobs as f64)
        ),
        None => format!(
            "the time is not known: the first run that lies in {} gives a rate to go by",
            shared.results.display()
        ),
    };
    text.push_str(&format!("\n{}, {left} to run; {time}\n", counted(sweep.points.len(), "point")));
    text.extend(left_out(sweep).map(|out| format!("{out}\n")));
    Ok(text)
}
