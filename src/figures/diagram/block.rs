//! The inside of a block: layers in a chain, branches side by side, shortcuts around a body, gates.

use super::palette::BoxStyle;
use super::scene::{Anchor, Block, DOT, Item, Piece};
use crate::arch::describe::{label, shape};
use crate::arch::layer::Layer;
use crate::arch::node::{Join, Merge, Node, Residual};
use crate::arch::ops::Op;

/// Space between boxes, for an arrow.
const GAP: f64 = 15.0;
/// Space between columns.
const LANE: f64 = 18.0;
const HEAVY: f64 = 27.0;
const STRIP: f64 = 17.5;
const NARROW: f64 = 90.0;

/// How a panel draws its nodes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChainOptions<'a> {
    /// Survival under stochastic depth; nothing where every block always takes part.
    pub drop: Option<&'a str>,
    /// Normalisation beside its non-linearity instead of above it, to save height.
    pub flat: bool,
}

/// Draws nodes one below the other.
pub(super) fn chain(nodes: &[Node], options: ChainOptions) -> Piece {
    stack(elements(nodes, options, NARROW))
}

/// The width that boxes of these layers need, so that those of a chain can be equally wide.
fn widest(nodes: &[Node], least: f64) -> f64 {
    nodes.iter().filter_map(layer).map(|layer| strip(&layer.op).w).fold(least, f64::max)
}

fn elements(nodes: &[Node], options: ChainOptions, least: f64) -> Vec<Piece> {
    let width = widest(nodes, least);
    let preact = nodes.first().and_then(layer).is_some_and(|layer| light(&layer.op));
    let mut pieces = Vec::new();
    let mut group: Vec<&Layer> = Vec::new();
    for node in nodes {
        let Some(layer) = layer(node) else {
            close(&mut group, width, options, &mut pieces);
            pieces.extend(composite(node, options));
            continue;
        };
        if matches!(layer.op, Op::Flatten(_)) {
            continue;
        }
        // Normalisation and non-linearity stick to their convolution: to the one after them in a pre-activation chain.
        let follows = group.last().map(|before| light(&before.op));
        let breaks = if preact { follows == Some(false) } else { !light(&layer.op) };
        if breaks {
            close(&mut group, width, options, &mut pieces);
        }
        group.push(layer);
    }
    close(&mut group, width, options, &mut pieces);
    pieces
}

fn layer(node: &Node) -> Option<&Layer> {
    if let Node::Layer(layer) = node { Some(layer) } else { None }
}

/// Drawn as a strip on its neighbour, without an arrow in between.
fn light(op: &Op) -> bool {
    op.is_attached()
}

fn strip(op: &Op) -> Block {
    Block::plain(BoxStyle::of(op), label(op), if light(op) { STRIP } else { HEAVY })
}

fn close(group: &mut Vec<&Layer>, width: f64, options: ChainOptions, pieces: &mut Vec<Piece>) {
    if group.is_empty() {
        return;
    }
    let mut piece = Piece { boxed: true, ..Piece::default() };
    // Layers on a line of their own, or two short strips beside one another.
    let short = |layer: &Layer| options.flat && light(&layer.op) && strip(&layer.op).w - 10.0 <= width / 2.0;
    let mut beside = false;
    for (index, layer) in group.iter().enumerate() {
        let pair = !beside && short(layer) && group.get(index + 1).is_some_and(|next| short(next));
        let hint = format!("{} {} → {}", layer.name, shape(layer.input), shape(layer.output)).trim().to_owned();
        let (x, w) = match (beside, pair) {
            (true, _) => (0.0, width / 2.0),
            (_, true) => (-width / 2.0, width / 2.0),
            _ => (-width / 2.0, width),
        };
        let block = Block { x, y: piece.height, w, hint, ..strip(&layer.op) };
        if !pair {
            piece.height += block.h;
        }
        piece.push(Item::Block(block));
        beside = pair;
    }
    group.clear();
    pieces.push(piece);
}

/// One below the other, joined by arrows.
fn stack(pieces: Vec<Piece>) -> Piece {
    let mut whole = Piece { boxed: pieces.first().is_some_and(|piece| piece.boxed), ..Piece::default() };
    for (index, piece) in pieces.into_iter().enumerate() {
        if index > 0 {
            whole.push(wire(0.0, whole.height, whole.height + GAP, piece.boxed));
            whole.height += GAP;
        }
        let height = piece.height;
        whole.place(piece, 0.0, whole.height);
        whole.height += height;
    }
    whole
}

