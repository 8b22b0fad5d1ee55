//! Writes a comparison: the cells of the selected columns, labels and notes.

use super::difference::Against;
use super::expected::{Expected, TOLERANCE, expected};
use super::group::{counted, decimals, is_fraction, number, status, texts, values, written, written_percent};
use super::paths::short_paths;
use super::{Comparison, Request};
use crate::analysis::statistics::Spread;
use crate::runs::format::cut_apart;
use crate::runs::roles::lower_is_better;
use crate::runs::{Column, ColumnFormat, ColumnRole, Records, Table};
use std::collections::{HashMap, HashSet};

/// One line of the comparison.
pub(super) struct ComparedLine {
    /// Its rows of the records.
    pub rows: Vec<usize>,
    pub against: Option<Against>,
    /// Mean of the differences from the baseline.
    pub difference: Option<Spread>,
    expected: Option<Expected>,
}

/// A line for each group, not yet compared with a baseline.
pub(super) fn lines(records: &Records, groups: &[Vec<usize>]) -> Vec<ComparedLine> {
    let published = records.columns.iter().any(|column| column.starts_with("expect."));
    let line = |rows: &Vec<usize>| {
        let expected = published.then(|| expected(records, rows)).flatten();
        ComparedLine { expected, rows: rows.clone(), against: None, difference: None }
    };
    groups.iter().map(line).collect()
}

/// Longest text of a setting in a table for people.
const LONGEST: usize = 40;

/// The table, its labels and its notes. Columns are selected by whether they differ among the `judged` rows.
pub(super) fn view(
    records: &Records,
    lines: Vec<ComparedLine>,
    judged: &[usize],
    request: &Request,
    metric: Option<usize>,
) -> Comparison {
    let mut view = ComparisonView { records, lines: &lines, judged, request, out: Table::default(), notes: Vec::new() };
    view.out.rows = vec![Vec::new(); lines.len()];
    let settings = view.settings();
    for column in view.columns(&settings, metric) {
        view.column(column);
    }
    if let (false, Some(metric)) = (request.baseline.is_empty(), metric) {
        view.differences(metric);
    }
    if request.columns.is_none() && lines.iter().any(|line| line.expected.is_some()) {
        view.expected();
    }
    if let (Some(metric), None) = (&request.metric, &request.sort) {
        let first = if lower_is_better(metric) { "lowest" } else { "highest" };
        view.notes.push(format!("sorted by {metric}, the {first} first"));
    }
    view.doubts();
    let labels = view.labels(&settings);
    let ComparisonView { out, notes, .. } = view;
    Comparison {
        table: out,
        labels,
        settings,
        metric,
        notes,
        groups: lines.into_iter().map(|line| line.rows).collect(),
    }
}

pub(super) struct ComparisonView<'a> {
    pub records: &'a Records,
    pub lines: &'a [ComparedLine],
    /// The rows among which a column differs or does not, including those that `--top` hides.
    pub judged: &'a [usize],
    pub request: &'a Request,
    out: Table,
    pub notes: Vec<String>,
}

