//! The rows of a network's table as the bands of a diagram: rows that only repeat the one before become one band.

use super::palette::BoxStyle;
use super::scene::{Block, NOTE, TITLE, chip_width};
use super::structure::{Kinds, name_in};
use crate::arch::Network;
use crate::arch::cost::Cost;
use crate::arch::describe::{count, output, shape, times};
use crate::arch::network::RowNodes;
use crate::arch::node::{Node, walk};
use crate::arch::ops::{Act, Op};
use crate::arch::rows::Row;
use crate::figures::svg as text;

const TALL: f64 = 40.0;
const FLAT: f64 = 23.0;
/// Longer titles are cut; the whole text is in the hint.
const WIDEST: f64 = 300.0;

/// One or more rows, drawn as one box.
pub(super) struct Band {
    /// Not placed yet.
    pub block: Block,
    /// The output shape.
    pub shape: String,
    /// Branches off the main path instead of being part of it.
    pub aside: bool,
}

pub(super) fn bands(network: &Network, kinds: &Kinds) -> Vec<Band> {
    let tables: Vec<Option<toml::Table>> =
        network.plan.rows.iter().map(|row| toml::Table::try_from(row).ok()).collect();
    let mut bands = Vec::new();
    let mut start = 0;
    while start < network.rows.len() {
        let mut end = start + 1;
        while end < network.rows.len() && repeats(tables.get(start), tables.get(end)) {
            end += 1;
        }
        let repeat = tables.iter().take(end).skip(start).map(|table| repeat_of(table.as_ref())).sum();
        bands.extend(band(network, kinds, start, end, repeat));
        start = end;
    }
    bands
}

fn repeat_of(table: Option<&toml::Table>) -> u64 {
    let repeat = table.and_then(|table| table.get("repeat")).and_then(toml::Value::as_integer);
    repeat.and_then(|n| u64::try_from(n).ok()).unwrap_or(1)
}

/// Whether a row repeats the one before: equal columns except for its name and `repeat`.
fn repeats(first: Option<&Option<toml::Table>>, next: Option<&Option<toml::Table>>) -> bool {
    let (Some(Some(first)), Some(Some(next))) = (first, next) else { return false };
    let op = first.get("op").and_then(toml::Value::as_str).unwrap_or_default();
    if next.contains_key("stride") || matches!(op, "aux" | "pool" | "classifier" | "linear" | "residual" | "branches") {
        return false;
    }
    let bare = |table: &toml::Table| {
        let mut table = table.clone();
        for key in ["name", "repeat", "stride"] {
            table.remove(key);
        }
        table
    };
    bare(first) == bare(next)
}

fn band(network: &Network, kinds: &Kinds, start: usize, end: usize, repeat: u64) -> Option<Band> {
    let rows = network.rows.get(start..end)?;
    let (row, last) = (rows.first()?, rows.last()?);
    let plan = network.plan.rows.get(start)?;
    let mut counts: Vec<(usize, usize)> = Vec::new();
    for &(kind, count) in kinds.rows.get(start..end)?.iter().flatten() {
        match counts.iter_mut().find(|(other, _)| *other == kind) {
            Some((_, sum)) => *sum += count,
            None => counts.push((kind, count)),
        }
    }
    let one = counts.len() == 1;
    let chip = |&(kind, count): &(usize, usize)| {
        let numeral = &kinds.kinds.get(kind)?.numeral;
        Some(if one || count == 1 { numeral.clone() } else { format!("{numeral} ×{count}") })
    };
    let chips: Vec<String> = counts.iter().filter_map(chip).collect();
    let (style, flat) = style_of(row, plan);
    let title = text::fit(&title(row, plan, repeat), TITLE, !flat, WIDEST);
    let note = if flat {
        String::new()
    } else {
        text::fit(&note(rows, plan), NOTE, false, if chips.is_empty() { WIDEST } else { WIDEST * 0.8 })
    };
    let first_line = text::width(&title, TITLE, !flat);
    let chips_width: f64 = chips.iter().map(|chip| chip_width(chip) + 4.0).sum();
    let second_line = text::width(&note, NOTE, false) + if chips.is_empty() { 0.0 } else { 8.0 + chips_width };
    let w = first_line.max(second_line) + 20.0;
    let h = if flat { FLAT } else { TALL };
    let aside = matches!(plan, Row::Aux(_));
    let after = if aside { aux_output(row) } else { None }.unwrap_or(last.output);
    let block = Block { x: 0.0, y: 0.0, w, h, style, title, note, chips, stacked: repeat > 1, hint: hint(rows) };
    Some(Band { block, shape: shape(after), aside })
}

