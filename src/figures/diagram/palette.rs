//! Colours of the kinds of operations: Okabe and Ito's, which stay apart for colour-blind readers and in grey print.

use crate::arch::describe::is_depthwise;
use crate::arch::layer::Op;
use crate::figures::svg::{CARD, FAINT, INK, ON_DARK, ON_LIGHT};

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
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
pub const KINDS: [Kind; 12] = [
    Kind::Conv,
    Kind::Grouped,
    Kind::Linear,
    Kind::Pool,
    Kind::Norm,
    Kind::Act,
    Kind::Drop,
    Kind::Other,
    Kind::Aux,
    Kind::Block,
    Kind::Join,
    Kind::Input,
];

pub const ARROW: &str = "#3c4654";
pub const PANEL: &str = "#f5f7fa";

impl Kind {
    pub fn of(op: &Op) -> Kind {
        match op {
            Op::Conv(conv) if conv.groups > 1 || is_depthwise(conv) => Kind::Grouped,
            Op::Conv(_) => Kind::Conv,
            Op::Linear { .. } => Kind::Linear,
            Op::BatchNorm { .. } | Op::Lrn { .. } => Kind::Norm,
            Op::Act(_) => Kind::Act,
            Op::MaxPool(_) | Op::AvgPool(_) | Op::GlobalAvgPool | Op::AdaptiveAvgPool { .. } => Kind::Pool,
            Op::Dropout { .. } => Kind::Drop,
            Op::Flatten | Op::PadShortcut { .. } | Op::Scale { .. } => Kind::Other,
        }
    }

    /// Fill, outline, text.
    pub fn colours(self) -> [&'static str; 3] {
        match self {
            Kind::Conv => ["#0072b2", "#00507d", ON_DARK],
            Kind::Grouped => ["#56b4e9", "#2d86b8", ON_LIGHT],
            Kind::Linear => ["#cc79a7", "#9c4d79", ON_LIGHT],
            Kind::Pool => ["#2bb58c", "#007a59", ON_LIGHT],
            Kind::Norm => ["#f5ec8a", "#bdb02e", ON_LIGHT],
            Kind::Act => ["#f0b441", "#b97f00", ON_LIGHT],
            Kind::Drop => ["#d3d8df", "#98a1ad", ON_LIGHT],
            Kind::Other => [CARD, "#6d7885", INK],
            Kind::Aux => ["#e8844a", "#a84a00", ON_LIGHT],
            Kind::Block => ["#e3ecf6", "#44648a", ON_LIGHT],
            Kind::Join => ["#3c4653", "#1b2431", ON_DARK],
            Kind::Input => [CARD, "#98a1ad", FAINT],
        }
    }

    /// Its line in the legend; joins and the input explain themselves.
    pub fn legend(self) -> Option<&'static str> {
        Some(match self {
            Kind::Conv => "convolution",
            Kind::Grouped => "grouped or depthwise convolution",
            Kind::Linear => "linear",
            Kind::Pool => "pooling",
            Kind::Norm => "normalisation",
            Kind::Act => "non-linearity",
            Kind::Drop => "dropout, stochastic depth",
            Kind::Other => "no parameters",
            Kind::Aux => "auxiliary head, training only",
            Kind::Block => "block, drawn in the panel of its numeral",
            Kind::Join | Kind::Input => return None,
        })
    }
}
