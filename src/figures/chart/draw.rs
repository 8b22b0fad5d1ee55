//! Draws the data of a chart.

use super::frame::{Frame, HEIGHT, WIDTH};
use super::labels::{self, Circle, Segment, Surroundings};
use super::{Chart, ChartPoint, Marks, Series, Stroke, darker, legend};
use crate::figures::svg::{Anchor, CARD, FAINT, Font, card, circle, escape, line, n, text, width};
use std::fmt::Write;

const LABEL: f64 = 13.5;

/// A chart as a picture of its own: heading, data, legend on the right.
pub(super) fn chart(chart: &Chart) -> String {
    let top = if chart.subtitle.is_empty() { 74.0 } else { 98.0 };
    let mut svg = card(&chart.title, [WIDTH, HEIGHT]);
    text(&mut svg, [30.0, 38.0], &chart.title, Font::new(23.0).bold(), false);
    text(&mut svg, [30.0, 66.0], &chart.subtitle, Font::new(15.0).colour(FAINT), false);
    let frame = Frame::new(chart, [0.0, top, WIDTH - legend::room(chart), HEIGHT]);
    panel(&mut svg, chart, &frame);
    legend::write(&mut svg, chart, &frame);
    svg.push_str("</svg>\n");
    svg
}

/// Axes and data.
pub(super) fn panel(svg: &mut String, chart: &Chart, frame: &Frame) {
    frame.write(svg, chart);
    data(svg, chart, frame);
}

/// Lines, bands and points.
pub(super) fn data(svg: &mut String, chart: &Chart, frame: &Frame) {
    let bands =
        chart.series.iter().filter(|series| matches!(&series.marks, Marks::Line { band, .. } if !band.is_empty()));
    // Many bands on one another would hide the lines.
    let opacity = if bands.count() > 6 { 0.07 } else { 0.16 };
    frame.clipped(svg, |svg| {
        for series in &chart.series {
            if let Marks::Line { band, .. } = &series.marks {
                draw_band(svg, frame, [series.colour, &opacity.to_string()], band);
            }
        }
        for series in &chart.series {
            draw_line(svg, frame, series);
        }
    });
    chart.series.iter().for_each(|series| draw_lone(svg, frame, series));
    draw_points(svg, chart, frame);
}

fn draw_band(svg: &mut String, frame: &Frame, [colour, opacity]: [&str; 2], band: &[[f64; 3]]) {
    // It breaks where its line does.
    for part in band.split(|corner| corner.iter().any(|value| !value.is_finite())) {
        let upper = part.iter().filter_map(|&[x, _, high]| frame.place(x, high));
        let lower = part.iter().rev().filter_map(|&[x, low, _]| frame.place(x, low));
        let corners: Vec<String> = upper.chain(lower).map(|[x, y]| format!("{},{}", n(x), n(y))).collect();
        if corners.len() > 2 {
            let points = corners.join(" ");
            let _ = writeln!(svg, "<polygon points=\"{points}\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>");
        }
    }
}

fn draw_line(svg: &mut String, frame: &Frame, series: &Series) {
    let (points, style): (Vec<[f64; 2]>, &str) = match &series.marks {
        Marks::Line { points, stroke, .. } => (points.clone(), stroke.attributes()),
        Marks::Points { linked: false, .. } => return,
        Marks::Points { points, .. } => {
            let places = points.iter().map(|point| [point.x, point.y]).collect();
            (places, "stroke-width=\"1.6\" stroke-opacity=\"0.55\"")
        }
    };
    let mut path = String::new();
    for run in runs(frame, &points).iter().filter(|run| run.len() > 1) {
        for (index, [x, y]) in run.iter().enumerate() {
            let _ = write!(path, "{}{} {}", if index == 0 { 'M' } else { 'L' }, n(*x), n(*y));
        }
    }
    let colour = series.colour;
    let _ = writeln!(
        svg,
        "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-linejoin=\"round\" \
         stroke-linecap=\"round\" {style}/>"
    );
}

