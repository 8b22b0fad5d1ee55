//! Several charts side by side with one legend below them; or in pieces, for a page that lays them out itself.

use super::draw;
use super::frame::Frame;
use super::grid::Grid;
use super::{Chart, Marks, Series};
use crate::figures::svg::{DARK_MODE, Font, card, headed, n, text, width, without_card};
use std::fmt::Write;

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 30.0;
/// Height of a panel, titles of its axes included, and width and height of a single one.
const PANEL: f64 = 470.0;
const ALONE: [f64; 2] = [520.0, 380.0];
/// Height of a named item on an axis.
const ROW: f64 = 24.0;
/// Legend: size of its text, height of its lines, room for the sign before a name, space after it.
const SIZE: f64 = 14.5;
const LINE: f64 = 24.0;
const SIGN: f64 = 34.0;
const SPACE: f64 = 26.0;

/// Charts of the same items; their series share colours, and the names of all of them make the legend.
#[derive(Clone, Debug)]
pub struct Figure {
    pub title: String,
    /// The meaning of lines and bands, and what is left out.
    pub note: String,
    pub panels: Vec<Chart>,
    /// Number of panels that show parts of one quantity's lines, in a grid: the first of them, the next of them, and so on.
    /// 0 for panels side by side.
    pub parts: usize,
    /// Further lines of the legend, for signs that belong to no series with a name.
    pub keys: Vec<Series>,
}

impl Figure {
    /// Charts side by side.
    pub fn new(title: impl Into<String>, note: impl Into<String>, panels: impl Into<Vec<Chart>>) -> Figure {
        Figure { title: title.into(), note: note.into(), panels: panels.into(), parts: 0, keys: Vec::new() }
    }

