//! `strata claims`

use super::sweep;
use super::table::{Format, show, wrapped_table};
use super::{Done, Shared, Usage, machine, print};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::Command;
use strata::analysis::claims::{Finding, Judged, Verdict};
use strata::config::{ClaimFile, ClaimTest};
use strata::files::write_output;
use strata::runs::duration;
use strata::{emit, interrupt};

/// The folder of claims, from the root of a clone.
const FOLDER: &str = "experiments/claims";
/// The lines between which `--write` puts the table.
const MARKS: [&str; 2] = ["<!-- written by strata claims -->\n", "<!-- to here -->"];

/// The deck's claims, each with the verdict that the results support
///
/// Every file in experiments/claims/ states a claim, the experiment that decides it and the rule, which was written before the
/// run. Verdicts are computed from the tables in the results folder: the 95 % interval of the paired effect over seeds decides,
/// corrected for several tests of a claim (Holm). A line of the list shows the test that decides. docs/claims.md has the details.
#[derive(Args)]
pub(crate) struct Claims {
    /// Numbers or names of claims: their cards, with every test; without any, a list of all
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Run whatever is missing, cheapest first. Ctrl-C saves and stops; the same command resumes
    #[arg(long)]
    run: bool,
    /// Output format of the list
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Replace the table of claims in a Markdown file instead of printing the list
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

pub(crate) fn run(command: &Claims, shared: &Shared) -> Result<Done> {
    let mut done = Done::Well;
    if command.run {
        done = run_missing(&chosen(command)?, shared)?;
        if matches!(done, Done::Interrupted) {
            return Ok(done);
        }
    }
    let store = shared.store();
    let judged: Vec<Judged> =
        chosen(command)?.into_iter().map(|file| Judged::of(file, &store)).collect::<Result<_, _>>()?;
    if let Some(path) = &command.write {
        write(path, &list(&judged, Format::Markdown)?)?;
    } else if command.names.is_empty() {
        print(&list(&judged, command.format)?)?;
    } else {
        print(&judged.iter().map(card).collect::<Result<Vec<_>>>()?.join("\n"))?;
    }
    Ok(done)
}

/// The files of the claims that the command line names; all without a name.
fn chosen(command: &Claims) -> Result<Vec<ClaimFile>> {
    let folder = Path::new(FOLDER);
    if !folder.is_dir() {
        bail!(Usage(format!("there is no folder {FOLDER}/ here: run this from the root of a clone")));
    }
    let mut files = ClaimFile::all(folder, machine())?;
    for name in &command.names {
        if !files.iter().any(|file| is_named(file, name)) {
            let known: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
            bail!(Usage(format!("there is no claim `{name}`: there are {}", known.join(", "))));
        }
    }
    files.retain(|file| command.names.is_empty() || command.names.iter().any(|name| is_named(file, name)));
    Ok(files)
}

fn is_named(file: &ClaimFile, name: &str) -> bool {
    file.name == name || file.claim.number.to_string() == name
}

/// Runs the sweeps and commands of claims that lack results, the cheapest first.
fn run_missing(files: &[ClaimFile], shared: &Shared) -> Result<Done> {
    let mut order: Vec<&ClaimFile> = files.iter().collect();
    order.sort_by(|a, b| a.claim.minutes.total_cmp(&b.claim.minutes));
    let mut done = Done::Well;
    for file in order {
        let judged = || -> Result<Judged> { Ok(Judged::of(ClaimFile::load(&file.file, machine())?, &shared.store())?) };
        let before = judged()?;
        if before.lacks_runs(&shared.store()) || before.needs_weights() {
            emit(format_args!("claim {}: {} ({})", file.claim.number, file.claim.sentence, file.name));
            match sweep::run(&sweep::Sweep::of(&file.file, before.takes_recorded()), shared)? {
                Done::Interrupted => return Ok(Done::Interrupted),
                Done::WithFailures => done = Done::WithFailures,
                Done::Well | Done::Held => {}
            }
        }
        if before.missing.is_empty() {
            continue;
        }
        let trained = judged()?;
        for words in file.claim.commands.iter().flat_map(|line| trained.commands(line)) {
            let line = words.join(" ");
            emit(format_args!("claim {}: strata {line}", file.claim.number));
            let mut child = Command::new("/proc/self/exe");
            child.args(words).arg("--results").arg(&shared.results);
            if !child.status().with_context(|| format!("cannot run strata {line}"))?.success() {
                if interrupt::requested() {
                    return Ok(Done::Interrupted);
                }
                done = Done::WithFailures;
            }
        }
        for path in judged()?.missing {
            emit(format_args!("claim {}: there is no {}", file.claim.number, path.display()));
        }
    }
    Ok(done)
}

/// A line for each claim.
fn list(judged: &[Judged], format: Format) -> Result<String> {
    let in_words = matches!(format, Format::Markdown);
    let line = |judged: &Judged| {
        let claim = judged.claim();
        let name = match in_words {
            true => format!("[{}]({})", claim.sentence, judged.file.file.display()),
            false => judged.file.name.clone(),
        };
        let bold = |verdict: Verdict| if in_words { format!("**{verdict}**") } else { verdict.to_string() };
        let mut cells = vec![claim.number.to_string(), name, bold(judged.verdict)];
        cells.extend(match judged.deciding().filter(|(_, finding)| finding.verdict != Verdict::NotRun) {
            Some((test, finding)) => [
                test.says.clone(),
                Judged::effect(test, finding.estimate),
                Judged::interval(test, finding.estimate),
                Judged::seeds(finding.estimate),
            ],
            None => Default::default(),
        });
        cells.push(judged.runs());
        cells.push(cost(judged));
        if !in_words {
            // The sentences do not fit a terminal.
            cells.remove(3);
        }
        cells
    };
    let mut header = vec!["no.", "claim", "verdict", "measured", "effect", "95 % interval", "seeds", "runs", "time"];
    if !in_words {
        header.remove(3);
    }
    show(format, &header, judged.iter().map(line).collect(), &["time", "seeds", "95 % interval", "runs"])
}

/// The time that the runs took; empty before there are any.
fn cost(judged: &Judged) -> String {
    if judged.seconds > 0.0 { duration(judged.seconds) } else { String::new() }
}

/// Everything about one claim.
fn card(judged: &Judged) -> Result<String> {
    let claim = judged.claim();
    let line = |(test, finding): (&ClaimTest, &Finding)| {
        vec![
            test.says.clone(),
            Judged::rule(test),
            Judged::effect(test, finding.estimate),
            Judged::interval(test, finding.estimate),
            Judged::seeds(finding.estimate),
            Judged::p_value(finding),
            finding.verdict.to_string(),
        ]
    };
    let header = ["test", "holds if", "effect", "95 % interval", "seeds", "p (Holm)", "verdict"];
    let table = wrapped_table(&header, &judged.tests().map(line).collect::<Vec<_>>());
    let mut text = format!("{}. {}: {}\n\n", claim.number, claim.sentence, judged.verdict);
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("{name:<10} {value}\n"));
        }
    };
    fact("slide", &claim.slide);
    fact("published", &claim.published);
    fact("budget", &format!("{} on two cores", duration(60.0 * claim.minutes)));
    fact("runs", &judged.runs());
    fact("time", &cost(judged));
    let paths = |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    fact("tables", &paths(&judged.tables));
    fact("missing", &paths(&judged.missing));
    fact("file", &judged.file.file.display().to_string());
    fact("run", &judged.command());
    if judged.is_open() {
        fact("to decide", &claim.needs);
    }
    Ok(format!("{text}\n{table}"))
}

/// Puts the table between the marks of a file.
fn write(path: &Path, table: &str) -> Result<()> {
    let text =
        std::fs::read_to_string(path).map_err(|error| Usage(format!("cannot read {}: {error}", path.display())))?;
    let Some((before, rest)) = text.split_once(MARKS[0]) else {
        bail!(Usage(format!("{} has no line `{}`", path.display(), MARKS[0].trim_end())));
    };
    let Some((_, after)) = rest.split_once(MARKS[1]) else {
        bail!(Usage(format!("{} has no line `{}` after `{}`", path.display(), MARKS[1], MARKS[0].trim_end())));
    };
    let text = format!("{before}{}\n{table}\n{}{after}", MARKS[0], MARKS[1]);
    write_output(path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    super::wrote(path);
    Ok(())
}
