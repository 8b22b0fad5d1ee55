//! A drawing before it is written: boxes, signs, lines and texts with their places.

use super::palette::BoxStyle;
use crate::figures::svg as text;
pub(super) use crate::figures::svg::Anchor;

/// Font sizes of boxes: title and note.
pub(super) const TITLE: f64 = 12.5;
pub(super) const NOTE: f64 = 11.5;
/// The offset of the sheets behind a repeated box.
pub(super) const STACK: f64 = 5.0;
/// Radius of ⊕ and ⊗.
pub(super) const DOT: f64 = 10.0;
/// Height of the letters that lead to a panel.
pub(super) const CHIP: f64 = 16.0;

/// Corners of a rectangle: left, top, right, bottom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Area {
    pub(super) fn join(self, other: Area) -> Area {
        Area {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

/// A labelled box.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Block {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
    pub style: BoxStyle,
    pub title: String,
    /// A second line; with it, or with chips, text is left-aligned instead of centred.
    pub note: String,
    /// Letters of the panels that show what is inside.
    pub chips: Vec<String>,
    /// Draws sheets behind the box, which then represents several blocks in sequence.
    pub stacked: bool,
    /// Shown when the pointer rests on the box.
    pub hint: String,
}

impl Block {
    /// A box with one line of text, as wide as the text needs.
    pub(super) fn plain(style: BoxStyle, title: String, h: f64) -> Block {
        let w = text::width(&title, size(h), false) + 18.0;
        let (note, chips, hint) = (String::new(), Vec::new(), String::new());
        Block { x: 0.0, y: 0.0, w, h, style, title, note, chips, stacked: false, hint }
    }

    pub(super) fn centred(&self) -> bool {
        self.note.is_empty() && self.chips.is_empty()
    }
}

/// Font size of a box's title: flat strips have small print.
pub(super) fn size(h: f64) -> f64 {
    if h < 20.0 { NOTE } else { TITLE }
}

pub(super) fn chip_width(chip: &str) -> f64 {
    text::width(chip, NOTE, true) + 9.0
}

/// Something to draw.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Block(Block),
    /// ⊕ or ⊗ in a circle.
    Dot {
        x: f64,
        y: f64,
        sign: char,
    },
    /// A line round corners; with `arrow`, a head at its end.
    Line {
        points: Vec<(f64, f64)>,
        arrow: bool,
    },
    Text {
        x: f64,
        y: f64,
        text: String,
        size: f64,
        bold: bool,
        faint: bool,
        anchor: Anchor,
    },
    /// The background of a panel.
    Frame(Area),
    /// A panel's letter.
    Chip {
        x: f64,
        y: f64,
        text: String,
    },
}

impl Item {
    pub(super) fn arrow(points: &[(f64, f64)]) -> Item {
        Item::Line { points: points.to_vec(), arrow: true }
    }

    /// Small grey text, in the middle of `y`.
    pub(super) fn note(x: f64, y: f64, text: impl Into<String>, anchor: Anchor) -> Item {
        Item::Text { x, y, text: text.into(), size: NOTE, bold: false, faint: true, anchor }
    }

    pub(super) fn shift(&mut self, dx: f64, dy: f64) {
        match self {
            Item::Block(Block { x, y, .. })
            | Item::Dot { x, y, .. }
            | Item::Text { x, y, .. }
            | Item::Chip { x, y, .. } => {
                *x += dx;
                *y += dy;
            }
            Item::Line { points, .. } => {
                for (x, y) in points {
                    *x += dx;
                    *y += dy;
                }
            }
            Item::Frame(area) => {
                area.left += dx;
                area.right += dx;
                area.top += dy;
                area.bottom += dy;
            }
        }
    }

    /// What it covers.
    pub(super) fn area(&self) -> Area {
        let sized = |left, top, w: f64, h: f64| Area { left, top, right: left + w, bottom: top + h };
        match self {
            Item::Block(block) => {
                let extra = if block.stacked { STACK } else { 0.0 };
                sized(block.x, block.y, block.w + extra, block.h + extra)
            }
            Item::Dot { x, y, .. } => sized(x - DOT, y - DOT, 2.0 * DOT, 2.0 * DOT),
            Item::Chip { x, y, text } => sized(*x, *y, chip_width(text), CHIP),
            Item::Text { x, y, text, size, bold, anchor, .. } => {
                let w = text::width(text, *size, *bold);
                let left = match anchor {
                    Anchor::Start => *x,
                    Anchor::Middle => x - w / 2.0,
                    Anchor::End => x - w,
                };
                sized(left, y - size * 0.6, w, size * 1.2)
            }
            Item::Line { points, .. } => {
                let (x, y) = points.first().copied().unwrap_or_default();
                points.iter().fold(sized(x, y, 0.0, 0.0), |area, &(x, y)| area.join(sized(x, y, 0.0, 0.0)))
            }
            Item::Frame(area) => *area,
        }
    }
}

/// A part of a diagram: it is entered at (0, 0) and left at (0, `height`).
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Piece {
    pub items: Vec<Item>,
    /// How far it reaches to each side of that axis.
    pub left: f64,
    pub right: f64,
    pub height: f64,
    /// Whether the entry is a box, so that the line into it ends in an arrowhead.
    pub boxed: bool,
}

impl Piece {
    pub(super) fn push(&mut self, item: Item) {
        let area = item.area();
        self.left = self.left.max(-area.left);
        self.right = self.right.max(area.right);
        self.items.push(item);
    }

    /// Puts another piece with its entry at (dx, dy).
    pub(super) fn place(&mut self, other: Piece, dx: f64, dy: f64) {
        for mut item in other.items {
            item.shift(dx, dy);
            self.items.push(item);
        }
        self.left = self.left.max(other.left - dx);
        self.right = self.right.max(other.right + dx);
    }

    pub(super) fn width(&self) -> f64 {
        self.left + self.right
    }
}

/// A finished drawing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scene {
    pub width: f64,
    pub height: f64,
    pub items: Vec<Item>,
}
