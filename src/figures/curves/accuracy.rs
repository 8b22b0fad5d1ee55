//! Accuracy of a sweep's settings: by a number that was varied, by name, and against what the networks cost.

use super::{MOST, Range, spans};
use crate::analysis::settings::{Measured, Settings};
use crate::figures::chart::{Axis, COLOURS, Chart, ChartPoint, Figure, LineStyles, Marks, Series, Stroke, suits_log};
use std::collections::HashSet;

/// More settings than these are not named in a picture of costs, nor listed on an axis of names.
const NAMED: usize = 24;
const LISTED: usize = 40;
/// An axis of so few values is numbered at these.
const FEW: usize = 9;

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

/// What a picture of single runs shows.
const SEEDS: &str =
    "Dots are single runs, lines join means over seeds, bands reach from the lowest to the highest seed.";

/// Validation and test Top-1 by the first number that was varied.
pub fn by_number(
    key: &str,
    settings: &Settings,
    measured: &[Measured],
    name: &str,
    note: impl Fn(&str) -> String,
) -> Figure {
    let values: Vec<f64> = measured.iter().filter_map(|point| point.setting.x).collect();
    let log = suits_log(&values);
    let axis = Axis::new(&if log { format!("{key} (logarithmic)") } else { key.to_owned() });
    let mut distinct = values;
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    let axis = axis.at(if distinct.len() <= FEW { distinct } else { Vec::new() });
    let axis = if log { axis.log() } else { axis.padding(0.04) };

    // A random search has hardly two points in one series: they are one cloud.
    let all: HashSet<&str> = settings.settings.iter().map(|setting| setting.series.as_str()).collect();
    let cloud = all.len() > 1 && all.len() * 2 > settings.settings.len();
    let mut groups = if cloud { vec![("", measured.iter().collect())] } else { series(measured) };
    let others = settings.others.join(", ");
    let text = match groups.len() {
        _ if cloud => format!("Each dot is a run; {others} vary too."),
        count if count > MOST => format!("{SEEDS} The first {MOST} of {count} settings of {others}."),
        _ => SEEDS.to_owned(),
    };
    groups.truncate(MOST);
    let styles = LineStyles::new(&groups.iter().map(|(series, _)| *series).collect::<Vec<_>>());
    let text = format!("{text} {}", styles.note).trim().to_owned();
    let panels = splits(&measured.iter().collect::<Vec<_>>()).into_iter().map(|(split, label)| {
        let mut chart = Chart::new(&format!("{name}: {label}"), axis.clone(), Axis::new(label).percent());
        for ((series, points), &style) in groups.iter().zip(&styles.lines) {
            let name = if styles.legend.is_empty() { series } else { "" };
            chart.series.extend(number_series(name, style, points, split, !cloud));
        }
        chart
    });
    Figure {
        title: format!("{name}: accuracy by {key}"),
        note: note(&text),
        panels: panels.collect(),
        keys: styles.legend.clone(),
    }
}

/// One series on an axis of numbers: a dot a run, and a line of means with its band where points belong to one another.
fn number_series(
    name: &str,
    (colour, stroke): (&'static str, Stroke),
    points: &[&Measured],
    split: usize,
    joined: bool,
) -> Vec<Series> {
    let mut points: Vec<(f64, &Measured)> = points
        .iter()
        .filter(|point| !point.top1[split].is_empty())
        .filter_map(|point| Some((point.setting.x?, *point)))
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut series = Vec::new();
    if joined {
        let ranges: Vec<(f64, Range)> = points.iter().map(|(x, point)| (*x, Range::of(&point.top1[split]))).collect();
        let band = ranges.iter().map(|&(x, range)| [x, range.low, range.high]).collect();
        let points = ranges.iter().map(|&(x, range)| [x, range.mean]).collect();
        series.push(Series { name: name.to_owned(), colour, marks: Marks::Line { points, band, stroke } });
    }
    let dots = points
        .iter()
        .flat_map(|(x, point)| point.top1[split].iter().map(|&y| dot(*x, y, String::new(), &point.setting.label)));
    let marks = Marks::Points { points: dots.collect(), linked: false };
    series.push(Series { name: String::new(), colour, marks });
    series
}

/// A list of settings that have no number: the best on top.
pub fn by_name(mut measured: Vec<&Measured>, name: &str, note: impl Fn(&str) -> String) -> Figure {
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
        text.push_str(&format!("{MEANS} "));
    }
    if count > LISTED {
        text.push_str(&format!("The best {LISTED} of {count} settings."));
    }
    Figure { title: format!("{name}: accuracy"), note: note(text.trim()), panels: panels.collect(), keys: vec![] }
}

