//! Panels: one block of a kind in detail.

use super::bands::block_name;
use super::block::{ChainOptions, chain};
use super::palette::BoxStyle;
use super::scene::{Anchor, Area, Item, NOTE, Piece, TITLE, chip_width};
use super::structure::{BlockKind, Kinds, stride};
use crate::arch::Network;
use crate::arch::describe::{output, shape};
use crate::arch::node::{Merge, Node, Residual};
use crate::arch::ops::Op;
use crate::arch::rows::Row;
use crate::arch::shape::Shape;
use crate::figures::svg as text;

const PAD: f64 = 12.0;
const HEADER: f64 = 46.0;
/// The arrows into a block and out of it.
const STUB: f64 = 18.0;

/// A panel that can still be made larger.
pub(super) struct Panel {
    /// Empty if there is only one.
    pub numeral: String,
    title: String,
    notes: Vec<String>,
    body: Piece,
    pub width: f64,
    pub height: f64,
}

pub(super) fn panels(kinds: &Kinds) -> Vec<Panel> {
    kinds.kinds.iter().map(panel).collect()
}

/// A row of single layers, which has no kind of block.
pub(super) fn row_panel(network: &Network, row: usize) -> Option<Panel> {
    let (nodes, plan) = (network.rows.get(row)?, network.plan.rows.get(row)?);
    Some(panel(&BlockKind::new(String::new(), &nodes.nodes, plan, [nodes.input, nodes.output])))
}

fn panel(kind: &BlockKind) -> Panel {
    let (low, high) = kind.survival;
    let drop = (low < 1.0).then(|| {
        let number = |p: f64| format!("{:.2}", p).trim_end_matches('0').trim_end_matches('.').to_owned();
        if number(low) == number(high) {
            format!("survival p = {}", number(low))
        } else {
            format!("survival p = {} to {}", number(high), number(low))
        }
    });
    let inside = chain(kind.nodes, ChainOptions { drop: drop.as_deref(), ..ChainOptions::default() });
    let after = match kind.nodes {
        [Node::Aux { head, .. }] => output(head).unwrap_or(kind.output),
        _ => kind.output,
    };
    let mut body = Piece::default();
    body.push(Item::Line { points: vec![(0.0, 0.0), (0.0, STUB)], arrow: inside.boxed });
    body.push(Item::note(8.0, 4.0, shape(kind.input), Anchor::Start));
    let bottom = STUB + inside.height;
    body.push(Item::arrow(&[(0.0, bottom), (0.0, bottom + STUB)]));
    body.push(Item::note(8.0, bottom + STUB - 4.0, shape(after), Anchor::Start));
    body.place(inside, 0.0, STUB);
    body.height = bottom + STUB;

    let title = block_name(kind.plan);
    let notes = notes(kind, body.width().max(240.0));
    let heading = indent(&kind.numeral) + text::width(&title, TITLE, true);
    let note = notes.iter().map(|note| text::width(note, NOTE, false)).fold(0.0, f64::max);
    let width = body.width().max(heading).max(note) + 2.0 * PAD;
    let height = HEADER + 14.0 * notes.len().saturating_sub(1) as f64 + body.height + PAD;
    Panel { numeral: kind.numeral.clone(), title, notes, body, width, height }
}

/// Room for the numeral before the name of a panel.
fn indent(numeral: &str) -> f64 {
    if numeral.is_empty() { 0.0 } else { chip_width(numeral) + 8.0 }
}

/// What sets the block apart from others of its name.
fn traits(kind: &BlockKind) -> Vec<&'static str> {
    let block = kind.nodes.iter().find_map(|node| if let Node::Residual(block) = node { Some(block) } else { None });
    let Some(Residual { body, shortcut, merge, .. }) = block else { return Vec::new() };
    let mut traits = Vec::new();
    if matches!(kind.plan, Row::Mbconv(_) | Row::InvertedResidual(_)) && body.first().is_some_and(is_grouped) {
        traits.push("no expansion");
    }
    match merge {
        Merge::Body => traits.push("no shortcut"),
        Merge::Gate(_) => traits.push("gated"),
        Merge::ShortcutGate(_) => traits.push("gated shortcut"),
        Merge::Sum { .. } => {}
    }
    if shortcut.iter().any(is_pad) {
        traits.push("padded shortcut");
    } else if shortcut.iter().any(is_conv) {
        traits.push("projection shortcut");
    } else if !shortcut.is_empty() {
        traits.push(if shortcut.iter().any(is_drop) { "dropout on the shortcut" } else { "scaled shortcut" });
    }
    traits
}

fn is_pad(node: &Node) -> bool {
    matches!(node, Node::Layer(layer) if matches!(layer.op, Op::PadShortcut { .. }))
}

fn is_drop(node: &Node) -> bool {
    matches!(node, Node::Layer(layer) if matches!(layer.op, Op::Dropout { .. }))
}

fn is_conv(node: &Node) -> bool {
    matches!(node, Node::Layer(layer) if matches!(layer.op, Op::Conv(_)))
}

fn is_grouped(node: &Node) -> bool {
    matches!(node, Node::Layer(layer) if BoxStyle::of(&layer.op) == BoxStyle::Grouped)
}

/// The rows of the block, in lines that fit the panel.
fn notes(kind: &BlockKind, room: f64) -> Vec<String> {
    let fitted = |notes: Vec<String>| -> Vec<String> {
        let notes = notes.iter().filter(|note| !note.is_empty());
        notes.map(|note| text::fit(note, NOTE, false, room)).collect()
    };
    let traits = traits(kind).join(", ");
    let Some(&(ref first, own)) = kind.places.first() else {
        let count = if kind.count > 1 { format!("{} of them", kind.count) } else { String::new() };
        return fitted(vec![traits, count]);
    };
    let drawn =
        if kind.count == 1 { format!("in {first}") } else { format!("first in {first} · {} in all", kind.count) };
    let mut notes = vec![traits, drawn];
    if own == stride(kind.input, kind.output) && !matches!(kind.output, Shape::Vector { .. }) {
        let other: Vec<&(String, usize)> = kind.places.iter().filter(|(_, stride)| *stride != own).collect();
        if let Some(&&(_, step)) = other.first() {
            let names: Vec<&str> =
                other.iter().filter(|(_, stride)| *stride == step).map(|(label, _)| label.as_str()).collect();
            let rows = if names.len() > 3 { format!("{} other rows", names.len()) } else { names.join(", ") };
            notes.push(format!("stride {step} in {rows}"));
        }
    }
    fitted(notes)
}

impl Panel {
    /// Items of the panel with its corner at (0, 0), made as large as its neighbours.
    pub(super) fn draw(&self, width: f64, height: f64) -> Vec<Item> {
        let mut piece = Piece::default();
        piece.push(Item::Frame(Area { left: 0.0, top: 0.0, right: width, bottom: height }));
        if !self.numeral.is_empty() {
            piece.push(Item::Chip { x: PAD, y: 11.0, text: self.numeral.clone() });
        }
        piece.push(Item::Text {
            x: PAD + indent(&self.numeral),
            y: 18.5,
            text: self.title.clone(),
            size: TITLE,
            bold: true,
            faint: false,
            anchor: Anchor::Start,
        });
        let mut y = 36.0;
        for note in &self.notes {
            piece.push(Item::note(PAD, y, note.clone(), Anchor::Start));
            y += 14.0;
        }
        let top = y + 2.0;
        let x = (width - self.body.width()) / 2.0 + self.body.left;
        let room = height - PAD - top;
        piece.place(self.body.clone(), x, top + ((room - self.body.height) / 2.0).max(0.0));
        piece.items
    }
}
