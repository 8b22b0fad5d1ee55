//! The main path: bands from top to bottom, wrapped into columns like text.

use super::bands::Band;
use super::palette::BoxStyle;
use super::scene::{Anchor, Block, Item, NOTE, Piece, STACK};
use crate::figures::svg as text;

/// The least space between bands.
pub(super) const GAP: f64 = 16.0;
/// Space between columns, for the line from the foot of one to the head of the next.
const GUTTER: f64 = 40.0;
/// Room above a column for that line.
const HEAD: f64 = 16.0;
/// How far a side head keeps from the main path.
const ASIDE: f64 = 24.0;

/// Cuts bands into at most `columns` runs of about the same height; gives where each ends.
pub(super) fn wrap(bands: &[Band], columns: usize) -> Vec<usize> {
    let heights: Vec<f64> = bands.iter().map(|band| band.block.h + GAP).collect();
    let total: f64 = heights.iter().sum();
    // A side head stays in the column of its neighbours: the line to the next column must not cut it off.
    let breaks = |index: usize| ![index - 1, index].iter().any(|&i| bands.get(i).is_some_and(|band| band.aside));
    let cut = |limit: f64| {
        let (mut ends, mut height) = (Vec::new(), 0.0);
        for (index, own) in heights.iter().enumerate() {
            if height > 0.0 && height + own > limit && breaks(index) {
                ends.push(index);
                height = 0.0;
            }
            height += own;
        }
        ends.push(heights.len());
        ends
    };
    let (mut low, mut high) = (total / columns.max(1) as f64, total);
    for _ in 0..24 {
        let middle = f64::midpoint(low, high);
        if cut(middle).len() <= columns { high = middle } else { low = middle }
    }
    cut(high)
}

/// Draws the main path with `gap` between bands. The piece's left edge is x = 0.
pub(super) fn flow(bands: &[Band], columns: usize, gap: f64, input: &str) -> Piece {
    let ends = wrap(bands, columns);
    let mut piece = Piece::default();
    let mut left = 0.0;
    let mut start = 0;
    let mut foot: Option<(f64, f64, f64)> = None;
    for end in ends {
        let column = bands.get(start..end).unwrap_or_default();
        let width = column.iter().filter(|band| !band.aside).map(|band| band.block.w).fold(120.0, f64::max);
        let centre = left + width / 2.0;
        let right = column.iter().map(|band| left + reach(band, width)).fold(left + width, f64::max);
        let mut y = HEAD;
        let mut exit = match foot {
            None => {
                let w = text::width(input, NOTE, true) + 20.0;
                let (x, h) = (centre - w / 2.0, 20.0);
                piece.push(Item::Block(Block { x, y: 0.0, w, ..Block::plain(BoxStyle::Input, input.to_owned(), h) }));
                y = h + gap;
                h
            }
            Some((x, bottom, gutter)) => {
                let below = bottom + 12.0;
                let path = [(x, bottom), (x, below), (gutter, below), (gutter, 0.0), (centre, 0.0), (centre, y)];
                piece.push(Item::arrow(&path));
                piece.height = piece.height.max(below);
                0.0
            }
        };
        for (index, band) in column.iter().enumerate() {
            let Band { block, shape, aside } = band;
            let middle = y + block.h / 2.0;
            let (x, w) = if *aside { (centre + ASIDE, block.w) } else { (left, width) };
            if *aside {
                piece.push(Item::arrow(&[(centre, middle), (x, middle)]));
            } else if exit > 0.0 {
                piece.push(Item::arrow(&[(centre, exit), (centre, y)]));
            }
            piece.push(Item::Block(Block { x, y, w, ..block.clone() }));
            let behind = Item::Block(Block { x, y, w, ..block.clone() }).area();
            piece.push(Item::note(behind.right + 6.0, middle, shape, Anchor::Start));
            if !aside {
                exit = behind.bottom;
            }
            y = y + block.h + if index + 1 < column.len() { gap } else { 0.0 };
        }
        piece.height = piece.height.max(y + 6.0);
        foot = Some((centre, exit, right + GUTTER / 2.0));
        left = right + GUTTER;
        start = end;
    }
    piece
}

/// The right end of a band's shape, seen from the left of a column of that width.
fn reach(band: &Band, width: f64) -> f64 {
    let label = text::width(&band.shape, NOTE, false) + 6.0 + STACK;
    label + if band.aside { width / 2.0 + ASIDE + band.block.w } else { width }
}
