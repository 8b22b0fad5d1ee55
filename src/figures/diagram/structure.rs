//! Which blocks of a network are alike: a diagram shows each kind once, in a panel of its own.

use crate::arch::Network;
use crate::arch::network::RowNodes;
use crate::arch::node::{Merge, Node, Residual, walk};
use crate::arch::rows::Row;
use crate::arch::shape::Shape;
use std::collections::HashMap;

/// A kind of block and its rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BlockKind<'n> {
    /// Leads from a row to the panel: I, II, … (papers call blocks A and B, and counts are figures).
    pub numeral: String,
    /// The first block of this kind.
    pub nodes: &'n [Node],
    pub plan: &'n Row,
    pub input: Shape,
    pub output: Shape,
    /// The rows that contain it, each with the stride of the blocks in that row.
    pub places: Vec<(String, usize)>,
    pub count: usize,
    /// The smallest and the largest probability of taking part in a training step.
    pub survival: (f64, f64),
}

/// The kinds of blocks in order of appearance, and for each row how many of which it has.
pub(super) struct Kinds<'n> {
    pub kinds: Vec<BlockKind<'n>>,
    pub rows: Vec<Vec<(usize, usize)>>,
}

pub(super) fn kinds(network: &Network) -> Kinds<'_> {
    kinds_of(network.rows.iter().zip(&network.plan.rows))
}

/// The kinds of blocks in a single row.
pub(super) fn kinds_in_row(network: &Network, row: usize) -> Kinds<'_> {
    let mut found = kinds_of(network.rows.iter().zip(&network.plan.rows).skip(row).take(1));
    // Their rows need not be listed.
    found.kinds.iter_mut().for_each(|kind| kind.places.clear());
    found
}

fn kinds_of<'n>(rows: impl Iterator<Item = (&'n RowNodes, &'n Row)>) -> Kinds<'n> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut found = Kinds { kinds: Vec::new(), rows: Vec::new() };
    for (row, plan) in rows {
        let blocks = blocks(row, plan);
        let mut counts: Vec<(usize, usize)> = Vec::new();
        for (index, &nodes) in blocks.iter().enumerate() {
            if !is_drawn(nodes, plan) {
                continue;
            }
            let input = input(nodes).unwrap_or(row.input);
            let output = blocks.get(index + 1).and_then(|next| self::input(next)).unwrap_or(row.output);
            let kind = *seen.entry(signature(nodes)).or_insert_with(|| {
                let numeral = numeral(found.kinds.len() + 1);
                found.kinds.push(BlockKind::new(numeral, nodes, plan, [input, output]));
                found.kinds.len() - 1
            });
            if let Some(kind) = found.kinds.get_mut(kind) {
                kind.add(name_in(row, nodes), stride(input, output), nodes);
            }
            match counts.iter_mut().find(|(other, _)| *other == kind) {
                Some((_, count)) => *count += 1,
                None => counts.push((kind, 1)),
            }
        }
        found.rows.push(counts);
    }
    found
}

impl<'n> BlockKind<'n> {
    pub(super) fn new(numeral: String, nodes: &'n [Node], plan: &'n Row, [input, output]: [Shape; 2]) -> BlockKind<'n> {
        let (places, survival) = (Vec::new(), (1.0, 0.0));
        BlockKind { numeral, nodes, plan, input, output, places, count: 0, survival }
    }

    fn add(&mut self, name: String, stride: usize, nodes: &[Node]) {
        self.count += 1;
        let place = (name, stride);
        if self.places.last() != Some(&place) {
            self.places.push(place);
        }
        for node in nodes {
            if let Node::Residual(Residual { merge, survival, .. }) = node
                && *merge != Merge::Body
            {
                let (low, high) = self.survival;
                self.survival = (low.min(survival.probability), high.max(survival.probability));
            }
        }
    }
}

fn numeral(mut n: usize) -> String {
    let mut text = String::new();
    for (value, sign) in [(10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")] {
        while n >= value && text.len() < 8 {
            text.push_str(sign);
            n -= value;
        }
    }
    text
}

/// Cuts a row into its blocks: every residual or branching node is one, and layers between them are.
fn blocks<'n>(row: &'n RowNodes, plan: &Row) -> Vec<&'n [Node]> {
    let is_layer = |node: &Node| matches!(node, Node::Layer(_));
    if let Row::Separable(columns) = plan {
        return row.nodes.chunks((row.nodes.len() / columns.repeat.max(1)).max(1)).collect();
    }
    row.nodes.chunk_by(|a, b| is_layer(a) && is_layer(b)).collect()
}

fn is_drawn(nodes: &[Node], plan: &Row) -> bool {
    matches!(plan, Row::Separable(_)) || nodes.iter().any(|node| !matches!(node, Node::Layer(_)))
}

fn input(nodes: &[Node]) -> Option<Shape> {
    let mut first = None;
    walk(nodes, false, &mut |layer, _| {
        first.get_or_insert(layer.input);
    });
    first
}

/// What a row's nodes are called: its label, with the number that a counter in it gave the first of them; what has no
/// parameters to name is called after its operation.
pub(super) fn name_in(row: &RowNodes, nodes: &[Node]) -> String {
    let parts = row.label.split('.').count();
    if !row.label.contains('{') {
        return row.label.clone();
    }
    let mut found = None;
    walk(nodes, false, &mut |layer, _| {
        if found.is_none() && !layer.params().is_empty() {
            found = Some(layer.name.split('.').take(parts).collect::<Vec<_>>().join("."));
        }
    });
    found.unwrap_or_else(|| row.op.to_owned())
}

/// By how much the map shrinks.
pub(super) fn stride(input: Shape, output: Shape) -> usize {
    match (input, output) {
        (Shape::Map { h, .. }, Shape::Map { h: after, .. }) if after > 0 => (h as f64 / after as f64).round() as usize,
        _ => 1,
    }
}

/// What makes blocks look alike. Widths, strides, rates and the kernels of depthwise convolutions do not: the table of
/// rows shows them.
fn signature(nodes: &[Node]) -> String {
    nodes.iter().map(node_signature).collect()
}

fn node_signature(node: &Node) -> String {
    match node {
        Node::Layer(layer) => layer.op.signature(),
        Node::Branches { join, branches } => {
            let branches: Vec<String> = branches.iter().map(|branch| signature(branch)).collect();
            format!("{join:?}[{}]", branches.join("|"))
        }
        Node::Excite { gate } => format!("excite[{}]", signature(gate)),
        Node::Aux { head, .. } => format!("aux[{}]", signature(head)),
        Node::Residual(Residual { pre, body, shortcut, merge, after, .. }) => {
            let merge = match merge {
                Merge::Sum { scale } => format!("sum{}", *scale != 1.0),
                Merge::Body => "body".to_owned(),
                Merge::Gate(gate) => format!("gate[{}]", signature(gate)),
                Merge::ShortcutGate(gate) => format!("shortcut gate[{}]", signature(gate)),
            };
            let parts = [pre, body, shortcut, after].map(|part| signature(part));
            format!("residual[{}|{merge}]", parts.join("|"))
        }
    }
}
