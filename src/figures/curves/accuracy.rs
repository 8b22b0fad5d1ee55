//! Accuracy of a sweep's settings by a number that varies, by name, and against the cost of the networks.

use super::spans;
use crate::analysis::Spread;
use crate::analysis::settings::{Measured, Settings};
use crate::figures::chart::{
    Axis, COLOURS, Chart, ChartPoint, Figure, LineStyle, LineStyles, Marks, Series, Stroke, colour, suits_log,
};
use crate::runs::group_by;
use std::collections::HashSet;

/// Points against cost are labelled up to this number of settings.
const NAMED: usize = 24;
/// Settings on an axis of names.
const LISTED: usize = 40;
/// Lines of accuracy by cost.
const JOINED: usize = 16;
/// Up to this number of values an axis has its ticks at them.
const FEW: usize = 9;

/// The splits that get a panel: validation, and test where there are values.
fn splits(measured: &[&Measured]) -> Vec<(usize, &'static str)> {
    let tested = measured.iter().any(|point| !point.top1[1].is_empty());
    [(0, "validation Top-1"), (1, "test Top-1")].into_iter().take(if tested { 2 } else { 1 }).collect()
}

/// Settings by series, in the order of the table.
fn series<'m, 'a>(measured: &'m [Measured<'a>]) -> Vec<(&'a str, Vec<&'m Measured<'a>>)> {
    group_by(measured, |point| point.setting.series.as_str())
}

/// Explains a figure of single runs.
const SEEDS: &str =
    "Dots are single runs, lines join means over seeds, bands reach from the lowest to the highest seed.";

/// Validation and test Top-1 by the first number that varies.
pub(super) fn by_number(
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

    // A random search has hardly two points in a series: lines would mean nothing.
    let all: HashSet<&str> = settings.settings.iter().map(|setting| setting.series.as_str()).collect();
    let cloud = all.len() > 1 && all.len() * 2 > settings.settings.len();
    let mut groups = if cloud { vec![("", measured.iter().collect())] } else { series(measured) };
    let others = settings.others.join(", ");
    let names: Vec<&str> = groups.iter().map(|(series, _)| *series).collect();
    let (count, most) = (groups.len(), LineStyles::capacity(&names));
    let text = match count {
        _ if cloud => format!("Each dot is a run; {others} vary too."),
        _ if count > most => format!("{SEEDS} The first {most} of {count} settings of {others}."),
        _ => SEEDS.to_owned(),
    };
    groups.truncate(most);
    let styles = LineStyles::new(&names[..groups.len()]);
    let text = format!("{text} {}", styles.note).trim().to_owned();
    let panels = splits(&measured.iter().collect::<Vec<_>>()).into_iter().flat_map(|(split, label)| {
        let chart = Chart::new(&format!("{name}: {label}"), axis.clone(), Axis::new(label).percent());
        let mut charts = styles.charts(chart);
        for ((series, points), style) in groups.iter().zip(&styles.lines) {
            let drawn = number_series(&styles.entry(series), *style, points, split, !cloud);
            charts[style.panel].series.extend(drawn);
        }
        charts
    });
    Figure {
        title: format!("{name}: accuracy by {key}"),
        note: note(&text),
        panels: panels.collect(),
        parts: styles.panels.len(),
        keys: styles.legend.clone(),
    }
}

/// One series on an axis of numbers: a dot for each run and, if `joined`, a line of means with its band.
fn number_series(
    name: &str,
    LineStyle { colour, stroke, .. }: LineStyle,
    points: &[&Measured],
    split: usize,
    joined: bool,
) -> Vec<Series> {
    let spread = |point: &&&Measured| Some((point.setting.x?, Spread::of(&point.top1[split])?));
    let mut points: Vec<_> = points.iter().filter_map(|point| Some((spread(&point)?, *point))).collect();
    points.sort_by(|a, b| a.0.0.total_cmp(&b.0.0));
    let mut series = Vec::new();
    if joined {
        let band = points.iter().map(|((x, spread), _)| [*x, spread.lowest, spread.highest]).collect();
        let points = points.iter().map(|((x, spread), _)| [*x, spread.mean]).collect();
        series.push(Series { name: name.to_owned(), colour, marks: Marks::Line { points, band, stroke } });
    }
    let dots = points
        .iter()
        .flat_map(|((x, _), point)| point.top1[split].iter().map(|&y| dot(*x, y, String::new(), &point.setting.label)));
    series.push(Series::points("", colour, dots.collect()));
    series
}

