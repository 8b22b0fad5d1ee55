//! The plotting area, grid, ticks and titles.

use super::Chart;
use super::axis::{Axis, Span};
use crate::figures::svg::{Anchor, FAINT, Font, GRID, INK, line, n, text, width};
use std::fmt::Write;

pub(super) const WIDTH: f64 = 1200.0;
pub(super) const HEIGHT: f64 = 720.0;
const BOTTOM: f64 = 78.0;
/// Size of the numbers at the ticks.
const TICK: f64 = 14.0;

/// The position of the axes on the card.
pub(super) struct Frame {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
    pub x: Span,
    pub y: Span,
    /// Left side and lower side of the room, titles of the axes included.
    outer: [f64; 2],
}

impl Frame {
    /// `room` is left, top, right and bottom of what the axes take, numbers and titles on the left and below included.
    pub(super) fn new(chart: &Chart, room: [f64; 4]) -> Frame {
        Frame::beside(chart, &[], room)
    }

    /// A frame whose axes have the scale that like axes of the charts beside it have.
    pub(super) fn beside(chart: &Chart, others: &[Chart], room: [f64; 4]) -> Frame {
        let [left, top, right, bottom] = room;
        let title = if chart.y.label.is_empty() { 26.0 } else { 58.0 };
        let inner = Frame::inside(chart, others, [left + title, top, right, bottom - BOTTOM]);
        Frame { outer: [left, bottom], ..inner }
    }

    /// A frame like [`Frame::beside`] without room for titles: below the axes only ticks have room, which is not part of `room`.
    pub(super) fn inside(chart: &Chart, others: &[Chart], [left, top, right, bottom]: [f64; 4]) -> Frame {
        let values = |own: &Axis, axis: fn(&Chart) -> &Axis, side: usize| -> Vec<f64> {
            let like = others.iter().filter(|other| own.is_like(axis(other)));
            std::iter::once(chart).chain(like).flat_map(Chart::extent).map(|point| point[side]).collect()
        };
        let x = chart.x.span(values(&chart.x, |chart| &chart.x, 0).into_iter());
        let y = chart.y.span(values(&chart.y, |chart| &chart.y, 1).into_iter());
        let numbers = y.ticks.iter().map(|tick| width(&tick.label, TICK, false)).fold(0.0, f64::max);
        Frame { left: left + numbers, top, right, bottom, x, y, outer: [left, bottom] }
    }

    /// The place of a point on the card, wherever it is on the axes; `None` where it has none.
    pub(super) fn place(&self, x: f64, y: f64) -> Option<[f64; 2]> {
        let (x, y) = (self.x.place(x)?, self.y.place(y)?);
        Some([self.left + x * (self.right - self.left), self.bottom - y * (self.bottom - self.top)])
    }

    /// Writes all that is behind the data.
    pub(super) fn write(&self, svg: &mut String, chart: &Chart) {
        self.ticks(svg);
        let (middle_x, middle_y) = ((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0);
        let title = Font::new(15.5).anchor(Anchor::Middle);
        let [left, bottom] = self.outer;
        text(svg, [middle_x, bottom - 24.0], &chart.x.label, title, false);
        text(svg, [left + 28.0, middle_y], &chart.y.label, title, true);
    }

    /// Writes the grid and the numbers of both axes.
    pub(super) fn ticks(&self, svg: &mut String) {
        let number = Font::new(TICK).colour(FAINT);
        let mut free = f64::NEG_INFINITY;
        for tick in &self.x.ticks {
            let Some(part) = self.x.place(tick.value) else { continue };
            let x = self.left + part * (self.right - self.left);
            if tick.label.is_empty() {
                line(svg, [x, self.bottom], [x, self.bottom + 4.0], INK, 1.0);
                continue;
            }
            line(svg, [x, self.top], [x, self.bottom], GRID, 1.0);
            line(svg, [x, self.bottom], [x, self.bottom + 7.0], INK, 1.0);
            // Where the axis is short, numbers that would run into the last one are left out.
            let half = width(&tick.label, TICK, false) / 2.0;
            if x - half < free {
                continue;
            }
            free = x + half + 6.0;
            text(svg, [x, self.bottom + 21.0], &tick.label, number.anchor(Anchor::Middle), false);
        }
        for tick in &self.y.ticks {
            let Some(part) = self.y.place(tick.value) else { continue };
            let y = self.bottom - part * (self.bottom - self.top);
            if tick.label.is_empty() {
                line(svg, [self.left - 4.0, y], [self.left, y], INK, 1.0);
                continue;
            }
            line(svg, [self.left, y], [self.right, y], GRID, 1.0);
            text(svg, [self.left - 9.0, y], &tick.label, number.anchor(Anchor::End), false);
        }
        line(svg, [self.left, self.bottom], [self.right, self.bottom], INK, 1.2);
    }

    /// Writes what is drawn no further than the axes go. An inner picture clips without an id, which could be another's
    /// if several pictures share a page.
    pub(super) fn clipped(&self, svg: &mut String, draw: impl FnOnce(&mut String)) {
        let [x, y, w, h] = [self.left, self.top, self.right - self.left, self.bottom - self.top].map(n);
        let _ = writeln!(
            svg,
            "<svg x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" viewBox=\"{x} {y} {w} {h}\" overflow=\"hidden\">"
        );
        draw(svg);
        svg.push_str("</svg>\n");
    }
}