fn aux_output(row: &RowNodes) -> Option<crate::arch::Shape> {
    row.nodes.iter().find_map(|node| if let Node::Aux { head, .. } = node { output(head) } else { None })
}

/// The layer a row of single layers is there for.
fn main_op(row: &RowNodes) -> Option<&Op> {
    let ops = || row.nodes.iter().filter_map(|node| if let Node::Layer(layer) = node { Some(&layer.op) } else { None });
    ops().find(|op| !matches!(op, Op::Flatten(_))).or_else(|| ops().next())
}

/// The colour, and whether one line of text is enough.
fn style_of(row: &RowNodes, plan: &Row) -> (BoxStyle, bool) {
    let single = row.nodes.iter().all(|node| matches!(node, Node::Layer(_)));
    match (plan, main_op(row)) {
        (Row::Aux(_), _) => (BoxStyle::Aux, false),
        (Row::Separable(_) | Row::Highway(_), _) => (BoxStyle::Block, false),
        (_, Some(op)) if single => {
            let style = BoxStyle::of(op);
            (style, !matches!(style, BoxStyle::Conv | BoxStyle::Grouped | BoxStyle::Linear))
        }
        _ => (BoxStyle::Block, false),
    }
}

fn title(row: &RowNodes, plan: &Row, repeat: u64) -> String {
    let width = row.output.channels();
    let (name, stride, rest) = match plan {
        Row::Conv(columns) => {
            let conv = main_op(row);
            let groups = match conv {
                Some(Op::Conv(conv)) if conv.groups > 1 && !conv.is_depthwise() => format!(", {} groups", conv.groups),
                _ => String::new(),
            };
            if repeat == 1 {
                let name = conv.map(|op| op.describe()).unwrap_or_default();
                let name = name.split(" g").next().unwrap_or_default();
                return times(&format!("{name}, {width}{groups}"));
            }
            let word = if matches!(conv, Some(Op::Conv(conv)) if conv.is_depthwise()) { "depthwise" } else { "conv" };
            (format!("{word} {}x{}", columns.kernel.h, columns.kernel.w), columns.stride.h, groups)
        }
        Row::Basic(columns) => (block_name(plan), columns.stride, String::new()),
        Row::Bottleneck(columns) => (block_name(plan), columns.stride, String::new()),
        Row::Inception(_) => (block_name(plan), 1, String::new()),
        Row::InceptionResnet(_) => (block_name(plan), 1, String::new()),
        Row::Reduction(_) => (block_name(plan), 2, String::new()),
        Row::Separable(columns) => ("separable 3x3".to_owned(), columns.stride, String::new()),
        Row::InvertedResidual(columns) => (block_name(plan), columns.stride, String::new()),
        Row::Mbconv(columns) => {
            (format!("MBConv{} {2}x{2}{1}", columns.expand, "", columns.kernel), columns.stride, String::new())
        }
        Row::Highway(columns) => (format!("highway {0}x{0}", columns.kernel), 1, String::new()),
        Row::Branches(columns) => (format!("{} branches", columns.branches.len()), 1, String::new()),
        Row::Residual(_) => (block_name(plan), 1, String::new()),
        Row::Aux(_) => return block_name(plan),
        Row::Linear(_) | Row::Classifier(_) => ("linear".to_owned(), 1, String::new()),
        _ if row.nodes.iter().any(|node| !matches!(node, Node::Layer(_))) => {
            (block_name(plan), super::structure::stride(row.input, row.output), String::new())
        }
        _ => return main_op(row).map_or_else(|| row.op.to_owned(), |op| times(&joined(row, op))),
    };
    let times_sign = if repeat > 1 { format!(" ×{repeat}") } else { String::new() };
    let stride = match (stride, repeat) {
        (1, _) => String::new(),
        (stride, 1) => format!(", /{stride}"),
        (stride, _) => format!(", first /{stride}"),
    };
    format!("{}{times_sign}, {width}{rest}{stride}", times(&name))
}