/// Places of points that follow one another; a new run begins after a value that is not finite.
fn runs(frame: &Frame, points: &[[f64; 2]]) -> Vec<Vec<[f64; 2]>> {
    let places: Vec<Option<[f64; 2]>> = points.iter().map(|&[x, y]| frame.place(x, y)).collect();
    places.split(Option::is_none).map(|run| run.iter().copied().flatten().collect()).collect()
}

/// A value with none beside it has no line: it is a dot, which the edge of the axes does not cut.
fn draw_lone(svg: &mut String, frame: &Frame, series: &Series) {
    let Marks::Line { points, stroke, .. } = &series.marks else { return };
    for run in runs(frame, points) {
        if let [[x, y]] = run.as_slice()
            && (frame.top - 0.1..=frame.bottom + 0.1).contains(y)
        {
            dot(svg, [*x, *y], series.colour, *stroke);
        }
    }
}

/// The dot that replaces a line of one point: hollow for a pale line, to distinguish two at the same position.
pub(super) fn dot(svg: &mut String, centre: [f64; 2], colour: &str, stroke: Stroke) {
    let (radius, fill) = if stroke == Stroke::Pale { (6.5, CARD) } else { (4.5, colour) };
    circle(svg, centre, radius, &format!("fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"1.8\""));
}

fn draw_points(svg: &mut String, chart: &Chart, frame: &Frame) {
    let mut marks: Vec<(Circle, &ChartPoint, &Series)> = Vec::new();
    let mut lines: Vec<Segment> = Vec::new();
    for series in &chart.series {
        match &series.marks {
            Marks::Points { points, linked } => {
                let from = marks.len();
                for point in points {
                    if let Some([x, y]) = frame.place(point.x, point.y) {
                        marks.push((Circle { x, y, r: chart.radius(point.area) }, point, series));
                    }
                }
                if *linked {
                    lines.extend(
                        marks[from..].windows(2).map(|pair| [&pair[0].0, &pair[1].0].map(|mark| [mark.x, mark.y])),
                    );
                }
            }
            Marks::Line { points, .. } => {
                let runs = runs(frame, points);
                lines.extend(runs.iter().flat_map(|run| run.windows(2).map(|pair| [pair[0], pair[1]])));
            }
        }
    }
    // Large ones first, so that none hides a smaller one.
    marks.sort_by(|a, b| b.0.r.total_cmp(&a.0.r));
    for (circle, point, series) in &marks {
        let (Circle { x, y, r }, colour) = (*circle, series.colour);
        let _ = writeln!(
            svg,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{colour}\" fill-opacity=\"0.42\" stroke=\"{colour}\" \
             stroke-width=\"1.4\">{}</circle>",
            n(x),
            n(y),
            n(r),
            if point.hint.is_empty() { String::new() } else { format!("<title>{}</title>", escape(&point.hint)) }
        );
    }
    draw_labels(svg, frame, &marks, &lines);
}

fn draw_labels(svg: &mut String, frame: &Frame, marks: &[(Circle, &ChartPoint, &Series)], lines: &[Segment]) {
    let named: Vec<&(Circle, &ChartPoint, &Series)> =
        marks.iter().filter(|(_, point, _)| !point.label.is_empty()).collect();
    let circles: Vec<Circle> = named.iter().map(|(circle, ..)| *circle).collect();
    let sizes: Vec<[f64; 2]> =
        named.iter().map(|(_, point, _)| [width(&point.label, LABEL, false), LABEL * 1.15]).collect();
    let area = [frame.left + 3.0, frame.top + 2.0, frame.right - 2.0, frame.bottom - 3.0];
    let unnamed = marks.iter().filter(|(_, point, _)| point.label.is_empty()).map(|(circle, ..)| *circle);
    let unnamed: Vec<Circle> = unnamed.collect();
    let places = labels::place(&circles, &sizes, &Surroundings { circles: &unnamed, lines, area });
    for (label, circle) in places.iter().zip(&circles).filter(|(label, _)| label.led) {
        if let Some([start, end]) = labels::leader(circle, label) {
            line(svg, start, end, FAINT, 0.9);
        }
    }
    for (label, (_, point, series)) in places.iter().zip(&named) {
        let font = Font::new(LABEL).colour(darker(series.colour)).anchor(Anchor::Middle).halo();
        text(svg, [label.x, label.y], &point.label, font, false);
    }
}