impl ComparisonView<'_> {
    /// Appends a column, as `name_2` where the name is taken: a foreign table may have both `val_top1` and `val_top1_mean`.
    fn push(&mut self, header: String, cells: Vec<String>) {
        let mut free = header.clone();
        let mut number = 2;
        while self.out.column(&free).is_some() {
            free = format!("{header}_{number}");
            number += 1;
        }
        self.out.columns.push(free);
        for (row, cell) in self.out.rows.iter_mut().zip(cells) {
            row.push(cell);
        }
    }

    fn column(&mut self, column: usize) {
        let (records, lines) = (self.records, self.lines);
        let header = records.columns[column].clone();
        let is_number = |column: Column| column.format() != ColumnFormat::Text;
        let is_measured = match records.role(column) {
            ColumnRole::Result => true,
            ColumnRole::Environment => Column::named(&header).is_some_and(is_number),
            _ => false,
        };
        if is_measured && lines.iter().any(|line| line.rows.len() > 1) {
            // The number of averaged runs precedes the first mean.
            if self.request.plain && self.out.column("n").is_none() {
                let count = |line: &ComparedLine| counted(records, &line.rows).len().to_string();
                self.push("n".to_owned(), lines.iter().map(count).collect());
            }
            return self.means(&header, column);
        }
        let in_percent = self.in_percent(column);
        let cell = |line: &ComparedLine| match records.role(column) {
            ColumnRole::Status => status(records, &line.rows, column),
            _ if in_percent => percent(texts(records, &line.rows, column)),
            _ => texts(records, &line.rows, column),
        };
        let mut cells: Vec<String> = lines.iter().map(cell).collect();
        if !self.request.plain {
            cells = short(&header, &cells);
        }
        self.push(if in_percent { format!("{header} (%)") } else { header }, cells);
    }

    /// Whether a column is written in percent, for people.
    fn in_percent(&self, column: usize) -> bool {
        !self.request.plain && is_fraction(self.records, column)
    }

    /// Appends `mean ± std (n)`, or separate columns for programs.
    fn means(&mut self, header: &str, column: usize) {
        let spreads: Vec<Option<Spread>> =
            self.lines.iter().map(|line| Spread::of(&values(self.records, &line.rows, column))).collect();
        let cells = |text: &dyn Fn(&Spread) -> String| -> Vec<String> {
            spreads.iter().map(|spread| spread.as_ref().map(text).unwrap_or_default()).collect()
        };
        if self.in_percent(column) {
            return self.push(format!("{header} (%)"), cells(&written_percent));
        }
        if !self.request.plain {
            return self.push(header.to_owned(), cells(&|spread| written(spread, header)));
        }
        // The names of a sweep's summary.
        let several = |spread: &Spread, value: f64| if spread.n > 1 { number(value, header) } else { String::new() };
        self.push(format!("{header}_mean"), cells(&|spread| number(spread.mean, header)));
        self.push(format!("{header}_std"), cells(&|spread| several(spread, spread.std)));
        self.push(format!("{header}_low"), cells(&|spread| several(spread, spread.interval()[0])));
        self.push(format!("{header}_high"), cells(&|spread| several(spread, spread.interval()[1])));
        // Some runs may lack this result.
        let counts: Vec<String> = cells(&|spread| spread.n.to_string());
        let is_complete =
            |(line, count): (&ComparedLine, &String)| counted(self.records, &line.rows).len().to_string() == *count;
        if !self.lines.iter().zip(&counts).all(is_complete) {
            self.push(format!("{header}_n"), counts);
        }
    }

    /// Appends the difference from the baseline, its interval, and whether it is more than noise.
    fn differences(&mut self, metric_column: usize) {
        let metric = self.records.columns[metric_column].as_str();
        let text = |line: &ComparedLine, write: &dyn Fn(&Spread) -> String| {
            line.difference.as_ref().map(write).unwrap_or_default()
        };
        let lines = self.lines;
        let column = |write: &dyn Fn(&Spread) -> String| lines.iter().map(|line| text(line, write)).collect::<Vec<_>>();
        let significance = |spread: &Spread| match (spread.n, spread.excludes_zero()) {
            (..2, _) => "–",
            (_, true) => "yes",
            (_, false) => "noise",
        };
        if self.request.plain {
            let bound = |spread: &Spread, end: usize| {
                if spread.n > 1 { number(spread.interval()[end], metric) } else { String::new() }
            };
            self.push(format!("delta_{metric}_mean"), column(&|spread| number(spread.mean, metric)));
            self.push(format!("delta_{metric}_low"), column(&|spread| bound(spread, 0)));
            self.push(format!("delta_{metric}_high"), column(&|spread| bound(spread, 1)));
            self.push(format!("delta_{metric}_n"), column(&|spread| spread.n.to_string()));
            self.push("differs".to_owned(), column(&|spread| significance(spread).to_owned()));
            return;
        }
        let in_percent = self.in_percent(metric_column);
        let scale = if in_percent { 100.0 } else { 1.0 };
        let digits = |spread: &Spread| if in_percent { 2 } else { decimals(spread.std, metric) };
        let mut means = column(&|spread| format!("{} ({})", signed(scale * spread.mean, digits(spread)), spread.n));
        for (cell, line) in means.iter_mut().zip(lines) {
            if line.against == Some(Against::Itself) {
                *cell = "baseline".to_owned();
            }
        }
        self.push(format!("Δ {metric}{}", if in_percent { " (%)" } else { "" }), means);
        let interval = |spread: &Spread| match (spread.n, spread.interval()) {
            (..2, _) => "–".to_owned(),
            (_, ends) => {
                // Two fractions differ by at most one.
                let [low, high] = ends.map(|end| if in_percent { 100.0 * end.clamp(-1.0, 1.0) } else { end });
                // Enough digits to see the sign of an end near zero.
                let digits = nonzero_digits(low, digits(spread)).max(nonzero_digits(high, digits(spread)));
                format!("[{}, {}]", signed(low, digits), signed(high, digits))
            }
        };
        self.push("95 % interval".to_owned(), column(&interval));
        self.push("differs".to_owned(), column(&|spread| significance(spread).to_owned()));
        if !lines.iter().any(|line| line.difference.is_some()) {
            self.notes.push("no seed is common to the baseline and the others".to_owned());
            return;
        }
        self.notes.push(format!(
            "Δ: mean of the differences at equal seeds{} (number of pairs), with Student's 95 % interval; \
             noise: the interval contains zero",
            if in_percent { ", in percentage points" } else { "" }
        ));
        if lines.iter().any(|line| line.difference.is_some_and(|spread| spread.n < 2)) {
            self.notes.push("a single pair has no interval: run more seeds".to_owned());
        }
    }

    fn expected(&mut self) {
        let (lines, plain) = (self.lines, self.request.plain);
        let column = |cell: &dyn Fn(&Expected) -> &str| -> Vec<String> {
            lines
                .iter()
                .map(|line| line.expected.as_ref().map_or_else(String::new, |found| cell(found).to_owned()))
                .collect()
        };
        let header = if self.request.plain { "expected" } else { "expected (%)" };
        self.push(header.to_owned(), column(&|expected| if plain { &expected.value } else { &expected.percent }));
        self.push("met".to_owned(), column(&|expected| &expected.met));
        let mut seen = HashSet::new();
        let names = self.names();
        for (name, expected) in names.iter().zip(lines).filter_map(|(name, line)| Some((name, line.expected.as_ref()?)))
        {
            let note = format!(
                "expected of {name}: test Top-1{} {} % ({})",
                if expected.value.contains('/') { " / Top-5" } else { "" },
                expected.percent,
                expected.source
            );
            if seen.insert(note.clone()) {
                self.notes.push(note);
            }
        }
        if lines.iter().any(|line| line.expected.as_ref().is_some_and(|expected| expected.by_default)) {
            self.notes.push(format!(
                "met: at most {} points below, where [expect] has no tolerance of its own",
                100.0 * TOLERANCE
            ));
        }
    }

    /// Notes what limits the meaning of the means.
    fn doubts(&mut self) {
        let records = self.records;
        let is_mixed = |line: &ComparedLine| {
            let count = line.rows.iter().filter(|&&row| records.counts(row)).count();
            count > 0 && count < line.rows.len()
        };
        if self.lines.iter().any(is_mixed) {
            self.notes.push("means are those of finished runs".to_owned());
        }
        let key = records.column(Column::Key.name());
        // A point of a sweep that has not run has no key.
        let is_run = |row: usize| key.is_none_or(|key| !records.cell(row, key).is_empty());
        let repeats_seed = |line: &ComparedLine| {
            let mut seeds = HashSet::new();
            let seed = |row: usize| records.text(row, Column::Seed);
            line.rows.iter().any(|&row| is_run(row) && !seed(row).is_empty() && !seeds.insert(seed(row)))
        };
        let names = self.names();
        let repeated = self.lines.iter().zip(&names).find(|(line, _)| repeats_seed(line));
        // Groups of the user may hold several experiments.
        if let (None, Some((_, name))) = (&self.request.by, repeated) {
            self.notes.push(format!(
                "{name} has several runs of one seed: they differ in a key that these tables do not hold, or one is listed \
                 twice; --runs shows them"
            ));
        }
    }

    fn names(&self) -> Vec<String> {
        let column = ["name", "source"].into_iter().find_map(|name| self.records.column(name)).unwrap_or(0);
        self.lines.iter().map(|line| texts(self.records, &line.rows, column)).collect()
    }

    /// Names, with the settings that differ where several lines share a name.
    fn labels(&self, settings: &[usize]) -> Vec<String> {
        let names = self.names();
        let mut alike: HashMap<&str, Vec<usize>> = HashMap::new();
        names.iter().enumerate().for_each(|(line, name)| alike.entry(name.as_str()).or_default().push(line));
        let text = |line: &ComparedLine, column: usize| texts(self.records, &line.rows, column);
        let seed = self.records.column(Column::Seed.name()).filter(|_| self.request.runs);
        let cells: HashMap<usize, Vec<String>> = settings
            .iter()
            .chain(&seed)
            .map(|&column| {
                let texts: Vec<String> = self.lines.iter().map(|line| text(line, column)).collect();
                (column, short(&self.records.columns[column], &texts))
            })
            .collect();
        // The settings that differ among the lines of a name: four, or as many as distinguish them.
        let telling = |lines: &Vec<usize>| -> Vec<usize> {
            let count = |columns: &[usize]| {
                let values = |&line: &usize| columns.iter().map(|column| &cells[column][line]).collect::<Vec<_>>();
                lines.iter().map(values).collect::<HashSet<_>>().len()
            };
            let mut chosen: Vec<usize> = Vec::new();
            for &column in settings.iter().filter(|&&column| count(&[column]) > 1) {
                if chosen.len() < 4 || count(&[chosen.as_slice(), &[column]].concat()) > count(&chosen) {
                    chosen.push(column);
                }
            }
            chosen.into_iter().chain(seed).collect()
        };
        let telling: HashMap<&str, Vec<usize>> =
            alike.iter().filter(|(_, lines)| lines.len() > 1).map(|(&name, lines)| (name, telling(lines))).collect();
        let label = |(line, name): (usize, &String)| {
            let setting = |column: &usize| {
                let short = self.records.columns[*column].rsplit('.').next().unwrap_or_default();
                let value = &cells[column][line];
                if value.is_empty() { String::new() } else { format!(" {short}={value}") }
            };
            let settings: String = telling.get(name.as_str()).into_iter().flatten().map(setting).collect();
            format!("{name}{settings}")
        };
        names.iter().enumerate().map(label).collect()
    }
}

/// The texts of a column as short as people need them.
fn short(header: &str, texts: &[String]) -> Vec<String> {
    match std::env::current_dir() {
        Ok(folder) if ["data.path", "source"].contains(&header) => cut_apart(&short_paths(texts, &folder), LONGEST),
        _ => cut_apart(texts, LONGEST),
    }
}

/// A number with its sign, which is positive where all digits are zero.
fn signed(value: f64, digits: usize) -> String {
    let text = format!("{value:+.digits$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| matches!(c, '0' | '.')) => format!("+{rest}"),
        _ => text,
    }
}

/// The number of decimals, at least `digits`, in which the number is not written as zero; up to nine, below which it is a
/// rounding error.
fn nonzero_digits(value: f64, digits: usize) -> usize {
    (digits..=9).find(|&digits| value.abs() >= 0.5 * 10f64.powi(-(digits as i32))).unwrap_or(digits)
}

/// Fractions in percent: `0.9, 0.8` as `90.00, 80.00`.
fn percent(texts: String) -> String {
    let percent = |text: &str| text.parse::<f64>().map_or(text.to_owned(), |value| format!("{:.2}", 100.0 * value));
    texts.split(", ").map(percent).collect::<Vec<_>>().join(", ")
}
