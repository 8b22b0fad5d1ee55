//! `strata sweep FILE`

use super::epoch_table::{folded, width_of};
use super::sweep_list::{cut_values, dry_run, list};
use super::sweep_slurm::SlurmArgs;
use super::sweep_view::SweepView;
use super::table::{Format, fitted};
use super::{Done, Shared, Usage, locate, machine, print};
use anyhow::{Result, bail};
use clap::Args;
use console::Term;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use strata::analysis::Spread;
use strata::config::Sweep as Points;
use strata::runs::{Column, Table, counted};
use strata::sweep::{Failure, Options, Report, SweepTables};
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
    /// List the points for a scheduler: index, key, cost, estimated time, and the command that runs the point
    #[arg(long, conflicts_with = "dry_run")]
    list: bool,
    /// Output format of --list
    #[arg(long, value_enum, default_value_t = Format::Table, requires = "list")]
    format: Format,
    /// Run only this point, given by its index in --list (from 0) or its key
    #[arg(long, value_name = "N|KEY", conflicts_with_all = ["dry_run", "list", "jobs", "slurm"])]
    point: Option<String>,
    /// With --point: stop after this epoch, as at a rung of [sweep.halving]
    #[arg(long, value_name = "EPOCH", requires = "point", value_parser = clap::value_parser!(u32).range(1..))]
    until: Option<u32>,
    /// Run N points at once; CPU cores are divided among them, GPUs are assigned in turn
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    #[command(flatten)]
    slurm: SlurmArgs,
    /// Retry a failed point up to N times
    #[arg(long, value_name = "N", default_value_t = 1)]
    retries: usize,
    /// Stop at the first point that fails
    #[arg(long)]
    fail_fast: bool,
    /// Skip points whose results are in the sweep's table, even if their runs are not here, as in a fresh clone
    #[arg(long, conflicts_with_all = ["list", "point", "slurm"])]
    skip_recorded: bool,
}

impl Sweep {
    /// The command `strata sweep FILE`, with `--skip-recorded` or without.
    pub(super) fn of(file: &Path, skip_recorded: bool) -> Sweep {
        let file = file.to_string_lossy().into_owned();
        Sweep {
            file,
            dry_run: false,
            list: false,
            format: Format::Table,
            point: None,
            until: None,
            jobs: 1,
            slurm: SlurmArgs::default(),
            retries: 1,
            fail_fast: false,
            skip_recorded,
        }
    }
}

pub(crate) fn run(command: &Sweep, shared: &Shared) -> Result<Done> {
    if !(1..=1024).contains(&command.jobs) {
        bail!(Usage(format!("--jobs takes 1 to 1024, not {}", command.jobs)));
    }
    let sweep = Points::load(&file(&command.file)?, &shared.set, machine())?;
    if command.slurm.slurm {
        return on_slurm(&sweep, command, shared);
    }
    if command.skip_recorded && sweep.halving.is_some() {
        bail!(Usage("--skip-recorded does not go with [sweep.halving], which compares the epochs of runs".to_owned()));
    }
    let devices = shared.job_devices()?;
    let kind = if devices.iter().any(|device| device.starts_with("cuda")) { "cuda" } else { "cpu" };
    if command.dry_run {
        print(&dry_run(&sweep, shared, kind, command.jobs, command.skip_recorded, excluded(&sweep))?)?;
        return Ok(Done::Well);
    }
    if command.list {
        let words = shared.words_of_sweep(&command.file);
        print(&list(&sweep, shared, kind, command.format, &words)?)?;
        return Ok(Done::Well);
    }
    let only = command.point.as_deref().map(|word| point(&sweep, word)).transpose()?;
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
        only,
        skip_recorded: command.skip_recorded,
        until: command.until.map(|epoch| epoch as usize),
    };
    check_start(&sweep)?;
    let mut view = SweepView::new(&sweep, if only.is_some() { 1 } else { sweep.points.len() }, jobs, shared.quiet);
    view.begin(excluded(&sweep).as_deref());
    let report = strata::sweep::run(&sweep, &options, &mut view);
    view.clear();
    finish(&sweep, &report?, only.is_some())
}

