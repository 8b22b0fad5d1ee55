//! `strata study NAME RUN…`

use super::bars::{self, Templates};
use super::precision::PrecisionArgs;
use super::runs::find;
use super::sweep_list::quoted;
use super::{Done, Shared, Usage, machine, write_picture, wrote};
use anyhow::{Result, bail};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use indicatif::ProgressBar;
use std::io::IsTerminal;
use std::time::{Duration, Instant};
use strata::config::Experiment;
use strata::figures::picture::PictureFile;
use strata::named::Named;
use strata::study::{Observer, Study, StudyError, StudyName, Subject, conduct};
use strata::{data, emit};

/// Analyse trained runs: block lesions, gradient paths, loss landscapes and others (docs/studies.md)
///
/// Writes studies/NAME/RUNS-KEY.csv and .svg below the results folder. The same command resumes an interrupted study, and only
/// redraws a finished one.
#[derive(Args)]
#[command(after_help = "Examples:
  strata study lesion preact20 plain20
  strata study lesion preact20 -o draws=5 -o deleted=[1,2,4] --picture lesion.pdf")]
pub(crate) struct StudyArgs {
    /// What to study
    #[arg(value_parser = names())]
    name: StudyName,
    /// Run folders, or names of runs (NAME, NAME/KEY, NAME@latest, NAME@best); `scaling` also takes sweeps and names of several
    /// runs
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<String>,
    /// Set an option of the study; can be given more than once
    #[arg(short, long = "option", value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Run a finished study again
    #[arg(long)]
    force: bool,
    /// Write the picture to this file, too (.svg, .png, .pdf; - is SVG on standard output); can be given more than once
    #[arg(long, value_name = "FILE")]
    picture: Vec<PictureFile>,
    #[command(flatten)]
    precision: PrecisionArgs,
}

/// The names of all studies with what each is about.
fn names() -> impl TypedValueParser<Value = StudyName> {
    let value = |&name: &StudyName| {
        let about = read(name, toml::Table::new()).map_or("", |study| study.about());
        PossibleValue::new(name.text()).help(about)
    };
    PossibleValuesParser::new(StudyName::ALL.iter().map(value))
        .try_map(|text| StudyName::parse(&text).ok_or_else(|| format!("there is no study `{text}`")))
}

fn read(name: StudyName, options: toml::Table) -> Result<Study, toml::de::Error> {
    name.read(options)
}

pub(crate) fn run(command: &StudyArgs, shared: &Shared) -> Result<Done> {
    let study = read(command.name, table(&command.options)?).map_err(|error| {
        let keys = command.name.keys().join(", ");
        Usage(format!("{}; the options of `{}` are {keys}", error.message(), command.name.text()))
    })?;
    study.check().map_err(StudyError::from)?;
    let device = shared.device()?;
    let cache = data::cache_dir()?;
    let mut subjects: Vec<Subject> = Vec::new();
    for run in &command.runs {
        // Studies of results take the points of sweeps, those of weights the runs that are named one by one.
        let folders = if study.needs_weights() { vec![find(run, shared)?] } else { shared.store().run_folders(run)? };
        for folder in folders {
            let mut experiment = Experiment::load(&folder.join("experiment.toml"), &[], machine())?;
            command.precision.apply(&mut experiment.train);
            subjects.push(match study.needs_weights() {
                true => Subject::load(&folder, experiment, device, &cache)?,
                false => Subject::of_files(&folder, experiment, device)?,
            });
        }
    }
    Subject::disambiguate(&mut subjects);
    let line = recorded_command(std::env::args().skip(1));
    let mut progress = Progress::new(command.name.text(), shared.quiet);
    let conducted = match conduct(&study, &subjects, &shared.results, &line, command.force, &mut progress) {
        Err(StudyError::Stopped) => return Ok(Done::Interrupted),
        conducted => conducted?,
    };
    progress.end();
    match conducted.skipped {
        true => tracing::info!("{} exists; --force runs the study again", conducted.table.display()),
        false => wrote(&conducted.table),
    }
    wrote(&conducted.picture);
    for picture in &command.picture {
        write_picture(picture, &conducted.svg, false)?;
    }
    Ok(Done::Well)
}

/// The command line that reproduces the study: without what does not change the table.
fn recorded_command(mut words: impl Iterator<Item = String>) -> String {
    let mut line = "strata".to_owned();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--force" | "--quiet" | "-q" | "--verbose" | "-v" => {}
            "--picture" => drop(words.next()),
            _ if word.starts_with("--picture=") => {}
            _ => line.extend([" ", &quoted(&word)]),
        }
    }
    line
}

/// `KEY=VALUE` as a table. A value that is not TOML is a text.
fn table(options: &[String]) -> Result<toml::Table> {
    let mut table = toml::Table::new();
    for option in options {
        let Some((key, value)) = option.split_once('=') else {
            bail!(Usage(format!("-o takes KEY=VALUE, not `{option}`")));
        };
        let parsed = format!("value = {value}").parse::<toml::Table>().ok();
        let value = parsed.and_then(|mut parsed| parsed.remove("value"));
        table.insert(key.trim().to_owned(), value.unwrap_or_else(|| option[key.len() + 1..].into()));
    }
    Ok(table)
}

/// A bar on a terminal, elsewhere a line now and then.
struct Progress {
    name: &'static str,
    quiet: bool,
    bar: Option<ProgressBar>,
    printed: Instant,
}

/// The line of the bar; a narrow terminal cuts the name of the row.
const LINE: &Templates = &[
    (90, "{prefix} {bar:20.cyan/blue} {pos}/{len} · {elapsed} elapsed, {eta} left · {wide_msg}"),
    (0, "{prefix} {pos}/{len} · {eta} left · {wide_msg}"),
];
/// Least time between plain lines.
const PRINT_EVERY: Duration = Duration::from_secs(10);

impl Progress {
    fn new(name: &'static str, quiet: bool) -> Progress {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(0);
            bars::fit(&bar, LINE);
            bar.set_prefix(name);
            let behind = bar.clone();
            bars::messages_above(move |print| behind.suspend(print));
            bar
        });
        Progress { name, quiet, bar, printed: Instant::now() }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bars::messages_directly();
            bar.finish_and_clear();
        }
    }
}

impl Observer for Progress {
    fn progress(&mut self, done: usize, total: usize, what: &str) {
        if let Some(bar) = &self.bar {
            bars::fit(bar, LINE);
            bar.set_length(total as u64);
            bar.set_message(what.to_owned());
            bar.set_position(done as u64);
        } else if !self.quiet && (self.printed.elapsed() >= PRINT_EVERY || done == total) {
            self.printed = Instant::now();
            emit(format_args!("{} {done}/{total}: {what}", self.name));
        }
    }

    fn note(&mut self, text: &str) {
        if !self.quiet {
            emit(text);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
#[test]
fn options_are_toml_or_text() {
    let options = ["draws=3", "deleted=[1, 2]", "form=plane"].map(str::to_owned);
    assert_eq!(table(&options).unwrap().to_string(), "draws = 3\ndeleted = [1, 2]\nform = \"plane\"\n");
    assert!(table(&["draws".to_owned()]).is_err());
}
