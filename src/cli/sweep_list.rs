//! The points of a sweep without running them: `--dry-run` for people, `--list` for schedulers.

use super::Shared;
use super::epoch_table::{width_of, wrapped};
use super::table::{Format, fitted, render};
use anyhow::Result;
use console::Term;
use strata::config::{Point, Sweep};
use strata::data;
use strata::runs::{Store, Table, counted, cut_apart, duration};
use strata::sweep::{Estimates, Finished};

/// Longest value of a key in the table of points; a whole [model] is longer.
const LONGEST_VALUE: usize = 40;

/// What is known of the points before they run.
struct Listing {
    store: Store,
    estimates: Estimates,
    finished: Finished,
}

impl Listing {
    fn new(sweep: &Sweep, shared: &Shared, device: &str, skip_recorded: bool) -> Result<Listing> {
        let store = shared.store();
        let estimates = Estimates::read(&store, sweep, device);
        let finished = Finished::new(store.clone(), data::cache_dir()?);
        let finished = if skip_recorded { finished.or_recorded(sweep) } else { finished };
        Ok(Listing { store, estimates, finished })
    }

    /// The status of a point in words, and whether it is finished.
    fn status(&self, point: &Point) -> (String, bool) {
        if let Some(status) = self.finished.recorded(point).and_then(|record| record.status()) {
            return (format!("{status} (recorded)"), true);
        }
        // A run on other data than in the cache is neither finished nor resumable.
        let done = self.finished.record(point).and_then(|record| record.status()).is_some();
        let status = match self.store.record_of(point).and_then(|record| record.status()) {
            Some(status) if status.is_final() && !done => "other data".to_owned(),
            status => status.map_or_else(|| "to run".to_owned(), |status| status.to_string()),
        };
        (status, done)
    }
}

/// The values of a sweep's points as they are printed.
fn shown_values(sweep: &Sweep) -> Vec<Vec<String>> {
    cut_values(&sweep.points.iter().map(|point| point.values.as_slice()).collect::<Vec<_>>())
}

/// Values of settings, a row each, the long ones of a column cut so that they stay different.
pub(super) fn cut_values(rows: &[&[String]]) -> Vec<Vec<String>> {
    let mut cut: Vec<Vec<String>> = vec![Vec::new(); rows.len()];
    for index in 0..rows.first().map_or(0, |row| row.len()) {
        let values: Vec<&str> = rows.iter().map(|row| row[index].as_str()).collect();
        cut.iter_mut().zip(cut_apart(&values, LONGEST_VALUE)).for_each(|(row, value)| row.push(value));
    }
    cut
}

/// The text of `--dry-run`. `device` is `cpu` or `cuda`, `excluded` counts the combinations that are not points.
pub(super) fn dry_run(
    sweep: &Sweep,
    shared: &Shared,
    device: &str,
    jobs: usize,
    skip_recorded: bool,
    excluded: Option<String>,
) -> Result<String> {
    let mut columns = sweep.columns.clone();
    columns.extend(["key", "params", "macs", "epochs", "time", "status"].map(str::to_owned));
    let listing = Listing::new(sweep, shared, device, skip_recorded)?;
    let (mut total, mut left) = (Some(0.0), 0);
    let mut lines = Vec::with_capacity(sweep.points.len());
    for (point, mut line) in sweep.points.iter().zip(shown_values(sweep)) {
        let seconds = listing.estimates.seconds(point);
        let (status, done) = listing.status(point);
        if !done {
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
        Some(total) => format!("about {}, {}", duration(total / jobs as f64), listing.estimates.basis()),
        None => "estimate unavailable: no finished run to measure the rate from".to_owned(),
    };
    let status = format!("{}, {left} to run; {time}", counted(sweep.points.len(), "point"));
    text.push_str(&format!("\n{}\n", wrapped(&status, width_of(&Term::stdout()))));
    text.extend(excluded.map(|out| format!("{out}\n")));
    Ok(text)
}

/// The table of `--list`: a line for each point, with the command that runs it. `command` is that of the sweep, as words.
/// Unknown times are empty.
pub(super) fn list(sweep: &Sweep, shared: &Shared, device: &str, format: Format, command: &[String]) -> Result<String> {
    let listing = Listing::new(sweep, shared, device, false)?;
    let mut header = vec!["index", "key"];
    header.extend(sweep.columns.iter().map(String::as_str));
    header.extend(["params", "macs", "epochs", "estimated_seconds", "status", "command"]);
    let command = command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let shown = if let Format::Csv = format { None } else { Some(shown_values(sweep)) };
    let line = |(index, point): (usize, &Point)| {
        let values = shown.as_ref().map_or(&point.values, |shown| &shown[index]).iter().cloned();
        let seconds = listing.estimates.seconds(point).map(|seconds| format!("{seconds:.1}"));
        let rest = [
            point.cost.params.to_string(),
            point.cost.macs.to_string(),
            point.experiment.train.epochs.to_string(),
            seconds.unwrap_or_default(),
            listing.status(point).0,
            format!("{command} --point {}", point.key.short()),
        ];
        [index.to_string(), point.key.short().to_owned()].into_iter().chain(values).chain(rest).collect()
    };
    let lines: Vec<Vec<String>> = sweep.points.iter().enumerate().map(line).collect();
    render(format, &header, &lines)
}

/// A word as a POSIX shell reads it back.
pub(super) fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "_-./=+:,@%".contains(character);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_survive_a_shell() {
        for word in ["train.lr=0.1", "", "a b", "it's", "sweep.seed=[0, 1]", "$HOME"] {
            let out = std::process::Command::new("sh").args(["-c", &format!("printf %s {}", quoted(word))]).output();
            assert_eq!(String::from_utf8(out.unwrap().stdout).unwrap(), word);
        }
    }
}