/// Checks that the weights that points start from are there.
fn check_start(sweep: &Points) -> Result<()> {
    match sweep.points.iter().find_map(|point| point.experiment.init.check().err()) {
        Some(problem) => bail!(Usage(problem)),
        None => Ok(()),
    }
}

fn on_slurm(sweep: &Points, command: &Sweep, shared: &Shared) -> Result<Done> {
    check_start(sweep)?;
    let options = command.slurm.options(&command.file, command.retries, shared)?;
    let mut view = SweepView::new(sweep, sweep.points.len(), command.slurm.bars(), shared.quiet);
    view.begin(excluded(sweep).as_deref());
    let report = strata::sweep::run_on_slurm(sweep, &options, &mut view);
    view.clear();
    finish(sweep, &report?, false)
}

/// The index of the point that `--point` names.
fn point(sweep: &Points, word: &str) -> Result<usize> {
    let points = &sweep.points;
    let count = points.len();
    // A key has ten digits, more than an index.
    if word.len() < 10
        && let Ok(index) = word.parse::<usize>()
    {
        if index < count {
            return Ok(index);
        }
        bail!(Usage(format!(
            "--point takes an index of 0 to {}, not {index}: the sweep has {}",
            count - 1,
            counted(count, "point")
        )));
    }
    let found = points.iter().position(|point| point.key.short() == word || point.key.sha256() == word);
    found.ok_or_else(|| Usage(format!("no point of {} has the key `{word}`; --list lists them", sweep.name)).into())
}

/// The file for a path or a name; a sweep is preferred to another experiment of the name.
fn file(word: &str) -> Result<PathBuf> {
    let sweep = Path::new("experiments/sweeps").join(format!("{word}.toml"));
    if sweep.is_file() && !Path::new(word).is_file() { Ok(sweep) } else { locate(word) }
}

/// Prints the table of settings, where tables and pictures are, and the failures.
fn finish(sweep: &Points, report: &Report, single: bool) -> Result<Done> {
    let folder = &report.tables.folder;
    let mut files = vec!["summary.csv", "table.csv", "epochs.csv", "curves.svg", "parameter.svg", "cost.svg"];
    files.retain(|file| folder.join(file).is_file());
    let count = |number: usize, what: &str| if number > 0 { format!(", {number} {what}") } else { String::new() };
    let table = if single { String::new() } else { means(sweep, &report.tables)? + "\n" };
    let done = format!(
        "{}: {} of {} done{}{}{}{}",
        sweep.name,
        report.done,
        counted(if single { 1 } else { sweep.points.len() }, "point"),
        count(report.diverged(), "diverged"),
        count(report.failed.len() - report.diverged(), "failed"),
        count(report.stopped, "stopped at a rung"),
        count(report.left, "not finished"),
    );
    let files = files.join(", ");
    let files = files.split_inclusive(' ').map(|word| word.trim_end().to_owned());
    let parts: Vec<String> = [done, format!("→ {}:", folder.display())].into_iter().chain(files).collect();
    print(&format!("{table}{}\n", folded(&parts, " ", width_of(&Term::stdout()))))?;
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
    let settings = header.len() - 3;
    let rows = &tables.summary.rows;
    let values = cut_values(&rows.iter().map(|row| &row[..settings]).collect::<Vec<_>>());
    let line = |((values, cells), runs): ((Vec<String>, &Vec<String>), &Vec<usize>)| {
        let spread = |column| Spread::of_column(&tables.points, column, runs);
        let shown =
            SHOWN.map(|(column, _, scale, digits)| spread(column).map(|spread| spread.plus_minus(scale, digits)));
        let counts = cells[settings..header.len()].iter().cloned();
        values.into_iter().chain(counts).chain(shown.map(Option::unwrap_or_default)).collect()
    };
    let lines: Vec<Vec<String>> = values.into_iter().zip(rows).zip(&tables.settings).map(line).collect();
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
