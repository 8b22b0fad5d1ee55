//! A matrix of values over two axes as coloured cells, with contours and a colour bar.

use super::ramp::{Ramp, colour};
use super::surface::Surface;
use super::svg::{Anchor, EDGE, FAINT, Font, INK, ON_DARK, circle, headed, line, n, rectangle, text};
use crate::runs::significant;
use std::fmt::Write;

const SIDE: f64 = 560.0;
const LEFT: f64 = 112.0;
const BAR: f64 = 22.0;
const WIDTH: f64 = LEFT + SIDE + 170.0;
const TICK: f64 = 14.0;

/// Values and how they are shown.
#[derive(Clone, Debug)]
pub struct Heatmap {
    pub title: String,
    pub note: String,
    /// Titles of the horizontal and of the vertical axis.
    pub labels: [String; 2],
    /// Coordinates of the cells, ascending and evenly spaced.
    pub x: Vec<f64>,
    pub y: Vec<f64>,
    /// `values[y][x]`; what is not finite has the colour of the top of the ramp.
    pub values: Vec<Vec<f64>>,
    /// What the values are.
    pub unit: String,
    pub ramp: Ramp,
    /// Values of the contour lines; none for names or layers.
    pub contours: Vec<f64>,
    /// A way over the map in the units of the axes, with a dot at each point; none if empty.
    pub path: Vec<[f64; 2]>,
    /// Draws the values as a surface, too, beside the map.
    pub surface: bool,
}

impl Heatmap {
    /// The whole picture, a file of its own.
    pub fn svg(&self) -> String {
        let width = if self.surface { 2.0 * WIDTH } else { WIDTH };
        let (mut svg, heading) = headed(&self.title, &self.note, TICK, [width, SIDE + 92.0]);
        let top = heading + 8.0;
        self.cells(&mut svg, top);
        for &level in &self.contours {
            self.contour(&mut svg, top, level);
        }
        self.way(&mut svg, top);
        if self.surface {
            let surface = Surface { labels: &self.labels, values: &self.values, ramp: self.ramp };
            surface.draw(&mut svg, [WIDTH, top], [WIDTH - 40.0, SIDE]);
        }
        self.axes(&mut svg, top);
        self.bar(&mut svg, top);
        svg.push_str("</svg>\n");
        svg
    }

    fn cell(&self) -> [f64; 2] {
        [self.x.len(), self.y.len()].map(|count| SIDE / count.max(1) as f64)
    }

    /// The middle of a cell; fractions are between cells.
    fn place(&self, top: f64, x: f64, y: f64) -> [f64; 2] {
        let [w, h] = self.cell();
        [LEFT + (x + 0.5) * w, top + SIDE - (y + 0.5) * h]
    }

    fn cells(&self, svg: &mut String, top: f64) {
        let [w, h] = self.cell();
        for (y, row) in self.values.iter().enumerate() {
            let mut x = 0;
            let fills: Vec<_> = row.iter().map(|&value| colour(self.ramp.place(value))).collect();
            // Neighbours of one colour are one rectangle.
            for same in fills.chunk_by(PartialEq::eq) {
                let fill = &same[0];
                let [left, up] = [LEFT + x as f64 * w, top + SIDE - (y + 1) as f64 * h];
                // A little larger than the cell: browsers leave seams between rectangles that only touch.
                let size = [same.len() as f64 * w + 0.3, h + 0.3];
                rectangle(svg, [left, up], size, &format!("fill=\"{fill}\""));
                x += same.len();
            }
        }
    }