/// A normalisation row says its non-linearity too.
fn joined(row: &RowNodes, op: &Op) -> String {
    let acts = row.nodes.iter().filter_map(|node| match node {
        Node::Layer(layer) if layer.op != *op => Some(layer.op.describe()),
        _ => None,
    });
    std::iter::once(op.describe()).chain(acts).collect::<Vec<_>>().join(", ")
}

/// What is special about residual blocks.
fn extras(groups: usize, se: usize) -> Vec<String> {
    let groups = (groups > 1).then(|| format!("{groups} groups"));
    groups.into_iter().chain((se > 0).then(|| "SE".to_owned())).collect()
}

/// What papers call the row's blocks.
pub(super) fn block_name(plan: &Row) -> String {
    match plan {
        Row::InceptionResnet(columns) => format!("Inception-ResNet-{:?}", columns.kind),
        Row::Reduction(columns) => format!("reduction-{:?}", columns.kind),
        Row::Aux(_) => "auxiliary head".to_owned(),
        Row::InvertedResidual(_) => "inverted residual".to_owned(),
        Row::Mbconv(_) => "MBConv".to_owned(),
        row => row.op().to_owned(),
    }
}

/// The row's name as its parameters have it; what follows a convolution.
fn note(rows: &[RowNodes], plan: &Row) -> String {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return String::new() };
    let mut parts = vec![match (names(first).0, names(last).1) {
        (a, b) if a == b => a,
        (a, b) => format!("{a} – {b}"),
    }];
    match plan {
        Row::Basic(columns) => parts.extend(extras(columns.groups, columns.se)),
        Row::Bottleneck(columns) => parts.extend(extras(columns.groups, columns.se)),
        Row::InvertedResidual(columns) => parts.push(format!("expand {}", columns.expand)),
        Row::Aux(aux) => parts.push(format!("loss × {}", aux.weight)),
        // Where the width changes there is nothing to carry on.
        Row::Highway(_) if matches!(first.nodes.first(), Some(Node::Layer(_))) => parts.push("first plain".to_owned()),
        Row::Conv(_) | Row::Linear(_) => {
            for node in &first.nodes {
                match node {
                    Node::Layer(layer) => match layer.op {
                        Op::BatchNorm { .. } => parts.push("BN".to_owned()),
                        Op::Act(act) => parts.push(Act::label(act).to_owned()),
                        _ => {}
                    },
                    _ => continue,
                }
            }
        }
        _ => {}
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" · ")
}

/// What the row's first and last layers with parameters are called.
fn names(row: &RowNodes) -> (String, String) {
    let named = |node: &&Node| {
        let mut any = false;
        walk(std::slice::from_ref(*node), false, &mut |layer, _| any |= !layer.params().is_empty());
        any
    };
    let last = row.nodes.iter().rev().find(named).map_or(&[][..], std::slice::from_ref);
    (name_in(row, &row.nodes), name_in(row, last))
}

/// Every row that a band stands for, with its shapes and cost.
fn hint(rows: &[RowNodes]) -> String {
    let line = |row: &RowNodes| {
        let mut cost = Cost::default();
        walk(&row.nodes, false, &mut |layer, _| cost += layer.cost());
        let Cost { params, macs, .. } = cost;
        let shapes = format!("{} → {}", shape(row.input), shape(row.output));
        format!("{} ({}): {shapes}, {} parameters, {} multiply-adds", names(row).0, row.op, count(params), count(macs))
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
