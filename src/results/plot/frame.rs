//! The card, the plotting area, grid, ticks and titles.

use super::Chart;
use super::axis::Span;
use super::svg::{Anchor, CARD, EDGE, FAINT, FONTS, Font, GRID, INK, escape, line, n, text, width};
use std::fmt::Write;

pub const WIDTH: f64 = 1200.0;
pub const HEIGHT: f64 = 720.0;
const BOTTOM: f64 = 78.0;
/// Size of the numbers at the ticks.
const TICK: f64 = 14.0;

/// Where the axes stand on the card.
pub struct Frame {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
    pub x: Span,
    pub y: Span,
}

impl Frame {
    /// `aside` is what the legend takes on the right.
    pub fn new(chart: &Chart, aside: f64) -> Frame {
        let points: Vec<[f64; 2]> = chart.extent().collect();
        let x = chart.x.span(points.iter().map(|point| point[0]));
        let y = chart.y.span(points.iter().map(|point| point[1]));
        let numbers = y.ticks.iter().map(|tick| width(&tick.label, TICK)).fold(0.0, f64::max);
        let top = if chart.subtitle.is_empty() { 74.0 } else { 98.0 };
        Frame { left: 58.0 + numbers, top, right: WIDTH - aside, bottom: HEIGHT - BOTTOM, x, y }
    }

    /// The place of a point on the card, wherever it is on the axes; `None` where it has none.
    pub fn place(&self, x: f64, y: f64) -> Option<[f64; 2]> {
        let (x, y) = (self.x.place(x)?, self.y.place(y)?);
        Some([self.left + x * (self.right - self.left), self.bottom - y * (self.bottom - self.top)])
    }

    /// Writes all that is behind the data. The caller ends the document.
    pub fn write(&self, chart: &Chart) -> String {
        let [w, h] = [WIDTH, HEIGHT].map(n);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\" \
             font-family=\"{FONTS}\">\n<title>{}</title>\n\
             <rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"14\" fill=\"{CARD}\" stroke=\"{EDGE}\"/>\n",
            escape(&chart.title),
            n(WIDTH - 1.0),
            n(HEIGHT - 1.0)
        );
        text(&mut svg, [30.0, 38.0], &chart.title, Font::new(23.0).bold(), false);
        text(&mut svg, [30.0, 66.0], &chart.subtitle, Font::new(15.0).colour(FAINT), false);
        self.ticks(&mut svg);
        let (middle_x, middle_y) = ((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0);
        let title = Font::new(15.5).anchor(Anchor::Middle);
        text(&mut svg, [middle_x, HEIGHT - 24.0], &chart.x.label, title, false);
        text(&mut svg, [28.0, middle_y], &chart.y.label, title, true);
        svg
    }

    fn ticks(&self, svg: &mut String) {
        let number = Font::new(TICK).colour(FAINT);
        for tick in &self.x.ticks {
            let Some(part) = self.x.place(tick.value) else { continue };
            let x = self.left + part * (self.right - self.left);
            if tick.label.is_empty() {
                line(svg, [x, self.bottom], [x, self.bottom + 4.0], INK, 1.0);
                continue;
            }
            line(svg, [x, self.top], [x, self.bottom], GRID, 1.0);
            line(svg, [x, self.bottom], [x, self.bottom + 7.0], INK, 1.0);
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

    /// A region outside of which lines and bands are not drawn.
    pub fn clip(&self, svg: &mut String, id: &str) {
        let _ = writeln!(
            svg,
            "<clipPath id=\"{id}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>",
            n(self.left),
            n(self.top),
            n(self.right - self.left),
            n(self.bottom - self.top)
        );
    }
}
