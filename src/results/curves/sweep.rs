//! The pictures of a sweep: its curves, its parameter against accuracy, accuracy against cost.

use super::setting::{Setting, Settings};
use super::{CurveGroup, MOST, Range, figure, read_epochs, read_table, spans, write};
use crate::results::plot::{Axis, COLOURS, Chart, Figure, Marks, Point, Series, Stroke};
use crate::results::run_folder::RunError;
use crate::results::table::Table;
use std::path::{Path, PathBuf};

/// More settings than these are not named in a picture of costs, nor listed on an axis of names.
const NAMED: usize = 24;
const LISTED: usize = 40;
/// An axis of so few values is numbered at these.
const FEW: usize = 9;
/// Values of a numeric key that span more than this are drawn on a logarithmic axis.
const LOGARITHMIC: f64 = 20.0;

/// Pictures of a sweep; those that its table has nothing for are missing.
#[derive(Debug, Default)]
pub struct SweepPictures {
    /// From the run folders, which may be elsewhere.
    pub curves: Option<Figure>,
    pub parameter: Option<Figure>,
    pub cost: Option<Figure>,
}

/// Draws a sweep's pictures into its folder, `sweeps/NAME` of a results folder, from the `table.csv` there and the runs
/// below `results`; gives the files that were written. A picture whose data are missing is left as it is.
///
/// # Errors
/// When the table cannot be read or a picture cannot be written.
pub fn write_sweep_pictures(folder: &Path, results: &Path) -> Result<Vec<PathBuf>, RunError> {
    let table = read_table(&folder.join("table.csv"))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let SweepPictures { curves, parameter, cost } = sweep_pictures(&table, &name, results);
    let mut written = Vec::new();
    for (file, figure) in [("curves.svg", curves), ("parameter.svg", parameter), ("cost.svg", cost)] {
        if let Some(figure) = figure {
            let path = folder.join(file);
            write(&path, &figure.svg())?;
            written.push(path);
        }
    }
    Ok(written)
}

/// The pictures of a sweep's table; `name` stands in their titles.
pub fn sweep_pictures(table: &Table, name: &str, results: &Path) -> SweepPictures {
    let settings = Settings::of(table);
    let measured = Measured::all(table, &settings.settings);
    let gone = missing(table);
    let mut pictures = SweepPictures { curves: curves(table, &settings.settings, name, results), ..Default::default() };
    if measured.is_empty() {
        return pictures;
    }
    let note = |text: &str| format!("{text}{gone}");
    pictures.parameter = match settings.x {
        Some(column) => by_number(&table.columns[column], &settings, &measured, name, note),
        None => Some(by_name(measured.iter().collect(), name, note)),
    };
    pictures.cost = by_cost(&settings, &measured, name, note);
    pictures
}

/// What runs of a setting came to.
struct Measured<'a> {
    setting: &'a Setting,
    /// Validation and test Top-1, a value a run; the latter may be empty.
    top1: [Vec<f64>; 2],
    macs: f64,
    params: f64,
}

impl<'a> Measured<'a> {
    /// Settings with a finished run.
    fn all(table: &Table, settings: &'a [Setting]) -> Vec<Measured<'a>> {
        let status = table.column("status");
        let done = |&row: &usize| status.is_none_or(|column| table.rows[row][column] == "done");
        let measure = |setting: &'a Setting| {
            let rows: Vec<usize> = setting.rows.iter().copied().filter(done).collect();
            let numbers = |name: &str| table.column(name).map_or_else(Vec::new, |column| table.numbers(column, &rows));
            let [macs, params] = ["macs", "params"].map(|name| numbers(name).first().copied().unwrap_or(f64::NAN));
            let top1 = ["val_top1", "test_top1"].map(numbers);
            (!top1[0].is_empty()).then_some(Measured { setting, top1, macs, params })
        };
        settings.iter().filter_map(measure).collect()
    }
}

/// What a picture of finished runs does not show, as the end of its note.
fn missing(table: &Table) -> String {
    let Some(column) = table.column("status") else { return String::new() };
    let count = |wanted: &[&str]| table.rows.iter().filter(|row| wanted.contains(&row[column].as_str())).count();
    let (done, diverged, failed) = (count(&["done"]), count(&["diverged"]), count(&["failed"]));
    let parts = [(diverged, "diverged"), (failed, "failed"), (table.rows.len() - done - diverged - failed, "to come")];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if parts.is_empty() { String::new() } else { format!(" Not shown: runs {}.", parts.join(", ")) }
}

