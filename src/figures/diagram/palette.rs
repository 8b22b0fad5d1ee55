//! Colours of operations: Okabe and Ito's, which stay apart for colour-blind readers and in grey print.

use crate::arch::ops::{LayerStyle, Op};
use crate::figures::svg::{CARD, FAINT, INK, ON_DARK, ON_LIGHT};

/// The colour of a box, by what the box represents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BoxStyle {
    Conv,
    Grouped,
    Linear,
    Pool,
    Norm,
    Act,
    Drop,
    Other,
    Aux,
    /// A block that a panel shows in detail.
    Block,
    Join,
    Input,
}

/// All of them, in the order of the legend.
pub(super) const BOX_STYLES: [BoxStyle; 12] = [
    BoxStyle::Conv,
    BoxStyle::Grouped,
    BoxStyle::Linear,
    BoxStyle::Pool,
    BoxStyle::Norm,
    BoxStyle::Act,
    BoxStyle::Drop,
    BoxStyle::Other,
    BoxStyle::Aux,
    BoxStyle::Block,
    BoxStyle::Join,
    BoxStyle::Input,
];

pub(super) const ARROW: &str = "#3c4654";
pub(super) const PANEL: &str = "#f5f7fa";

impl BoxStyle {
    pub(super) fn of(op: &Op) -> BoxStyle {
        match op.style() {
            LayerStyle::Conv => BoxStyle::Conv,
            LayerStyle::GroupedConv => BoxStyle::Grouped,
            LayerStyle::Linear => BoxStyle::Linear,
            LayerStyle::Pool => BoxStyle::Pool,
            LayerStyle::Norm => BoxStyle::Norm,
            LayerStyle::Act => BoxStyle::Act,
            LayerStyle::Dropout => BoxStyle::Drop,
            LayerStyle::Other => BoxStyle::Other,
        }
    }

    /// Fill, outline, text.
    pub(super) fn colours(self) -> [&'static str; 3] {
        match self {
            BoxStyle::Conv => ["#0072b2", "#00507d", ON_DARK],
            BoxStyle::Grouped => ["#56b4e9", "#2d86b8", ON_LIGHT],
            BoxStyle::Linear => ["#cc79a7", "#9c4d79", ON_LIGHT],
            BoxStyle::Pool => ["#2bb58c", "#007a59", ON_LIGHT],
            BoxStyle::Norm => ["#f5ec8a", "#bdb02e", ON_LIGHT],
            BoxStyle::Act => ["#f0b441", "#b97f00", ON_LIGHT],
            BoxStyle::Drop => ["#d3d8df", "#98a1ad", ON_LIGHT],
            BoxStyle::Other => [CARD, "#6d7885", INK],
            BoxStyle::Aux => ["#e8844a", "#a84a00", ON_LIGHT],
            BoxStyle::Block => ["#e3ecf6", "#44648a", ON_LIGHT],
            BoxStyle::Join => ["#3c4653", "#1b2431", ON_DARK],
            BoxStyle::Input => [CARD, "#98a1ad", FAINT],
        }
    }

    /// Its line in the legend; joins and the input explain themselves.
    pub(super) fn legend(self) -> Option<&'static str> {
        Some(match self {
            BoxStyle::Conv => "convolution",
            BoxStyle::Grouped => "grouped or depthwise convolution",
            BoxStyle::Linear => "linear",
            BoxStyle::Pool => "pooling",
            BoxStyle::Norm => "normalisation",
            BoxStyle::Act => "non-linearity",
            BoxStyle::Drop => "dropout, stochastic depth",
            BoxStyle::Other => "no parameters",
            BoxStyle::Aux => "auxiliary head, training only",
            BoxStyle::Block => "block, drawn in the panel of its numeral",
            BoxStyle::Join | BoxStyle::Input => return None,
        })
    }
}
