//! Pooling rows.

use super::columns::{is_square_one, square_one};
use super::{Context, Expand};
use crate::arch::name::Name;
use crate::arch::node::Chain;
use crate::arch::ops::{AvgPool, MaxPool};
use crate::arch::shape::ShapeError;
use crate::arch::window::{Padding, Pair, Window};
use crate::named::is_default;
use serde::{Deserialize, Serialize};

fn valid() -> Padding {
    Padding::Valid
}

fn is_valid(padding: &Padding) -> bool {
    *padding == Padding::Valid
}

/// What a pooling window takes of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolKind {
    Max,
    Avg,
}

/// Pooling over a sliding window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolRow {
    pub kind: PoolKind,
    pub kernel: Pair,
    #[serde(default = "square_one", skip_serializing_if = "is_square_one")]
    pub stride: Pair,
    #[serde(default = "valid", skip_serializing_if = "is_valid")]
    pub padding: Padding,
    /// Round the output size up, as Caffe does.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ceil: bool,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

impl PoolRow {
    pub fn max(kernel: usize, stride: usize) -> PoolRow {
        PoolRow {
            kind: PoolKind::Max,
            kernel: Pair::square(kernel),
            stride: Pair::square(stride),
            padding: Padding::Valid,
            ceil: false,
            name: Name::default(),
        }
    }

    pub fn avg(kernel: usize, stride: usize) -> PoolRow {
        PoolRow { kind: PoolKind::Avg, ..PoolRow::max(kernel, stride) }
    }

    pub fn padding(mut self, padding: Padding) -> PoolRow {
        self.padding = padding;
        self
    }

    pub fn ceil(mut self) -> PoolRow {
        self.ceil = true;
        self
    }

    pub fn name(mut self, name: &str) -> PoolRow {
        self.name = Name::new(name);
        self
    }
}

impl Expand for PoolRow {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Result<(), ShapeError> {
        let window = Window { kernel: self.kernel, stride: self.stride, padding: self.padding, ceil: self.ceil };
        context.namer.layer(&self.name, 0, "");
        match self.kind {
            PoolKind::Max => chain.op("", MaxPool(window)),
            PoolKind::Avg => chain.op("", AvgPool(window)),
        }
    }

    fn name(&self) -> &Name {
        &self.name
    }
}
