//! What the colours and areas mean, in a column on the right.

use super::frame::Frame;
use super::{Chart, Marks};
use crate::figures::svg::{Anchor, EDGE, FAINT, Font, circle, line, n, text, width};
use std::fmt::Write;

const SIZE: f64 = 15.0;
const LINE: f64 = 25.0;
/// From the plotting area to the legend, and from the legend's left side to the names.
const GAP: f64 = 30.0;
const NAME: f64 = 26.0;

/// Room that the legend takes on the right, margins included.
pub(super) fn room(chart: &Chart) -> f64 {
    let names = chart.series.iter().map(|series| series.name.as_str()).filter(|name| !name.is_empty());
    let widest = names.map(|name| width(name, SIZE, false)).fold(0.0, f64::max);
    let areas = chart.areas.as_ref().map_or(0.0, |areas| {
        let texts = areas.shown.iter().map(|(_, text)| width(text, SIZE - 1.0, false)).fold(0.0, f64::max);
        (texts + 2.0 * largest(chart) + 15.0).max(width(&areas.label, SIZE, false))
    });
    match (widest + NAME).max(areas) {
        NAME => 36.0,
        widest => GAP + widest + 24.0,
    }
}

fn largest(chart: &Chart) -> f64 {
    let shown = chart.areas.iter().flat_map(|areas| &areas.shown);
    shown.map(|&(area, _)| chart.radius(area)).fold(0.0, f64::max)
}

pub(super) fn write(svg: &mut String, chart: &Chart, frame: &Frame) {
    let left = frame.right + GAP;
    let mut y = frame.top + 14.0;
    for series in chart.series.iter().filter(|series| !series.name.is_empty()) {
        let colour = series.colour;
        match &series.marks {
            Marks::Line { stroke, .. } => {
                let (style, x) = (stroke.attributes(), n(left - 4.0));
                // Writing to a string cannot fail.
                let _ = writeln!(svg, "<path d=\"M{x} {y}h22\" fill=\"none\" stroke=\"{colour}\" {style}/>");
            }
            Marks::Points { .. } => {
                let style = format!("fill=\"{colour}\" fill-opacity=\"0.5\" stroke=\"{colour}\" stroke-width=\"1.5\"");
                circle(svg, [left + 7.0, y], 7.5, &style);
            }
        }
        text(svg, [left + NAME, y], &series.name, Font::new(SIZE), false);
        y += LINE;
    }
    let Some(areas) = &chart.areas else { return };
    y += 22.0;
    text(svg, [left, y], &areas.label, Font::new(SIZE).colour(FAINT), false);
    // The circles are nested, with a common base, each with a line to its text.
    let ground = y + 18.0 + 2.0 * largest(chart);
    let centre = left + largest(chart);
    for (area, label) in &areas.shown {
        let r = chart.radius(*area);
        let top = ground - 2.0 * r;
        let end = centre + largest(chart) + 10.0;
        circle(svg, [centre, ground - r], r, &format!("fill=\"none\" stroke=\"{FAINT}\""));
        line(svg, [centre, top], [end, top], EDGE, 1.0);
        let font = Font::new(SIZE - 1.0).colour(FAINT).anchor(Anchor::Start);
        text(svg, [end + 5.0, top], label, font, false);
    }
}