/// Test Top-1, or validation where not all were tested, against multiply-adds and parameters. `None` where all cost the same.
pub fn by_cost(
    settings: &Settings,
    measured: &[Measured],
    name: &str,
    note: impl Fn(&str) -> String,
) -> Option<Figure> {
    let tested = measured.iter().all(|point| !point.top1[1].is_empty());
    let (split, label) = if tested { (1, "test Top-1") } else { (0, "validation Top-1") };
    let groups = series(measured);
    let joined = settings.x.is_some() && groups.len() <= MOST && groups.len() < measured.len();
    let groups = if joined { groups } else { vec![("", measured.iter().collect())] };
    let macs: Cost = |point| point.macs;
    let panels: Vec<Chart> = [("multiply-adds", macs), ("parameters", |point| point.params)]
        .into_iter()
        .filter_map(|(what, cost)| {
            let values: Vec<f64> = measured.iter().map(cost).filter(|value| *value > 0.0).collect();
            // Points above one another say nothing about cost.
            if !spans(&values, 1.0) {
                return None;
            }
            let (unit, unit_name) = unit(values.iter().copied().fold(0.0, f64::max));
            let log = spans(&values, 3.0);
            let axis = Axis::new(&format!("{what} ({unit_name}{})", if log { ", logarithmic" } else { "" }));
            let axis = if log { axis.padding(0.08).log() } else { axis.padding(0.08) };
            let title = format!("{name}: {label} against {what}");
            let mut chart = Chart::new(&title, axis, Axis::new(label).percent().padding(0.1));
            let named = measured.len() <= NAMED;
            for (index, (series, points)) in groups.iter().enumerate() {
                let places: Vec<(f64, &Measured)> = points.iter().map(|point| (cost(point) / unit, *point)).collect();
                chart.series.extend(cost_series(index, series, places, split, joined, named));
            }
            Some(chart)
        })
        .collect();
    let several = measured.iter().any(|point| point.top1[split].len() > 1);
    let text = if several { MEANS } else { "" };
    let title = format!("{name}: accuracy against cost");
    (!panels.is_empty()).then(|| Figure { title, note: note(text), panels, keys: Vec::new() })
}

type Cost = fn(&Measured) -> f64;

/// What a picture of means shows.
const MEANS: &str = "Dots are means over seeds, lines reach from the lowest to the highest seed.";

/// One series on an axis of costs; joined points are called by their number, others by all of their keys.
fn cost_series(
    index: usize,
    name: &str,
    mut points: Vec<(f64, &Measured)>,
    split: usize,
    joined: bool,
    named: bool,
) -> Vec<Series> {
    let colour = COLOURS[index % COLOURS.len()];
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut series = Vec::new();
    let mut means = Vec::new();
    for (x, point) in points {
        let range = Range::of(&point.top1[split]);
        if point.top1[split].len() > 1 {
            let marks =
                Marks::Line { points: vec![[x, range.low], [x, range.high]], band: Vec::new(), stroke: Stroke::Thin };
            series.push(Series { name: String::new(), colour, marks });
        }
        let label = match point.setting.x {
            _ if !named => String::new(),
            Some(number) if joined => number.to_string(),
            _ => point.setting.label.clone(),
        };
        means.push(dot(x, range.mean, label, &point.setting.label));
    }
    let marks = Marks::Points { points: means, linked: joined };
    series.push(Series { name: name.to_owned(), colour, marks });
    series
}

fn dot(x: f64, y: f64, label: String, of: &str) -> ChartPoint {
    ChartPoint { x, y, area: 0.0, label, hint: format!("{of}: {:.2} %", 100.0 * y) }
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
