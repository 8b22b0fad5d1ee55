//! Highway layers (Srivastava et al. 2015): y = H(x)·T(x) + x·(1 − T(x)).

use super::columns::{finite, is_one, one};
use super::{Context, Expand};
use crate::arch::multipliers::Multipliers;
use crate::arch::name::Name;
use crate::arch::node::{Chain, Merge, Node, Residual};
use crate::arch::ops::{Act, Conv};
use crate::arch::shape::ShapeError;
use serde::{Deserialize, Serialize};

/// A convolution H with ReLU and a gate T with the same receptive field. Where the width changes the first layer is plain,
/// as in the paper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HighwayRow {
    pub kernel: usize,
    pub width: usize,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub repeat: usize,
    /// Initial bias of the gate; the paper tries -1 to -10 (a negative bias carries the input on).
    pub gate_bias: f64,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

impl Expand for HighwayRow {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Result<(), ShapeError> {
        let (norm, act) = (chain.style().norm, chain.style().act);
        if self.kernel.is_multiple_of(2) {
            return Err(ShapeError::new(format!(
                "a highway layer keeps the map's size: kernel {} is even",
                self.kernel
            )));
        }
        finite(&[("gate_bias", self.gate_bias)])?;
        for index in context.repeats(self.repeat)? {
            let name = context.namer.block(&self.name, index);
            let transform = Conv::new(self.width, self.kernel);
            if chain.shape.channels() != self.width {
                chain.conv_norm_act(&format!("{name}.plain"), transform, norm, act)?;
                continue;
            }
            let mut body = chain.fork();
            body.conv_norm_act(&format!("{name}.transform"), transform, norm, act)?;
            let mut gate = chain.fork();
            gate.conv(format!("{name}.gate"), Conv::new(self.width, self.kernel).bias_init(self.gate_bias))?;
            gate.act(Act::Sigmoid)?;
            let output = body.shape;
            let residual = Residual::new(body.nodes, Merge::Gate(gate.nodes));
            chain.push(Node::Residual(residual), output);
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
