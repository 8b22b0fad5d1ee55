//! Writes a scene as SVG. Presentation attributes only, no style sheet: several diagrams can share a page.

use super::palette::{ARROW, PANEL};
use super::scene::{Anchor, Area, Block, CHIP, DOT, Item, NOTE, STACK, Scene, chip_width, size};
use crate::figures::svg::{CARD, EDGE, FAINT, Font, INK, ON_DARK, begin, escape, inline_text, n};
use std::fmt::Write;

/// Default pixels per unit, at which the smallest text has 14 pixels.
const SHOWN: f64 = 4.0 / 3.0;
const CORNER: f64 = 7.0;

/// The scene on a white card, so that it reads on dark pages and in print alike.
pub(super) fn write(scene: &Scene, title: &str) -> String {
    let head = format!(
        "<defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"7.4\" refY=\"4\" markerWidth=\"6\" markerHeight=\"6\" \
         orient=\"auto\"><path d=\"M0.5 0.8L7.5 4L0.5 7.2Z\" fill=\"{ARROW}\"/></marker></defs>\n"
    );
    let size = [scene.width, scene.height];
    let mut svg = begin(title, size, size.map(|side| side * SHOWN), &head);
    for item in &scene.items {
        draw(&mut svg, item);
        svg.push('\n');
    }
    svg.push_str("</svg>\n");
    svg
}

// Writing to a string cannot fail, so the results of `write!` are ignored.
fn draw(svg: &mut String, item: &Item) {
    match item {
        Item::Frame(Area { left, top, right, bottom }) => {
            rectangle(svg, [*left, *top, right - left, bottom - top], 10.0, PANEL, EDGE);
        }
        Item::Block(block) => draw_block(svg, block),
        Item::Chip { x, y, text } => draw_chip(svg, *x, *y, text),
        Item::Line { points, arrow } => {
            let head = if *arrow { " marker-end=\"url(#head)\"" } else { "" };
            let path = rounded(points);
            let _ = write!(svg, "<path d=\"{path}\" fill=\"none\" stroke=\"{ARROW}\" stroke-width=\"1.5\"{head}/>");
        }
        Item::Dot { x, y, sign } => {
            let (x, y, reach) = (*x, *y, 5.0);
            let _ = write!(
                svg,
                "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{CARD}\" stroke=\"{ARROW}\" stroke-width=\"1.6\"/>",
                n(x),
                n(y),
                n(DOT - 0.8)
            );
            let strokes = if *sign == '+' {
                [[x - reach, y, x + reach, y], [x, y - reach, x, y + reach]]
            } else {
                let reach = reach * 0.75;
                [[x - reach, y - reach, x + reach, y + reach], [x - reach, y + reach, x + reach, y - reach]]
            };
            let path: String = strokes.map(|[a, b, c, d]| format!("M{} {}L{} {}", n(a), n(b), n(c), n(d))).concat();
            let _ = write!(svg, "<path d=\"{path}\" stroke=\"{ARROW}\" stroke-width=\"1.6\"/>");
        }
        Item::Text { x, y, text, size, bold, faint, anchor } => {
            let colour = if *faint { FAINT } else { INK };
            inline_text(
                svg,
                [*x, *y],
                text,
                Font { bold: *bold, ..Font::new(*size).colour(colour).anchor(*anchor) },
                false,
            );
        }
    }
}

fn rectangle(svg: &mut String, [x, y, w, h]: [f64; 4], radius: f64, fill: &str, stroke: &str) {
    let [x, y, w, h, radius] = [x, y, w, h, radius].map(n);
    let _ = write!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"{radius}\" fill=\"{fill}\" stroke=\"{stroke}\"/>"
    );
}

fn draw_block(svg: &mut String, block: &Block) {
    let Block { x, y, w, h, style, .. } = *block;
    let [fill, edge, ink] = style.colours();
    let radius = if h < 20.0 { 3.0 } else { 6.0 };
    svg.push_str("<g>");
    if !block.hint.is_empty() {
        let _ = write!(svg, "<title>{}</title>", escape(&block.hint));
    }
    if block.stacked {
        for sheet in [STACK, STACK / 2.0] {
            rectangle(svg, [x + sheet, y + sheet, w, h], radius, fill, edge);
        }
    }
    rectangle(svg, [x, y, w, h], radius, fill, edge);
    let size = size(h);
    if block.centred() {
        let font = Font { bold: h > 30.0, ..Font::new(size).colour(ink).anchor(Anchor::Middle) };
        inline_text(svg, [x + w / 2.0, y + h / 2.0], &block.title, font, false);
    } else {
        inline_text(svg, [x + 10.0, y + h / 2.0 - 8.0], &block.title, Font::new(size).bold().colour(ink), false);
        inline_text(svg, [x + 10.0, y + h / 2.0 + 9.5], &block.note, Font::new(NOTE).colour(ink), false);
    }
    let mut right = x + w - 6.0;
    for chip in block.chips.iter().rev() {
        right -= chip_width(chip);
        draw_chip(svg, right, y + h - CHIP - 3.5, chip);
        right -= 4.0;
    }
    svg.push_str("</g>");
}

fn draw_chip(svg: &mut String, x: f64, y: f64, text: &str) {
    let w = chip_width(text);
    rectangle(svg, [x, y, w, CHIP], 4.0, "#2f4b6e", "none");
    let font = Font::new(NOTE).bold().colour(ON_DARK).anchor(Anchor::Middle);
    inline_text(svg, [x + w / 2.0, y + CHIP / 2.0], text, font, false);
}

/// A path through the points that turns in small arcs.
fn rounded(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| points.get(before));
        match (before, points.get(index + 1)) {
            (None, _) => {
                let _ = write!(path, "M{} {}", n(x), n(y));
            }
            (Some(_), None) => {
                let _ = write!(path, "L{} {}", n(x), n(y));
            }
            (Some(&before), Some(&after)) => {
                let (from, to) = (towards((x, y), before), towards((x, y), after));
                let _ = write!(path, "L{} {}Q{} {} {} {}", n(from.0), n(from.1), n(x), n(y), n(to.0), n(to.1));
            }
        }
    }
    path
}

/// The point where the arc around a corner starts.
fn towards((x, y): (f64, f64), (to_x, to_y): (f64, f64)) -> (f64, f64) {
    let (dx, dy) = (to_x - x, to_y - y);
    let length = dx.hypot(dy);
    if length == 0.0 {
        return (x, y);
    }
    let step = CORNER.min(length / 2.0) / length;
    (x + dx * step, y + dy * step)
}
