//! The comparison written down: which columns, and what stands in each cell.

use super::difference::Against;
use super::expected::{Expected, TOLERANCE, expected};
use super::group::{self, Group, counts, decimals, number, texts, values, written};
use super::{Comparison, Request};
use crate::analysis::collect::Collection;
use crate::analysis::statistics::Spread;
use crate::runs::Table;
use crate::runs::format::cut;
use crate::runs::roles::Kind;
use std::collections::{HashMap, HashSet};

/// One line of the comparison.
pub struct Line {
    pub group: Group,
    pub against: Option<Against>,
    /// Mean of the differences from the baseline.
    pub difference: Option<Spread>,
    expected: Option<Expected>,
}

/// Lines without a baseline.
pub fn lines(table: &Table, groups: Vec<Group>) -> Vec<Line> {
    let published = table.columns.iter().any(|column| column.starts_with("expect."));
    let expected = |group: &Group| published.then(|| expected(table, group)).flatten();
    groups
        .into_iter()
        .map(|group| Line { expected: expected(&group), group, against: None, difference: None })
        .collect()
}

/// Longest text of a setting in a table for people.
const LONGEST: usize = 40;

/// The table, its labels and its notes. A column differs or not among the `judged` rows.
pub fn view(
    collection: &Collection,
    kinds: &[Kind],
    lines: Vec<Line>,
    judged: &[usize],
    request: &Request,
    metric: Option<usize>,
) -> Comparison {
    let table = &collection.table;
    let mut view = View { collection, kinds, lines: &lines, judged, request, out: Table::default(), notes: Vec::new() };
    view.out.rows = vec![Vec::new(); lines.len()];
    let settings = view.settings();
    for column in view.columns(&settings, metric) {
        view.column(column);
    }
    let name = metric.and_then(|metric| table.columns.get(metric));
    if let (false, Some(name)) = (request.baseline.is_empty(), name) {
        view.differences(name);
    }
    if request.columns.is_none() && lines.iter().any(|line| line.expected.is_some()) {
        view.expected();
    }
    view.doubts();
    let labels = view.labels(&settings);
    let View { out, notes, .. } = view;
    Comparison { table: out, labels, notes, groups: lines.into_iter().map(|line| line.group).collect() }
}

pub struct View<'a> {
    pub collection: &'a Collection,
    pub kinds: &'a [Kind],
    pub lines: &'a [Line],
    /// The rows among which a column differs or does not: those left out by `--top`, too.
    pub judged: &'a [usize],
    pub request: &'a Request,
    out: Table,
    pub notes: Vec<String>,
}

