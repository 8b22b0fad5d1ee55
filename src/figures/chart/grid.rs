//! Small multiples: panels in a grid, all of them with the same scales, each with a title.

use super::frame::Frame;
use super::{Chart, draw};
use crate::figures::svg::{Anchor, FAINT, Font, fit, text, wrapped};

/// Height of the axes, and of the numbers below them.
const AXES: f64 = 170.0;
const NUMBERS: f64 = 42.0;
/// Size of a panel's title, height of its lines, and their number at most.
const TITLE: f64 = 14.5;
const LINE: f64 = 19.0;
const LINES: usize = 2;
/// Room for the title of the vertical axis, and for that of the horizontal one below the last row.
const LEFT: f64 = 46.0;
const BELOW: f64 = 34.0;
const GAP: f64 = 22.0;

/// Panels of one quantity, which follow one another in rows.
pub(super) struct Grid<'c> {
    charts: &'c [Chart],
    columns: usize,
    titles: Vec<Vec<String>>,
    width: f64,
}

impl<'c> Grid<'c> {
    /// A grid as wide as `width`.
    pub(super) fn new(charts: &'c [Chart], width: f64) -> Grid<'c> {
        let columns = match charts.len() {
            few @ 0..=4 => few.max(1),
            5 | 6 | 9 => 3,
            _ => 4,
        };
        let width = (width - LEFT) / columns as f64;
        let titles = charts.iter().map(|chart| title(&chart.title, width - 2.0 * GAP)).collect();
        Grid { charts, columns, titles, width }
    }

    fn title_height(&self) -> f64 {
        LINE * self.titles.iter().map(Vec::len).max().unwrap_or(0) as f64 + 8.0
    }

    pub(super) fn height(&self) -> f64 {
        let rows = self.charts.len().div_ceil(self.columns) as f64;
        rows * (self.title_height() + AXES + NUMBERS) + BELOW
    }

    /// Writes the panels with their upper edge at `top`.
    pub(super) fn write(&self, svg: &mut String, top: f64) {
        let head = self.title_height();
        let axis = Font::new(15.0).anchor(Anchor::Middle);
        for (index, (chart, lines)) in self.charts.iter().zip(&self.titles).enumerate() {
            let (row, column) = (index / self.columns, index % self.columns);
            let left = LEFT + self.width * column as f64;
            let upper = top + (head + AXES + NUMBERS) * row as f64 + head;
            let lower = upper + AXES;
            let frame = Frame::inside(chart, self.charts, [left, upper, left + self.width - GAP, lower]);
            frame.ticks(svg);
            draw::data(svg, chart, &frame);
            for (index, line) in lines.iter().rev().enumerate() {
                text(svg, [frame.left, upper - 14.0 - LINE * index as f64], line, Font::new(TITLE).bold(), false);
            }
            if column == 0 {
                text(svg, [22.0, (upper + lower) / 2.0], &chart.y.label, axis, true);
            }
            if index + self.columns >= self.charts.len() {
                let middle = (frame.left + frame.right) / 2.0;
                text(svg, [middle, lower + 45.0], &chart.x.label, axis.colour(FAINT), false);
            }
        }
    }
}

/// A title in lines; what exceeds the last is cut.
fn title(text: &str, room: f64) -> Vec<String> {
    let mut lines = wrapped(text, TITLE * 1.1, room);
    if lines.len() > LINES {
        let rest = lines.split_off(LINES - 1).join(" ");
        lines.push(rest);
    }
    lines.iter().map(|line| fit(line, TITLE, true, room)).collect()
}