fn curves(table: &Table, settings: &[Setting], name: &str, results: &Path) -> Option<Figure> {
    let [name_column, key_column] = [table.column("name")?, table.column("key")?];
    let top1 = table.column("val_top1");
    // Of many settings only the best are read: pictures are drawn after every point of a sweep.
    let mut chosen: Vec<(usize, f64)> = settings
        .iter()
        .enumerate()
        .map(|(index, setting)| {
            let values = top1.map_or_else(Vec::new, |column| table.numbers(column, &setting.rows));
            (index, if values.is_empty() { f64::NEG_INFINITY } else { Range::of(&values).mean })
        })
        .collect();
    chosen.sort_by(|a, b| b.1.total_cmp(&a.1));
    chosen.truncate(MOST);
    chosen.sort_by_key(|&(index, _)| index);
    let group = |&(index, _): &(usize, f64)| {
        let setting = &settings[index];
        let run = |&row: &usize| {
            let row = &table.rows[row];
            read_epochs(&results.join("runs").join(&row[name_column]).join(&row[key_column])).ok()
        };
        let runs: Vec<_> = setting.rows.iter().filter_map(run).filter(|rows| !rows.is_empty()).collect();
        let name = if setting.label.is_empty() { name.to_owned() } else { setting.label.clone() };
        (!runs.is_empty()).then_some(CurveGroup { name, runs })
    };
    let groups: Vec<CurveGroup> = chosen.iter().filter_map(group).collect();
    if groups.is_empty() {
        return None;
    }
    let mut figure = figure(&groups, &format!("{name}: curves"));
    if settings.len() > MOST {
        let best = format!("The {} of {} settings with the best validation Top-1.", groups.len(), settings.len());
        figure.note = format!("{} {best}", figure.note).trim().to_owned();
    }
    Some(figure)
}

/// Panels of validation and test Top-1; the latter only where there are values.
fn splits(measured: &[&Measured]) -> Vec<(usize, &'static str)> {
    let tested = measured.iter().any(|point| !point.top1[1].is_empty());
    [(0, "validation Top-1"), (1, "test Top-1")].into_iter().take(if tested { 2 } else { 1 }).collect()
}

/// Settings by series, in the order of the table.
fn series<'m, 'a>(measured: &'m [Measured<'a>]) -> Vec<(&'a str, Vec<&'m Measured<'a>>)> {
    let mut series: Vec<(&str, Vec<&Measured>)> = Vec::new();
    for point in measured {
        let name = point.setting.series.as_str();
        match series.iter_mut().find(|(known, _)| *known == name) {
            Some((_, points)) => points.push(point),
            None => series.push((name, vec![point])),
        }
    }
    series
}

const SEEDS: &str =
    "Dots are single runs, lines join means over seeds, bands reach from the lowest to the highest seed.";

fn by_number(
    key: &str,
    settings: &Settings,
    measured: &[Measured],
    name: &str,
    note: impl Fn(&str) -> String,
) -> Option<Figure> {
    let values: Vec<f64> = measured.iter().filter_map(|point| point.setting.x).collect();
    let log = spans(&values, LOGARITHMIC);
    let mut distinct = values.clone();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    let at = if distinct.len() <= FEW { distinct } else { Vec::new() };
    let mut series = series(measured);
    // A random search has hardly two points in one series: they are one cloud.
    let cloud = series.len() > 1 && series.len() * 2 > measured.len();
    let count = series.len();
    let mut text = SEEDS.to_owned();
    if cloud {
        series = vec![("", measured.iter().collect())];
        text = format!("Each dot is a run; {} vary too.", settings.others.join(", "));
    } else if count > MOST {
        series.truncate(MOST);
        text = format!("{SEEDS} The first {MOST} of {count} settings of {}.", settings.others.join(", "));
    }
    let panels = splits(&measured.iter().collect::<Vec<_>>()).into_iter().map(|(split, label)| {
        let axis = Axis::new(&if log { format!("{key} (logarithmic)") } else { key.to_owned() });
        let axis = if log { axis.log() } else { axis.padding(0.04) }.at(at.clone());
        let mut chart = Chart::new(&format!("{name}: {label}"), axis, Axis::new(label).percent());
        for (index, (series, points)) in series.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let stroke = if index < COLOURS.len() { Stroke::Solid } else { Stroke::Dashed };
            let mut points: Vec<&Measured> =
                points.iter().copied().filter(|point| !point.top1[split].is_empty()).collect();
            points.sort_by(|a, b| a.setting.x.unwrap_or(f64::NAN).total_cmp(&b.setting.x.unwrap_or(f64::NAN)));
            if !cloud {
                let ranges: Vec<(f64, Range)> =
                    points.iter().filter_map(|point| Some((point.setting.x?, Range::of(&point.top1[split])))).collect();
                let band = ranges.iter().map(|&(x, range)| [x, range.low, range.high]).collect();
                let points = ranges.iter().map(|&(x, range)| [x, range.mean]).collect();
                let marks = Marks::Line { points, band, stroke };
                chart.series.push(Series { name: (*series).to_owned(), colour, marks });
            }
            let dots = points.iter().flat_map(|point| {
                let x = point.setting.x.unwrap_or(f64::NAN);
                point.top1[split].iter().map(move |&y| dot(x, y, String::new(), &point.setting.label))
            });
            let marks = Marks::Points { points: dots.collect(), linked: false };
            chart.series.push(Series { name: String::new(), colour, marks });
        }
        chart
    });
    Some(Figure {
        title: format!("{name}: accuracy by {key}"),
        note: note(&text),
        panels: panels.collect(),
        keys: vec![],
    })
}