    /// Marching squares: where the lines between the middles of neighbouring cells have the value.
    fn contour(&self, svg: &mut String, top: f64, level: f64) {
        let mut path = String::new();
        for y in 0..self.values.len().saturating_sub(1) {
            for x in 0..self.values[y].len().saturating_sub(1) {
                let corners = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]];
                let value = |[x, y]: [usize; 2]| self.values[y][x];
                let mut crossings = Vec::new();
                for side in 0..4 {
                    let [from, to] = [corners[side], corners[(side + 1) % 4]];
                    let [a, b] = [value(from), value(to)];
                    if (a < level) != (b < level) && a.is_finite() && b.is_finite() {
                        let part = (level - a) / (b - a);
                        let mix = |axis: usize| from[axis] as f64 + part * (to[axis] as f64 - from[axis] as f64);
                        crossings.push(self.place(top, mix(0), mix(1)));
                    }
                }
                for pair in crossings.chunks_exact(2) {
                    let [[x1, y1], [x2, y2]] = [pair[0], pair[1]];
                    let _ = write!(path, "M{} {}L{} {}", n(x1), n(y1), n(x2), n(y2));
                }
            }
        }
        if !path.is_empty() {
            let _ = writeln!(
                svg,
                "<path d=\"{path}\" fill=\"none\" stroke=\"#fefefe\" stroke-width=\"1.1\" stroke-opacity=\"0.75\"/>"
            );
        }
    }

    fn way(&self, svg: &mut String, top: f64) {
        // Where a value is between the coordinates of the first and the last cell, in cells.
        let at = |values: &[f64], value: f64| {
            let (first, last) = (values.first()?, values.last()?);
            (last > first).then(|| (value - first) / (last - first) * (values.len() - 1) as f64)
        };
        let place = |&[x, y]: &[f64; 2]| Some(self.place(top, at(&self.x, x)?, at(&self.y, y)?));
        let places: Vec<[f64; 2]> = self.path.iter().filter_map(place).collect();
        for pair in places.windows(2) {
            line(svg, pair[0], pair[1], ON_DARK, 1.6);
        }
        let dot = format!("fill=\"#d55e00\" stroke=\"{ON_DARK}\" stroke-width=\"1.2\"");
        places.into_iter().for_each(|place| circle(svg, place, 4.0, &dot));
    }

    fn axes(&self, svg: &mut String, top: f64) {
        let (right, bottom) = (LEFT + SIDE, top + SIDE);
        for (from, to) in [([LEFT, top], [right, top]), ([LEFT, bottom], [right, bottom])] {
            line(svg, from, to, EDGE, 1.0);
        }
        let number = Font::new(TICK).colour(FAINT);
        let ticks = |values: &[f64]| {
            let last = values.len().saturating_sub(1);
            let every = last.div_ceil(8).max(1);
            (0..=last).step_by(every).filter(|&index| index < values.len()).collect::<Vec<usize>>()
        };
        for index in ticks(&self.x) {
            let [x, _] = self.place(top, index as f64, 0.0);
            let label = significant((self.x[index] * 100.0).round() / 100.0);
            text(svg, [x, bottom + 18.0], &label, number.anchor(Anchor::Middle), false);
        }
        for index in ticks(&self.y) {
            let [_, y] = self.place(top, 0.0, index as f64);
            let label = significant((self.y[index] * 100.0).round() / 100.0);
            text(svg, [LEFT - 8.0, y], &label, number.anchor(Anchor::End), false);
        }
        let title = Font::new(15.5).anchor(Anchor::Middle);
        text(svg, [LEFT + SIDE / 2.0, bottom + 50.0], &self.labels[0], title, false);
        text(svg, [36.0, top + SIDE / 2.0], &self.labels[1], title, true);
    }

    fn bar(&self, svg: &mut String, top: f64) {
        const STEPS: usize = 48;
        let (left, height) = (LEFT + SIDE + 26.0, SIDE - 40.0);
        let step = height / STEPS as f64;
        for index in 0..STEPS {
            let fill = colour((index as f64 + 0.5) / STEPS as f64);
            let y = top + SIDE - (index + 1) as f64 * step;
            rectangle(svg, [left, y], [BAR, step + 0.3], &format!("fill=\"{fill}\""));
        }
        for index in 0..=5 {
            let part = f64::from(index) / 5.0;
            let y = top + SIDE - part * height;
            line(svg, [left + BAR, y], [left + BAR + 5.0, y], INK, 1.0);
            let label = format!("{:.3}", self.ramp.value(part));
            let label = label.trim_end_matches('0').trim_end_matches('.').to_owned();
            text(svg, [left + BAR + 10.0, y], &label, Font::new(TICK).colour(FAINT), false);
        }
        text(svg, [left, top + 14.0], &self.unit, Font::new(15.0), false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_the_colours_of_their_values_and_contours_their_level() {
        let map = Heatmap {
            title: "a & b".to_owned(),
            note: String::new(),
            labels: ["x".to_owned(), "y".to_owned()],
            x: vec![0.0, 1.0, 2.0],
            y: vec![0.0, 1.0],
            values: vec![vec![0.0, 1.0, 1.0], vec![0.0, 1.0, f64::NAN]],
            unit: "loss".to_owned(),
            ramp: Ramp::Linear([0.0, 1.0]),
            contours: vec![0.5],
            path: vec![[0.0, 0.0], [1.5, 1.0]],
            surface: false,
        };
        let svg = map.svg();
        assert!(svg.contains("a &amp; b") && svg.contains("#440154") && svg.contains("#fde725"));
        assert_eq!([svg.matches("<path").count(), svg.matches("<circle").count()], [1, 2]);
        let wide = Heatmap { surface: true, ..map.clone() }.svg();
        assert_eq!(wide.matches("<path").count(), 1 + 2, "two squares between the middles of six cells");
    }
}
