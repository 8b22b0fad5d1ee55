//! Values over two axes as a surface, seen from above its front corner.

use super::ramp::{Ramp, colour};
use super::svg::{Anchor, Font, INK, n, text};
use std::fmt::Write;

/// By how much the surface is turned about its vertical axis, and how steeply it is seen, in radians.
const TURNED: f64 = 0.6;
const TILT: f64 = 0.5;
/// Height of the top of the ramp over its bottom, in half sides of the square.
const HEIGHT: f64 = 1.1;

/// Values over two axes, `values[y][x]`.
pub(super) struct Surface<'a> {
    /// Names of the horizontal and the vertical axis.
    pub labels: &'a [String; 2],
    pub values: &'a [Vec<f64>],
    pub ramp: Ramp,
}

impl Surface<'_> {
    /// Draws the surface into a box: its left upper corner and its size.
    pub(super) fn draw(&self, svg: &mut String, [left, top]: [f64; 2], [width, height]: [f64; 2]) {
        let (sin, cos) = TURNED.sin_cos();
        let unit = (width / (2.0 * (sin + cos))).min(height / (2.0 * (sin + cos) * TILT.sin() + HEIGHT * TILT.cos()));
        let middle = [left + width / 2.0, top + height / 2.0 + unit * HEIGHT * TILT.cos() / 2.0];
        // `u` and `v` go from -1 to 1 along the axes, `z` from 0 to 1.
        let depth = |u: f64, v: f64| u * sin + v * cos;
        let project = |u: f64, v: f64, z: f64| {
            let up = depth(u, v) * TILT.sin() + z * HEIGHT * TILT.cos();
            [middle[0] + unit * (u * cos - v * sin), middle[1] - unit * up]
        };
        let (columns, rows) = (self.values.first().map_or(0, Vec::len), self.values.len());
        let along = |index: usize, count: usize| 2.0 * index as f64 / (count.max(2) - 1) as f64 - 1.0;
        let mut squares: Vec<(f64, [usize; 2])> = (0..rows.saturating_sub(1))
            .flat_map(|y| (0..columns.saturating_sub(1)).map(move |x| [x, y]))
            .map(|[x, y]| (depth(along(x, columns), along(y, rows)), [x, y]))
            .collect();
        // The farthest first: nearer ones cover it.
        squares.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, [x, y]) in squares {
            let corners = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]];
            let heights = corners.map(|[x, y]| self.ramp.place(self.values[y][x]));
            let mut path = String::new();
            for (index, ([x, y], z)) in corners.into_iter().zip(heights).enumerate() {
                let [px, py] = project(along(x, columns), along(y, rows), z);
                let _ = write!(path, "{}{} {}", if index == 0 { 'M' } else { 'L' }, n(px), n(py));
            }
            let fill = colour(heights.iter().sum::<f64>() / 4.0);
            let _ = writeln!(svg, "<path d=\"{path}z\" fill=\"{fill}\" stroke=\"#171f27\" stroke-width=\"0.4\"/>");
        }
        // Both axes have their whole names beside the map.
        let short = |label: &String| label.split(" (").next().unwrap_or_default().to_owned();
        let font = Font::new(14.0).colour(INK).anchor(Anchor::Middle);
        let [front, side] = [project(0.0, -1.0, 0.0), project(-1.0, 0.0, 0.0)];
        text(svg, [front[0] + 20.0, front[1] + 34.0], &short(&self.labels[0]), font, false);
        text(svg, [side[0] - 60.0, side[1] + 30.0], &short(&self.labels[1]), font, false);
    }
}