impl View<'_> {
    fn table(&self) -> &Table {
        &self.collection.table
    }

    /// A column under this name, or `name_2` and so on: a table from elsewhere may have `val_top1_mean` beside `val_top1`.
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
        let (table, lines) = (&self.collection.table, self.lines);
        let header = table.columns[column].clone();
        let several = lines.iter().any(|line| line.group.rows.len() > 1);
        let measured = match self.kinds[column] {
            Kind::Result => true,
            Kind::Circumstance => matches!(header.as_str(), "seconds" | "best_epoch" | "test_correct" | "test_total"),
            _ => false,
        };
        if measured && several {
            // Ahead of the first mean, how many runs these are of.
            if self.request.plain && self.out.column("n").is_none() {
                let count = |line: &Line| group::counted(table, &line.group).len().to_string();
                self.push("n".to_owned(), lines.iter().map(count).collect());
            }
            return self.means(&header, column);
        }
        let cell = |line: &Line| match self.kinds[column] {
            Kind::Status => group::status(table, &line.group, column),
            _ => texts(table, &line.group, column),
        };
        let cells =
            lines.iter().map(cell).map(|text| if self.request.plain { text } else { shortened(text) }).collect();
        self.push(header, cells);
    }

    /// `mean ± std (n)`, or columns of their own for programs.
    fn means(&mut self, header: &str, column: usize) {
        let spreads: Vec<Option<Spread>> =
            self.lines.iter().map(|line| Spread::of(&values(self.table(), &line.group, column))).collect();
        let cells = |text: &dyn Fn(&Spread) -> String| -> Vec<String> {
            spreads.iter().map(|spread| spread.as_ref().map(text).unwrap_or_default()).collect()
        };
        if !self.request.plain {
            return self.push(header.to_owned(), cells(&|spread| written(spread, header)));
        }
        // As in the summary of a sweep.
        let several = |spread: &Spread, value: f64| if spread.n > 1 { number(value, header) } else { String::new() };
        self.push(format!("{header}_mean"), cells(&|spread| number(spread.mean, header)));
        self.push(format!("{header}_std"), cells(&|spread| several(spread, spread.std)));
        self.push(format!("{header}_low"), cells(&|spread| several(spread, spread.interval()[0])));
        self.push(format!("{header}_high"), cells(&|spread| several(spread, spread.interval()[1])));
        // Some runs may lack this result.
        let counts: Vec<String> = cells(&|spread| spread.n.to_string());
        let counted = |(line, count): (&Line, &String)| {
            group::counted(&self.collection.table, &line.group).len().to_string() == *count
        };
        if !self.lines.iter().zip(&counts).all(counted) {
            self.push(format!("{header}_n"), counts);
        }
    }

    /// Difference from the baseline, its interval, and whether that is more than noise.
    fn differences(&mut self, metric: &str) {
        let text =
            |line: &Line, write: &dyn Fn(&Spread) -> String| line.difference.as_ref().map(write).unwrap_or_default();
        let lines = self.lines;
        let column = |write: &dyn Fn(&Spread) -> String| lines.iter().map(|line| text(line, write)).collect::<Vec<_>>();
        let verdict = |spread: &Spread| match (spread.n, spread.excludes_zero()) {
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
            self.push("differs".to_owned(), column(&|spread| verdict(spread).to_owned()));
            return;
        }
        let digits = |spread: &Spread| decimals(spread.std, metric);
        let mut means = column(&|spread| format!("{} ({})", signed(spread.mean, digits(spread)), spread.n));
        for (cell, line) in means.iter_mut().zip(lines) {
            if line.against == Some(Against::Itself) {
                *cell = "baseline".to_owned();
            }
        }
        self.push(format!("Δ {metric}"), means);
        let interval = |spread: &Spread| match (spread.n, spread.interval()) {
            (..2, _) => "–".to_owned(),
            (_, [low, high]) => {
                // Where an end is near zero its sign decides: enough digits to see it.
                let digits = telling(low, digits(spread)).max(telling(high, digits(spread)));
                format!("[{}, {}]", signed(low, digits), signed(high, digits))
            }
        };
        self.push("95 % interval".to_owned(), column(&interval));
        self.push("differs".to_owned(), column(&|spread| verdict(spread).to_owned()));
        if !lines.iter().any(|line| line.difference.is_some()) {
            self.notes.push("no seed is common to the baseline and the others".to_owned());
            return;
        }
        self.notes.push(
            "Δ: mean of the differences at equal seeds (number of pairs), with Student's 95 % interval; \
             noise: the interval holds zero"
                .to_owned(),
        );
        if lines.iter().any(|line| line.difference.is_some_and(|spread| spread.n < 2)) {
            self.notes.push("a single pair has no interval: run more seeds".to_owned());
        }
    }

    fn expected(&mut self) {
        let lines = self.lines;
        let column = |cell: &dyn Fn(&Expected) -> &str| -> Vec<String> {
            lines
                .iter()
                .map(|line| line.expected.as_ref().map_or_else(String::new, |found| cell(found).to_owned()))
                .collect()
        };
        self.push("expected".to_owned(), column(&|expected| &expected.value));
        self.push("met".to_owned(), column(&|expected| &expected.met));
        let mut told = HashSet::new();
        let names = self.names();
        for (name, expected) in names.iter().zip(lines).filter_map(|(name, line)| Some((name, line.expected.as_ref()?)))
        {
            let note = format!(
                "expected of {name}: test Top-1{} {} ({})",
                if expected.value.contains('/') { " / Top-5" } else { "" },
                expected.value,
                expected.source
            );
            if told.insert(note.clone()) {
                self.notes.push(note);
            }
        }
        if lines.iter().any(|line| line.expected.as_ref().is_some_and(|expected| expected.by_default)) {
            self.notes.push(format!("met: at most {TOLERANCE} below, where [expect] has no tolerance of its own"));
        }
    }

    /// What may make a mean less than it seems.
    fn doubts(&mut self) {
        let table = &self.collection.table;
        let names = self.names();
        if let Some(status) = table.column("status") {
            let finished = |&&row: &&usize| counts(&table.rows[row][status]);
            let mixed = |line: &&Line| {
                let count = line.group.rows.iter().filter(finished).count();
                count > 0 && count < line.group.rows.len()
            };
            if self.lines.iter().any(|line| mixed(&line)) {
                self.notes.push("means are those of finished runs".to_owned());
            }
        }
        let Some(seed) = table.column("seed") else { return };
        let key = table.column("key");
        // A sweep's point that has not run has no key, and is no run.
        let is_run = |row: &Vec<String>| key.is_none_or(|key| !row[key].is_empty());
        let twice = |line: &Line| {
            let mut seeds = HashSet::new();
            line.group
                .rows
                .iter()
                .map(|&row| &table.rows[row])
                .any(|row| is_run(row) && !row[seed].is_empty() && !seeds.insert(&row[seed]))
        };
        // Groups that the user made may hold several experiments.
        if let (None, Some((_, name))) = (&self.request.by, self.lines.iter().zip(&names).find(|(line, _)| twice(line)))
        {
            self.notes.push(format!(
                "{name} has several runs of one seed: they differ in a key that these tables do not hold, or one stands there \
                 twice; --runs shows them"
            ));
        }
    }

    fn names(&self) -> Vec<String> {
        let column = ["name", "source"].into_iter().find_map(|name| self.table().column(name)).unwrap_or(0);
        self.lines.iter().map(|line| texts(self.table(), &line.group, column)).collect()
    }

    /// Names, with the settings that differ where a name stands for several lines.
    fn labels(&self, settings: &[usize]) -> Vec<String> {
        let names = self.names();
        let mut counts = HashMap::new();
        names.iter().for_each(|name| *counts.entry(name.as_str()).or_insert(0) += 1);
        let label = |(name, line): (&String, &Line)| {
            if counts.get(name.as_str()) == Some(&1) {
                return name.clone();
            }
            let table = self.table();
            let setting = |&column: &usize| {
                let short = table.columns[column].rsplit('.').next().unwrap_or_default();
                format!(" {short}={}", shortened(texts(table, &line.group, column)))
            };
            let seed = table.column("seed").filter(|_| self.request.runs);
            let told: String = settings.iter().take(4).chain(&seed).map(setting).collect();
            format!("{name}{told}")
        };
        names.iter().zip(self.lines).map(label).collect()
    }
}

/// A number with its sign; what is zero in so many digits has none that counts.
fn signed(value: f64, digits: usize) -> String {
    let text = format!("{value:+.digits$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| matches!(c, '0' | '.')) => format!("+{rest}"),
        _ => text,
    }
}

/// Digits in which a number that is not zero is not written as zero either; what only rounding makes is zero.
fn telling(value: f64, digits: usize) -> usize {
    (digits..=9).find(|&digits| value.abs() >= 0.5 * 10f64.powi(-(digits as i32))).unwrap_or(digits)
}

fn shortened(text: String) -> String {
    cut(&text, LONGEST)
}