    /// The whole picture, a file of its own.
    pub fn svg(&self) -> String {
        let (legend, lines) = (self.lines(), self.has_lines());
        let grids = self.grids();
        let panel = self.panels.iter().map(|chart| height(chart, PANEL)).fold(0.0, f64::max);
        let panels = if grids.is_empty() { panel } else { grids.iter().map(Grid::height).sum() };
        let gap = if self.note.is_empty() { 0.0 } else { 6.0 };
        let height = gap + panels + LINE * legend.len() as f64 + 10.0;
        let (mut svg, heading) = headed(&self.title, &self.note, SIZE, [WIDTH, height]);
        let (top, foot) = (heading + gap, heading + gap + panels);
        if grids.is_empty() {
            self.write_row(&mut svg, [top, foot]);
        }
        write_grids(&mut svg, &grids, top);
        for (index, line) in legend.iter().enumerate() {
            let mut x = MARGIN;
            let y = foot + 6.0 + LINE * index as f64;
            for key in line {
                sign(&mut svg, [x, y], key, lines);
                text(&mut svg, [x + SIGN, y], &key.name, Font::new(SIZE), false);
                x += key_width(key);
            }
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// The panels side by side.
    fn write_row(&self, svg: &mut String, [top, foot]: [f64; 2]) {
        let share = WIDTH / self.panels.len().max(1) as f64;
        for (index, chart) in self.panels.iter().enumerate() {
            let left = share * index as f64;
            let frame = Frame::beside(chart, &self.panels, [left, top, left + share - MARGIN, foot]);
            draw::panel(svg, chart, &frame);
        }
    }

    /// A grid for each quantity whose lines are spread over panels.
    fn grids(&self) -> Vec<Grid<'_>> {
        self.panels.chunks(self.parts.max(1)).filter(|_| self.parts > 0).map(|part| Grid::new(part, WIDTH)).collect()
    }

    /// Each panel, or each grid of panels, as a picture of its own, without frame and heading.
    pub fn pieces(&self) -> Vec<String> {
        let grid = |grid: &Grid| {
            let mut svg = piece_start(&self.title, [WIDTH, grid.height()]);
            write_grids(&mut svg, std::slice::from_ref(grid), 0.0);
            svg + "</svg>\n"
        };
        if self.parts > 0 {
            return self.grids().iter().map(grid).collect();
        }
        let piece = |chart: &Chart| {
            let [w, h] = [ALONE[0], height(chart, ALONE[1])];
            let mut svg = piece_start(&chart.title, [w, h]);
            draw::panel(&mut svg, chart, &Frame::beside(chart, &self.panels, [-8.0, 14.0, w - 16.0, h + 8.0]));
            svg.push_str("</svg>\n");
            svg
        };
        self.panels.iter().map(piece).collect()
    }

    /// The legend: the sign of each line as a small picture, and its name.
    pub fn legend(&self) -> Vec<(String, String)> {
        let lines = self.has_lines();
        let picture = |key: &Series| {
            let mut svg = String::from("<svg viewBox=\"0 0 28 12\" width=\"28\" height=\"12\" aria-hidden=\"true\">");
            sign(&mut svg, [1.0, 6.0], key, lines);
            svg + "</svg>"
        };
        self.named().iter().map(|key| (picture(key), key.name.clone())).collect()
    }

    /// Runs of one epoch are dots, and so are their signs then.
    fn has_lines(&self) -> bool {
        self.panels.iter().any(Chart::has_lines)
    }

    /// The entries of the legend: every name once, then the further lines.
    fn named(&self) -> Vec<Series> {
        let mut keys: Vec<Series> = Vec::new();
        for Series { name, colour, marks } in self.panels.iter().flat_map(|chart| &chart.series) {
            if !name.is_empty() && keys.iter().all(|key| key.name != *name) {
                keys.push(Series { name: name.clone(), colour, marks: bare(marks) });
            }
        }
        keys.extend(self.keys.iter().cloned());
        keys
    }

    /// The legend in lines as wide as the card.
    fn lines(&self) -> Vec<Vec<Series>> {
        let mut lines: Vec<Vec<Series>> = Vec::new();
        let mut room = 0.0;
        for key in self.named() {
            let wanted = key_width(&key);
            match lines.last_mut() {
                Some(line) if wanted <= room => line.push(key),
                _ => {
                    lines.push(vec![key]);
                    room = WIDTH - 2.0 * MARGIN + SPACE;
                }
            }
            room -= wanted;
        }
        lines
    }
}

fn write_grids(svg: &mut String, grids: &[Grid], mut top: f64) {
    for grid in grids {
        grid.write(svg, top);
        top += grid.height();
    }
}

/// Begins a picture for a page that has a card of its own, and its own colours for the dark.
fn piece_start(title: &str, size: [f64; 2]) -> String {
    without_card(&card(title, size)).replace(DARK_MODE, "")
}

fn key_width(key: &Series) -> f64 {
    SIGN + width(&key.name, SIZE, false) + SPACE
}

/// Marks without their data: a legend needs the kind alone.
fn bare(marks: &Marks) -> Marks {
    match marks {
        Marks::Line { stroke, .. } => Marks::Line { points: Vec::new(), band: Vec::new(), stroke: *stroke },
        Marks::Points { linked, .. } => Marks::Points { points: Vec::new(), linked: *linked },
    }
}

/// An axis of many names needs more height than one of numbers.
fn height(chart: &Chart, usual: f64) -> f64 {
    usual.max(chart.y.names.len() as f64 * ROW + 80.0)
}

fn sign(svg: &mut String, [x, y]: [f64; 2], key: &Series, lines: bool) {
    if let (Marks::Line { stroke, .. }, false) = (&key.marks, lines) {
        return draw::dot(svg, [x + 13.0, y], key.colour, *stroke);
    }
    let (colour, y) = (key.colour, n(y));
    // Writing to a string cannot fail.
    let _ = match &key.marks {
        Marks::Line { stroke, .. } => {
            let style = stroke.attributes();
            write!(svg, "<path d=\"M{} {y}h26\" fill=\"none\" stroke=\"{colour}\" {style}/>", n(x))
        }
        Marks::Points { .. } => write!(
            svg,
            "<circle cx=\"{}\" cy=\"{y}\" r=\"5\" fill=\"{colour}\" fill-opacity=\"0.42\" stroke=\"{colour}\" \
             stroke-width=\"1.4\"/>",
            n(x + 13.0)
        ),
    };
}