/// Settings without a number, as a list with the best on top.
pub(super) fn by_name(mut measured: Vec<&Measured>, name: &str, note: impl Fn(&str) -> String) -> Figure {
    let count = measured.len();
    let splits = splits(&measured);
    let mean =
        |point: &Measured, split: usize| Spread::of(&point.top1[split]).map_or(f64::NEG_INFINITY, |spread| spread.mean);
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
        for (row, point) in measured.iter().enumerate() {
            let Some(spread) = Spread::of(&point.top1[split]) else { continue };
            let y = row as f64;
            let points = vec![[spread.lowest, y], [spread.highest, y]];
            chart.series.push(Series::line("", COLOURS[0], points, Stroke::Thin));
            dots.push(dot(spread.mean, y, String::new(), &point.setting.label));
        }
        chart.series.push(Series::points("", COLOURS[0], dots));
        chart
    });
    let mut text = String::new();
    if several {
        text.push_str(&format!("{MEANS} "));
    }
    if count > LISTED {
        text.push_str(&format!("The best {LISTED} of {count} settings."));
    }
    Figure::new(format!("{name}: accuracy"), note(text.trim()), panels.collect::<Vec<_>>())
}

/// Test Top-1, or validation where not all were tested, against multiply-adds and parameters. `None` where all cost the same.
pub(super) fn by_cost(
    settings: &Settings,
    measured: &[Measured],
    name: &str,
    note: impl Fn(&str) -> String,
) -> Option<Figure> {
    let tested = measured.iter().all(|point| !point.top1[1].is_empty());
    let (split, label) = if tested { (1, "test Top-1") } else { (0, "validation Top-1") };
    let groups = series(measured);
    let joined = settings.x.is_some() && groups.len() <= JOINED && groups.len() < measured.len();
    let groups = if joined { groups } else { vec![("", measured.iter().collect())] };
    let macs: Cost = |point| point.macs;
    let panels: Vec<Chart> = [("multiply-adds", macs), ("parameters", |point| point.params)]
        .into_iter()
        .filter_map(|(what, cost)| {
            let values: Vec<f64> = measured.iter().map(cost).filter(|value| *value > 0.0).collect();
            // All cost the same.
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
    (!panels.is_empty()).then(|| Figure::new(title, note(text), panels))
}

type Cost = fn(&Measured) -> f64;

/// Explains a figure of means.
const MEANS: &str = "Dots are means over seeds, lines reach from the lowest to the highest seed.";

/// One series on an axis of costs. Joined points are labelled with their number, others with all of their keys.
fn cost_series(
    index: usize,
    name: &str,
    mut points: Vec<(f64, &Measured)>,
    split: usize,
    joined: bool,
    named: bool,
) -> Vec<Series> {
    let colour = colour(index);
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut series = Vec::new();
    let mut means = Vec::new();
    for (x, point) in points {
        let Some(spread) = Spread::of(&point.top1[split]) else { continue };
        if spread.n > 1 {
            let points = vec![[x, spread.lowest], [x, spread.highest]];
            series.push(Series::line("", colour, points, Stroke::Thin));
        }
        let label = match point.setting.x {
            _ if !named => String::new(),
            Some(number) if joined => number.to_string(),
            _ => point.setting.label.clone(),
        };
        means.push(dot(x, spread.mean, label, &point.setting.label));
    }
    let marks = Marks::Points { points: means, linked: joined };
    series.push(Series { name: name.to_owned(), colour, marks });
    series
}

fn dot(x: f64, y: f64, label: String, of: &str) -> ChartPoint {
    ChartPoint { x, y, area: 0.0, label, hint: format!("{of}: {:.2} %", 100.0 * y) }
}

/// The power of a thousand to count in, and its label.
fn unit(most: f64) -> (f64, &'static str) {
    match most {
        m if m >= 2e9 => (1e9, "10⁹"),
        m if m >= 2e6 => (1e6, "10⁶"),
        m if m >= 2e3 => (1e3, "10³"),
        _ => (1.0, "number"),
    }
}
