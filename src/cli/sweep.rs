//! `strata sweep FILE`

use super::cost::{Format, render};
use super::{Done, Shared, locate, machine, print};
use anyhow::{Context, Result};
use clap::Args;
use std::io::IsTerminal;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;
use strata::config::Sweep as Points;
use strata::results::{status, write_sweep_table};
use strata::train::interrupt;

#[derive(Args)]
pub struct Sweep {
    /// Experiment file with a [sweep] table, or its name
    #[arg(value_name = "FILE")]
    file: String,
    /// List the points with their cost and how they stand; run nothing
    #[arg(long)]
    dry_run: bool,
    /// How often a point that failed is tried again
    #[arg(long, value_name = "N", default_value_t = 1)]
    retries: usize,
    /// Stop at the first point that fails
    #[arg(long)]
    fail_fast: bool,
}

pub fn run(command: &Sweep, shared: &Shared) -> Result<Done> {
    let sweep = Points::load(&locate(&command.file)?, &shared.set, machine())?;
    if command.dry_run {
        print(&listed(&sweep, shared)?)?;
        return Ok(Done::Well);
    }
    interrupt::install()?;
    let mut failed = Vec::new();
    for (index, point) in sweep.points.iter().enumerate() {
        let label = label(&sweep, index);
        let place = format!("{}/{} {label}", index + 1, sweep.points.len());
        if status(&shared.results, &sweep, index).as_deref() == Some("done") {
            eprintln!("sweep {place}: finished before");
            continue;
        }
        eprintln!("sweep {place}");
        // Each point is a process of its own: whatever kills it leaves the sweep alive.
        let folder = shared.results.join("sweeps").join(&sweep.name).join("points");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file = folder.join(format!("{}.toml", point.experiment.key()));
        strata::files::write_whole(&file, point.experiment.to_toml().to_string().as_bytes())
            .with_context(|| format!("cannot write {}", file.display()))?;
        for attempt in 0..=command.retries {
            let ended = wait(shared.child(Command::new(std::env::current_exe()?).arg("train").arg(&file)).spawn()?)?;
            write_sweep_table(&shared.results, &sweep)?;
            if ended.code() == Some(interrupt::EXIT_CODE) || interrupt::requested() {
                eprintln!("sweep stopped at {place}; the same command goes on from here");
                return Ok(Done::Interrupted);
            }
            let diverged = status(&shared.results, &sweep, index).as_deref() == Some("diverged");
            if ended.success() || diverged {
                if diverged {
                    failed.push(format!("{label} diverged"));
                }
                break;
            }
            // Bad input does not get better.
            let again = attempt < command.retries && ended.code() != Some(2);
            eprintln!("sweep {place}: {}{}", how(ended), if again { "; trying again" } else { "" });
            if !again {
                failed.push(format!("{label}: {}", how(ended)));
                break;
            }
        }
        if command.fail_fast && !failed.is_empty() {
            break;
        }
    }
    let table = write_sweep_table(&shared.results, &sweep)?;
    print(&format!("{} points, {} failed → {}\n", sweep.points.len(), failed.len(), table.display()))?;
    for failure in &failed {
        eprintln!("failed: {failure}");
    }
    Ok(if failed.is_empty() { Done::Well } else { Done::WithFailures })
}

/// Waits for a point; a request to stop that reached the sweep alone is passed on.
fn wait(mut child: Child) -> Result<ExitStatus> {
    let mut told = false;
    loop {
        if let Some(ended) = child.try_wait()? {
            return Ok(ended);
        }
        if interrupt::requested() && !told {
            told = true;
            // A terminal's Ctrl-C has reached the child already; a second would cut its step short.
            if !std::io::stdin().is_terminal() {
                let _ = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn label(sweep: &Points, index: usize) -> String {
    let Some(point) = sweep.points.get(index) else { return String::new() };
    let short = |text: &String| if text.len() > 40 { "…".to_owned() } else { text.clone() };
    let pairs = sweep.keys.iter().zip(&point.values).map(|(key, value)| format!("{key}={}", short(value)));
    pairs.collect::<Vec<_>>().join(" ")
}

fn how(ended: ExitStatus) -> String {
    match ended.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => format!("was ended by a signal ({ended})"),
    }
}

fn listed(sweep: &Points, shared: &Shared) -> Result<String> {
    let mut header: Vec<&str> = sweep.keys.iter().map(String::as_str).collect();
    header.extend(["key", "params", "macs", "epochs", "status"]);
    let lines: Vec<Vec<String>> = sweep
        .points
        .iter()
        .enumerate()
        .map(|(index, point)| {
            let cost = point.experiment.network.cost();
            let mut line = point.values.clone();
            line.extend([
                point.experiment.key(),
                cost.params.to_string(),
                cost.macs.to_string(),
                point.experiment.train.epochs.to_string(),
                status(&shared.results, sweep, index).unwrap_or_default(),
            ]);
            line
        })
        .collect();
    render(Format::Table, &header, &lines)
}
