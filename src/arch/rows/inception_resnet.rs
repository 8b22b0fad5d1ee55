//! Inception-ResNet v1 (Szegedy et al. 2016, figures 10 to 13), with facenet-pytorch's parameter names.

use super::columns::{finite, is_one, one};
use super::{Context, Expand};
use crate::arch::multipliers::Multipliers;
use crate::arch::name::Name;
use crate::arch::node::{Chain, Join, Merge, Node, Residual};
use crate::arch::ops::{Act, Conv, MaxPool};
use crate::arch::shape::ShapeError;
use crate::arch::window::{Padding, Pair, Window};
use serde::{Deserialize, Serialize};

type Built = Result<(), ShapeError>;

/// Which of the paper's blocks: A on the largest maps, C on the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InceptionBlock {
    A,
    B,
    C,
}

/// Inception branches, a 1x1 filter expansion without normalisation, a scaled sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InceptionResnetRow {
    pub kind: InceptionBlock,
    /// Channels of every convolution inside the branches (32, 128, 192 in the paper).
    pub width: usize,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub repeat: usize,
    /// Factor on the residual branch before the sum; the paper takes 0.1 to 0.3.
    pub scale: f64,
    /// Non-linearity of the filter expansion: none in the paper.
    #[serde(default = "linear", skip_serializing_if = "is_linear")]
    pub expansion_act: Act,
    /// Non-linearity after the sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

fn linear() -> Act {
    Act::None
}

fn is_linear(act: &Act) -> bool {
    *act == Act::None
}

impl InceptionResnetRow {
    pub fn new(kind: InceptionBlock, width: usize, repeat: usize, scale: f64, name: &str) -> InceptionResnetRow {
        InceptionResnetRow { kind, width, repeat, scale, expansion_act: Act::None, act: None, name: Name::new(name) }
    }

    /// Kernels of each branch, in order.
    fn branches(&self) -> Vec<Vec<Pair>> {
        let square = Pair::square;
        match self.kind {
            InceptionBlock::A => {
                vec![vec![square(1)], vec![square(1), square(3)], vec![square(1), square(3), square(3)]]
            }
            InceptionBlock::B => vec![vec![square(1)], vec![square(1), Pair { h: 1, w: 7 }, Pair { h: 7, w: 1 }]],
            InceptionBlock::C => vec![vec![square(1)], vec![square(1), Pair { h: 1, w: 3 }, Pair { h: 3, w: 1 }]],
        }
    }

    fn block(&self, name: &str, chain: &mut Chain) -> Built {
        let style = chain.style();
        let convolutions = |kernels: Vec<Pair>| {
            kernels.into_iter().map(|kernel| Conv::new(self.width, 1).kernel(kernel)).collect::<Vec<_>>()
        };
        let mut body = chain.fork();
        let branches = self
            .branches()
            .into_iter()
            .enumerate()
            .map(|(number, kernels)| branch(&body, &format!("{name}.branch{number}"), convolutions(kernels)))
            .collect::<Result<Vec<_>, _>>()?;
        body.branches(Join::Concat, branches)?;
        body.conv(format!("{name}.conv2d"), Conv::new(chain.shape.channels(), 1).bias(true))?;
        body.act(self.expansion_act)?;
        let output = body.shape;
        let mut after = body.fork();
        after.act(self.act.unwrap_or(style.act))?;
        let residual = Residual { after: after.nodes, ..Residual::new(body.nodes, Merge::Sum { scale: self.scale }) };
        chain.push(Node::Residual(residual), output);
        Ok(())
    }
}

/// One branch: named `prefix` where it is a single convolution, `prefix.0`, `prefix.1`, … where it is several.
fn branch<'a>(from: &Chain<'a>, prefix: &str, convolutions: Vec<Conv>) -> Result<Chain<'a>, ShapeError> {
    let mut chain = from.fork();
    let style = chain.style();
    let single = convolutions.len() == 1;
    for (index, conv) in convolutions.into_iter().enumerate() {
        let name = if single { prefix.to_owned() } else { format!("{prefix}.{index}") };
        chain.conv_norm_act(&name, conv, style.norm, style.act)?;
    }
    Ok(chain)
}

impl Expand for InceptionResnetRow {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Built {
        finite(&[("scale", self.scale)])?;
        for index in context.repeats(self.repeat)? {
            let name = context.namer.block(&self.name, index);
            self.block(&name, chain)?;
        }
        Ok(())
    }

    fn scale(&mut self, by: &Multipliers) {
        self.width = by.width(self.width);
        self.repeat = by.repeat(self.repeat);
    }

    fn name(&self) -> &Name {
        &self.name
    }
}

/// Halves the map: a max-pool beside strided convolutions. `k`, `l`, `m`, `n` are the paper's letters (table 1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReductionRow {
    /// `a`: 3x3/2 n | 1x1 k, 3x3 l, 3x3/2 m. `b`: 1x1 k, 3x3/2 n | 1x1 k, 3x3/2 l | 1x1 k, 3x3 l, 3x3/2 m.
    pub kind: InceptionBlock,
    pub k: usize,
    pub l: usize,
    pub m: usize,
    pub n: usize,
    /// Padding of the strided windows: `valid` in the paper, `half` for small images.
    #[serde(default = "valid")]
    pub padding: Padding,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

fn valid() -> Padding {
    Padding::Valid
}

impl Expand for ReductionRow {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Built {
        let name = context.namer.row(&self.name);
        let halve = |width| Conv::new(width, 3).stride(2).padding(self.padding);
        let reduce = || Conv::new(self.k, 1);
        let deep = vec![reduce(), Conv::new(self.l, 3), halve(self.m)];
        let convolutions = match self.kind {
            InceptionBlock::A => vec![vec![halve(self.n)], deep],
            InceptionBlock::B => vec![vec![reduce(), halve(self.n)], vec![reduce(), halve(self.l)], deep],
            InceptionBlock::C => return Err(ShapeError::new("there are reductions a and b, but no c")),
        };
        let mut branches = convolutions
            .into_iter()
            .enumerate()
            .map(|(number, convolutions)| branch(chain, &format!("{name}.branch{number}"), convolutions))
            .collect::<Result<Vec<_>, _>>()?;
        let mut pool = chain.fork();
        pool.op("", MaxPool(Window::new(3, 2, self.padding)))?;
        branches.push(pool);
        chain.branches(Join::Concat, branches)
    }

    fn scale(&mut self, by: &Multipliers) {
        for width in [&mut self.k, &mut self.l, &mut self.m, &mut self.n] {
            *width = by.width(*width);
        }
    }

    fn name(&self) -> &Name {
        &self.name
    }
}