/// A list of settings that have no number: the best on top.
fn by_name(mut measured: Vec<&Measured>, name: &str, note: impl Fn(&str) -> String) -> Figure {
    let count = measured.len();
    let splits = splits(&measured);
    let mean = |point: &Measured, split: usize| match point.top1[split].as_slice() {
        [] => f64::NEG_INFINITY,
        values => Range::of(values).mean,
    };
    let last = splits.len() - 1;
    measured.sort_by(|a, b| mean(b, last).total_cmp(&mean(a, last)));
    measured.truncate(LISTED);
    measured.reverse();
    let names: Vec<String> = measured.iter().map(|point| point.setting.label.clone()).collect();
    let several = measured.iter().any(|point| point.top1[0].len() > 1);
    let panels = splits.iter().map(|&(split, label)| {
        let axis = Axis::of_names("", names.clone());
        let mut chart = Chart::new(&format!("{name}: {label}"), Axis::new(label).percent().padding(0.05), axis);
        let mut dots = Vec::new();
        for (place, point) in measured.iter().enumerate().filter(|(_, point)| !point.top1[split].is_empty()) {
            let (y, range) = (place as f64, Range::of(&point.top1[split]));
            let marks =
                Marks::Line { points: vec![[range.low, y], [range.high, y]], band: vec![], stroke: Stroke::Thin };
            chart.series.push(Series { name: String::new(), colour: COLOURS[0], marks });
            dots.push(dot(range.mean, y, String::new(), &point.setting.label));
        }
        let marks = Marks::Points { points: dots, linked: false };
        chart.series.push(Series { name: String::new(), colour: COLOURS[0], marks });
        chart
    });
    let mut text = String::new();
    if several {
        text.push_str("Dots are means over seeds, lines reach from the lowest to the highest seed. ");
    }
    if count > LISTED {
        text.push_str(&format!("The best {LISTED} of {count} settings."));
    }
    Figure { title: format!("{name}: accuracy"), note: note(text.trim()), panels: panels.collect(), keys: vec![] }
}

fn by_cost(settings: &Settings, measured: &[Measured], name: &str, note: impl Fn(&str) -> String) -> Option<Figure> {
    let tested = measured.iter().all(|point| !point.top1[1].is_empty());
    let (split, label) = if tested { (1, "test Top-1") } else { (0, "validation Top-1") };
    let groups = series(measured);
    let lines = settings.x.is_some() && groups.len() <= MOST && groups.len() < measured.len();
    let groups = if lines { groups } else { vec![("", measured.iter().collect())] };
    let costs: [(&str, fn(&Measured) -> f64); 2] =
        [("multiply-adds", |point| point.macs), ("parameters", |p| p.params)];
    let mut panels = Vec::new();
    for (what, cost) in costs {
        let values: Vec<f64> = measured.iter().map(cost).filter(|value| *value > 0.0).collect();
        // Points above one another say nothing about cost.
        if !spans(&values, 1.0) {
            continue;
        }
        let (unit, unit_name) = unit(values.iter().copied().fold(0.0, f64::max));
        let log = spans(&values, 3.0);
        let axis = Axis::new(&format!("{what} ({unit_name}{})", if log { ", logarithmic" } else { "" })).padding(0.08);
        let axis = if log { axis.log() } else { axis };
        let mut chart =
            Chart::new(&format!("{name}: {label} against {what}"), axis, Axis::new(label).percent().padding(0.1));
        for (index, (series, points)) in groups.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let mut means = Vec::new();
            for point in points {
                let range = Range::of(&point.top1[split]);
                let x = cost(point) / unit;
                if point.top1[split].len() > 1 {
                    let points = vec![[x, range.low], [x, range.high]];
                    let marks = Marks::Line { points, band: vec![], stroke: Stroke::Thin };
                    chart.series.push(Series { name: String::new(), colour, marks });
                }
                let named =
                    if lines { point.setting.x.map(|x| x.to_string()) } else { Some(point.setting.label.clone()) };
                let text = if measured.len() <= NAMED { named.unwrap_or_default() } else { String::new() };
                means.push(dot(x, range.mean, text, &point.setting.label));
            }
            means.sort_by(|a, b| a.x.total_cmp(&b.x));
            chart.series.push(Series {
                name: (*series).to_owned(),
                colour,
                marks: Marks::Points { points: means, linked: lines },
            });
        }
        panels.push(chart);
    }
    let several = measured.iter().any(|point| point.top1[split].len() > 1);
    let text = if several { "Dots are means over seeds, lines reach from the lowest to the highest seed." } else { "" };
    (!panels.is_empty()).then(|| Figure {
        title: format!("{name}: accuracy against cost"),
        note: note(text),
        panels,
        keys: vec![],
    })
}

fn dot(x: f64, y: f64, label: String, of: &str) -> Point {
    Point { x, y, area: 0.0, label, hint: format!("{of}: {:.2} %", 100.0 * y) }
}

/// A power of a thousand to count in, and how it is written.
fn unit(most: f64) -> (f64, &'static str) {
    match most {
        m if m >= 2e9 => (1e9, "10⁹"),
        m if m >= 2e6 => (1e6, "10⁶"),
        m if m >= 2e3 => (1e3, "10³"),
        _ => (1.0, "number"),
    }
}
