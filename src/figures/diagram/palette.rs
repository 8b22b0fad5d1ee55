//! Colours of operations: Okabe and Ito's, which stay apart for colour-blind readers and in grey print.

use crate::arch::describe::is_depthwise;
use crate::arch::layer::Op;
use crate::figures::svg::{CARD, FAINT, INK, ON_DARK, ON_LIGHT};

/// How a box is coloured: by what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LayerStyle {
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
pub const LAYER_STYLES: [LayerStyle; 12] = [
    LayerStyle::Conv,
    LayerStyle::Grouped,
    LayerStyle::Linear,
    LayerStyle::Pool,
    LayerStyle::Norm,
    LayerStyle::Act,
    LayerStyle::Drop,
    LayerStyle::Other,
    LayerStyle::Aux,
    LayerStyle::Block,
    LayerStyle::Join,
    LayerStyle::Input,
];

pub const ARROW: &str = "#3c4654";
pub const PANEL: &str = "#f5f7fa";

impl LayerStyle {
    pub fn of(op: &Op) -> LayerStyle {
        match op {
            Op::Conv(conv) if conv.groups > 1 || is_depthwise(conv) => LayerStyle::Grouped,
            Op::Conv(_) => LayerStyle::Conv,
            Op::Linear { .. } => LayerStyle::Linear,
            Op::BatchNorm { .. } | Op::Lrn { .. } => LayerStyle::Norm,
            Op::Act(_) => LayerStyle::Act,
            Op::MaxPool(_) | Op::AvgPool(_) | Op::GlobalAvgPool | Op::AdaptiveAvgPool { .. } => LayerStyle::Pool,
            Op::Dropout { .. } => LayerStyle::Drop,
            Op::Flatten | Op::PadShortcut { .. } | Op::Scale { .. } => LayerStyle::Other,
        }
    }

    /// Fill, outline, text.
    pub fn colours(self) -> [&'static str; 3] {
        match self {
            LayerStyle::Conv => ["#0072b2", "#00507d", ON_DARK],
            LayerStyle::Grouped => ["#56b4e9", "#2d86b8", ON_LIGHT],
            LayerStyle::Linear => ["#cc79a7", "#9c4d79", ON_LIGHT],
            LayerStyle::Pool => ["#2bb58c", "#007a59", ON_LIGHT],
            LayerStyle::Norm => ["#f5ec8a", "#bdb02e", ON_LIGHT],
            LayerStyle::Act => ["#f0b441", "#b97f00", ON_LIGHT],
            LayerStyle::Drop => ["#d3d8df", "#98a1ad", ON_LIGHT],
            LayerStyle::Other => [CARD, "#6d7885", INK],
            LayerStyle::Aux => ["#e8844a", "#a84a00", ON_LIGHT],
            LayerStyle::Block => ["#e3ecf6", "#44648a", ON_LIGHT],
            LayerStyle::Join => ["#3c4653", "#1b2431", ON_DARK],
            LayerStyle::Input => [CARD, "#98a1ad", FAINT],
        }
    }

    /// Its line in the legend; joins and the input explain themselves.
    pub fn legend(self) -> Option<&'static str> {
        Some(match self {
            LayerStyle::Conv => "convolution",
            LayerStyle::Grouped => "grouped or depthwise convolution",
            LayerStyle::Linear => "linear",
            LayerStyle::Pool => "pooling",
            LayerStyle::Norm => "normalisation",
            LayerStyle::Act => "non-linearity",
            LayerStyle::Drop => "dropout, stochastic depth",
            LayerStyle::Other => "no parameters",
            LayerStyle::Aux => "auxiliary head, training only",
            LayerStyle::Block => "block, drawn in the panel of its numeral",
            LayerStyle::Join | LayerStyle::Input => return None,
        })
    }
}