/// A vertical line, with a head where it runs into a box.
fn wire(x: f64, from: f64, to: f64, arrow: bool) -> Item {
    Item::Line { points: vec![(x, from), (x, to)], arrow }
}

fn composite(node: &Node, options: ChainOptions) -> Vec<Piece> {
    match node {
        Node::Layer(_) => Vec::new(),
        Node::Branches { join, branches } => vec![side_by_side(*join, branches, options)],
        Node::Residual(block) => residual(block, options),
        Node::Excite { gate } => vec![excite(gate, options)],
        Node::Aux { head, .. } => vec![chain(head, options)],
    }
}

fn side_by_side(join: Join, branches: &[Vec<Node>], options: ChainOptions) -> Piece {
    let options = ChainOptions { flat: true, ..options };
    let pieces: Vec<Piece> = branches.iter().map(|branch| chain(branch, options)).collect();
    let tallest = pieces.iter().map(|piece| piece.height).fold(0.0, f64::max);
    let total: f64 = pieces.iter().map(Piece::width).sum::<f64>() + LANE * pieces.len().saturating_sub(1) as f64;
    let (split, top) = (6.0, 6.0 + GAP);
    let bar_top = top + tallest + GAP;
    let mut whole = Piece::default();
    whole.push(wire(0.0, 0.0, split, false));
    let mut left = -total / 2.0;
    let mut axes: Vec<f64> = Vec::new();
    for piece in pieces {
        let x = left + piece.left;
        left += piece.width() + LANE;
        let (height, boxed) = (piece.height, piece.boxed);
        whole.push(Item::Line { points: vec![(0.0, split), (x, split), (x, top)], arrow: boxed });
        whole.push(wire(x, top + height, bar_top, true));
        whole.place(piece, x, top);
        axes.push(x);
    }
    let reach = axes.iter().fold(0.0, |reach: f64, x| reach.max(x.abs())) + 34.0;
    let text = if join == Join::Concat { "concat" } else { "sum" };
    let bar = Block::plain(BoxStyle::Join, text.to_owned(), 20.0);
    whole.push(Item::Block(Block { x: -reach, y: bar_top, w: 2.0 * reach, ..bar }));
    whole.height = bar_top + 20.0;
    whole
}

fn excite(gate: &[Node], options: ChainOptions) -> Piece {
    let gate = chain(gate, options);
    let (split, top) = (5.0, 5.0 + GAP);
    let x = LANE * 0.8 + gate.left;
    let y = top + gate.height + 6.0 + DOT;
    let mut whole = Piece::default();
    whole.push(Item::arrow(&[(0.0, 0.0), (0.0, y - DOT)]));
    whole.push(Item::arrow(&[(0.0, split), (x, split), (x, top)]));
    whole.push(Item::arrow(&[(x, top + gate.height), (x, y), (DOT, y)]));
    whole.push(Item::Dot { x: 0.0, y, sign: '×' });
    whole.place(gate, x, top);
    whole.height = y + DOT;
    whole
}

fn residual(block: &Residual, options: ChainOptions) -> Vec<Piece> {
    let drop = options.drop.filter(|_| block.merge != Merge::Body);
    let least = [&block.pre, &block.body, &block.after].iter().fold(NARROW, |least, part| widest(part, least));
    let least = least.max(drop.map_or(0.0, |text| Block::plain(BoxStyle::Drop, text.to_owned(), STRIP).w));
    let mut pieces = elements(&block.pre, options, least);
    let mut body = elements(&block.body, options, least);
    let extra = |style, text: String| {
        let block = Block::plain(style, text, STRIP);
        let w = block.w.max(least);
        let mut piece = Piece { height: STRIP, boxed: true, ..Piece::default() };
        piece.push(Item::Block(Block { x: -w / 2.0, w, ..block }));
        piece
    };
    if let Merge::Sum { scale } = block.merge
        && scale != 1.0
    {
        body.push(extra(BoxStyle::Other, format!("× {scale}")));
    }
    if let Some(text) = drop {
        body.push(extra(BoxStyle::Drop, text.to_owned()));
    }
    if block.merge == Merge::Body {
        pieces.extend(body);
    } else {
        pieces.push(around(stack(body), block, options));
    }
    pieces.extend(elements(&block.after, options, least));
    pieces
}

