//! Inception modules and auxiliary heads (Szegedy et al. 2014).

use super::columns::{Branch, finite};
use super::{Context, Expand};
use crate::arch::multipliers::Multipliers;
use crate::arch::name::Name;
use crate::arch::node::{Chain, Join, Node};
use crate::arch::ops::{Act, AdaptiveAvgPool, AvgPool, Conv, Dropout, Linear, MaxPool};
use crate::arch::shape::ShapeError;
use crate::arch::window::{Padding, Window};
use crate::named::is_default;
use serde::{Deserialize, Serialize};

type Built = Result<(), ShapeError>;

fn five() -> usize {
    5
}

fn is_five(n: &usize) -> bool {
    *n == 5
}

/// One row of GoogLeNet's table: #1x1, #3x3 reduce and #3x3, #5x5 reduce and #5x5, pool proj.
///
/// Without reductions (`b3 = 192`) and with `pool = 0` (no projection after the pool) it is the naive module of figure 2a.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InceptionRow {
    pub b1: usize,
    pub b3: Branch,
    pub b5: Branch,
    #[serde(default, skip_serializing_if = "is_default")]
    pub pool: usize,
    /// Kernel of the b5 branch: 5 in the paper, 3 in torchvision.
    #[serde(default = "five", skip_serializing_if = "is_five")]
    pub b5_kernel: usize,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

impl Expand for InceptionRow {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Built {
        let name = context.namer.row(&self.name);
        let (norm, act) = (chain.style().norm, chain.style().act);

        let mut one = chain.fork();
        one.conv_norm_act(&format!("{name}.branch1"), Conv::new(self.b1, 1), norm, act)?;
        let mut branches = vec![one];
        for (number, branch, kernel) in [(2, self.b3, 3), (3, self.b5, self.b5_kernel)] {
            let mut wide = chain.fork();
            if branch.reduce > 0 {
                wide.conv_norm_act(&format!("{name}.branch{number}.0"), Conv::new(branch.reduce, 1), norm, act)?;
            }
            wide.conv_norm_act(&format!("{name}.branch{number}.1"), Conv::new(branch.width, kernel), norm, act)?;
            branches.push(wide);
        }
        let mut pool = chain.fork();
        pool.op("", MaxPool(Window::new(3, 1, Padding::Half)))?;
        if self.pool > 0 {
            pool.conv_norm_act(&format!("{name}.branch4.1"), Conv::new(self.pool, 1), norm, act)?;
        }
        branches.push(pool);
        chain.branches(Join::Concat, branches)
    }

    fn scale(&mut self, by: &Multipliers) {
        for width in [&mut self.b1, &mut self.b3.width, &mut self.b5.width] {
            *width = by.width(*width);
        }
        for width in [&mut self.pool, &mut self.b3.reduce, &mut self.b5.reduce] {
            if *width > 0 {
                *width = by.width(*width);
            }
        }
    }

    fn name(&self) -> &Name {
        &self.name
    }
}

/// How an auxiliary head shrinks the map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuxPool {
    /// Average over 5x5 windows, stride 3: the paper's, 4x4 from 14x14.
    #[default]
    Strided,
    /// Average over a grid of 4x4 cells: torchvision's, for any map.
    Adaptive,
}

/// An auxiliary head: pooling, 1x1 convolution, two linear layers. Training adds its loss times `weight`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuxRow {
    #[serde(default = "AuxRow::default_weight")]
    pub weight: f64,
    #[serde(default)]
    pub pool: AuxPool,
    #[serde(default = "AuxRow::default_width")]
    pub width: usize,
    #[serde(default = "AuxRow::default_hidden")]
    pub hidden: usize,
    #[serde(default = "AuxRow::default_dropout")]
    pub dropout: f64,
    /// Initial bias of the hidden linear layer; 0 without this column.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bias_init: f64,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

impl AuxRow {
    fn default_weight() -> f64 {
        0.3
    }

    fn default_width() -> usize {
        128
    }

    fn default_hidden() -> usize {
        1024
    }

    fn default_dropout() -> f64 {
        0.7
    }

    pub fn new(name: &str, pool: AuxPool) -> AuxRow {
        AuxRow {
            weight: AuxRow::default_weight(),
            pool,
            width: AuxRow::default_width(),
            hidden: AuxRow::default_hidden(),
            dropout: AuxRow::default_dropout(),
            bias_init: 0.0,
            name: Name::new(name),
        }
    }
}

impl Expand for AuxRow {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Built {
        finite(&[("weight", self.weight), ("bias_init", self.bias_init)])?;
        let name = context.namer.row(&self.name);
        let mut head = chain.fork();
        match self.pool {
            AuxPool::Strided => head.op("", AvgPool(Window::new(5, 3, Padding::Valid)))?,
            AuxPool::Adaptive => head.op("", AdaptiveAvgPool { size: 4 })?,
        }
        head.conv_norm_act(&format!("{name}.conv"), Conv::new(self.width, 1), chain.style().norm, chain.style().act)?;
        head.flatten()?;
        head.op(format!("{name}.fc1"), Linear { width: self.hidden, bias: true, bias_init: self.bias_init })?;
        head.act(Act::Relu)?;
        head.op("", Dropout { rate: self.dropout })?;
        head.op(format!("{name}.fc2"), Linear { width: context.classes, bias: true, bias_init: 0.0 })?;
        let shape = chain.shape;
        chain.push(Node::Aux { head: head.nodes, weight: self.weight }, shape);
        Ok(())
    }

    fn name(&self) -> &Name {
        &self.name
    }
}
