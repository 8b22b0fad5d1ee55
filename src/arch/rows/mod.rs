//! Rows: the columns of a paper's table, as they are written in an experiment file.
//!
//! Each operation has a struct of its columns and a function that expands it into layers. To add one, write such a struct in a
//! file of this folder and name it in the list at the end of this file.

mod columns;
mod highway;
mod inception;
mod inception_resnet;
mod mobile;
mod nested;
mod plain;
mod pool;
mod residual;
mod residual_options;

pub use columns::{Branch, Se};
pub use highway::HighwayRow;
pub use inception::{AuxPool, AuxRow, InceptionRow};
pub use inception_resnet::{InceptionBlock, InceptionResnetRow, ReductionRow};
pub use mobile::{InvertedResidualRow, MbconvRow, SeparableRow};
pub use nested::{BranchesRow, ResidualRow};
pub use plain::{
    ActRow, AdaptiveAvgPoolRow, ClassifierRow, ConvRow, DropoutRow, GlobalAvgPoolRow, LinearRow, LrnRow, NormRow,
};
pub use pool::PoolRow;
pub use residual::{BasicRow, BlockRow, BottleneckRow};
pub use residual_options::{Gating, Order, Shortcut, StrideIn};

use super::multipliers::Multipliers;
use super::name::{Name, Namer};
use super::node::Chain;
use super::shape::ShapeError;
use crate::named::{Named, named};
use serde::Deserialize;

/// What the expansion of a row needs beside the row.
pub struct Context {
    pub namer: Namer,
    pub classes: usize,
    /// Blocks that rows may still expand into; a bound on what a small file can make the program build.
    pub blocks_left: usize,
}

impl Context {
    /// Indices of a row's blocks.
    ///
    /// # Errors
    /// When `repeat` is out of range, or the network has more blocks than any experiment needs.
    pub fn repeats(&mut self, repeat: usize) -> Result<std::ops::Range<usize>, ShapeError> {
        let range = columns::repeats(repeat)?;
        self.blocks_left = self
            .blocks_left
            .checked_sub(repeat)
            .ok_or_else(|| ShapeError::new(format!("the network has more than {MAX_BLOCKS} blocks")))?;
        Ok(range)
    }
}

pub(crate) const MAX_BLOCKS: usize = 20_000;

/// A row's columns: they expand into layers, and they can be scaled.
pub trait Expand {
    /// Appends the row's layers to the chain.
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Result<(), ShapeError>;

    /// Multiplies the columns that are widths and repeats. A row without such columns stays.
    fn scale(&mut self, _by: &Multipliers) {}

    /// What the row is called in parameter names; empty where it has no name of its own.
    fn name(&self) -> &Name;
}

named! {
    /// One row of a network's table.
    #[derive(Deserialize)]
    #[serde(tag = "op")]
    Row: Expand,
    /// The name of an operation, as in the `op` column.
    OpName {
        "conv" => Conv(ConvRow),
        "linear" => Linear(LinearRow),
        "classifier" => Classifier(ClassifierRow),
        "pool" => Pool(PoolRow),
        "global_avg_pool" => GlobalAvgPool(GlobalAvgPoolRow),
        "adaptive_avg_pool" => AdaptiveAvgPool(AdaptiveAvgPoolRow),
        "dropout" => Dropout(DropoutRow),
        "lrn" => Lrn(LrnRow),
        "norm" => Norm(NormRow),
        "act" => Act(ActRow),
        "inception" => Inception(InceptionRow),
        "aux" => Aux(AuxRow),
        "basic" => Basic(BasicRow),
        "bottleneck" => Bottleneck(BottleneckRow),
        "highway" => Highway(HighwayRow),
        "inception_resnet" => InceptionResnet(InceptionResnetRow),
        "reduction" => Reduction(ReductionRow),
        "separable" => Separable(SeparableRow),
        "inverted_residual" => InvertedResidual(InvertedResidualRow),
        "mbconv" => Mbconv(MbconvRow),
        "branches" => Branches(BranchesRow),
        "residual" => Residual(ResidualRow),
    }
}

impl Row {
    /// The `op` column.
    pub fn op(&self) -> &'static str {
        self.kind().text()
    }
}