/// The lane of a shortcut beside the body.
struct Lane {
    x: f64,
    /// Where it leaves the main path.
    split: f64,
    /// Where its first box begins.
    top: f64,
    /// Where it joins the main path.
    merge: f64,
    /// The lower end of the gate's product on the lane, if there is one.
    gate: Option<f64>,
}

/// The arrows of a shortcut: to its boxes, if any, from there to the gate's product, if any, and on to the sum.
fn shortcut_arrows(shortcut: &Piece, lane: &Lane) -> Vec<Item> {
    let &Lane { x, split, top, merge, gate } = lane;
    let end = match gate {
        Some(bottom) => vec![(x, bottom - 2.0 * DOT)],
        None => vec![(x, merge), (DOT, merge)],
    };
    let mut items = Vec::new();
    if shortcut.items.is_empty() {
        items.push(Item::arrow(&[&[(0.0, split), (x, split)], &end[..]].concat()));
        if gate.is_none() {
            items.push(Item::note(x + 5.0, (split + merge) / 2.0, "identity", Anchor::Start));
        }
    } else {
        items.push(Item::arrow(&[(0.0, split), (x, split), (x, top)]));
        items.push(Item::arrow(&[&[(x, top + shortcut.height)], &end[..]].concat()));
    }
    items.extend(gate.map(|bottom| Item::arrow(&[(x, bottom), (x, merge), (DOT, merge)])));
    items
}

/// The body with its shortcut on the right, and a gate in between where there is one.
fn around(body: Piece, block: &Residual, options: ChainOptions) -> Piece {
    let shortcut = chain(&block.shortcut, options);
    let gate = match &block.merge {
        Merge::Gate(gate) | Merge::ShortcutGate(gate) => Some(chain(gate, options)),
        Merge::Sum { .. } | Merge::Body => None,
    };
    let (split, top) = (5.0, 5.0 + GAP);
    let tallest =
        [Some(&body), Some(&shortcut), gate.as_ref()].into_iter().flatten().map(|p| p.height).fold(0.0, f64::max);
    let mut whole = Piece::default();
    whole.push(wire(0.0, 0.0, split, false));
    whole.push(wire(0.0, split, top, body.boxed));
    let mut bottom = top + tallest;
    let mut x = body.right.max(20.0) + LANE;
    let mut start = top + body.height;
    let lane = gate.as_ref().map_or(x, |gate| x + gate.width() + LANE) + shortcut.left;
    let lane_top = top + (tallest - shortcut.height) / 2.0;
    if let Some(gate) = gate {
        let both = matches!(block.merge, Merge::Gate(_));
        x += gate.left;
        let y = bottom + GAP + DOT;
        whole.push(Item::arrow(&[(0.0, split), (x, split), (x, top)]));
        whole.push(wire(x, top + gate.height, y, false));
        whole.push(Item::arrow(&[(x, y), (lane - DOT, y)]));
        whole.push(Item::note((x + lane - DOT) / 2.0, y - 9.0, "1 − T", Anchor::Middle));
        whole.push(Item::Dot { x: lane, y, sign: '×' });
        if both {
            whole.push(Item::arrow(&[(x, y), (DOT, y)]));
            whole.push(Item::note((x + DOT) / 2.0, y - 9.0, "T", Anchor::Middle));
            whole.push(wire(0.0, start, y - DOT, true));
            whole.push(Item::Dot { x: 0.0, y, sign: '×' });
            start = y + DOT;
        }
        whole.place(gate, x, top);
        bottom = y + DOT;
    }
    let merge = bottom + GAP + DOT;
    let gated = bottom > top + tallest;
    whole.push(wire(0.0, start, merge - DOT, true));
    let gate = gated.then_some(bottom);
    let arrows = shortcut_arrows(&shortcut, &Lane { x: lane, split, top: lane_top, merge, gate });
    arrows.into_iter().for_each(|arrow| whole.push(arrow));
    whole.push(Item::Dot { x: 0.0, y: merge, sign: '+' });
    whole.place(shortcut, lane, lane_top);
    whole.place(body, 0.0, top);
    whole.height = merge + DOT;
    whole
}
