//! One layer: an operation, the name of its parameters, and the shapes that it was found to work on.

use super::cost::Cost;
use super::ops::Op;
use super::params::Param;
use super::shape::Shape;

/// An operation at its place in a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Prefix of its parameters' names: `layer1.0.conv1` for `layer1.0.conv1.weight`.
    pub name: String,
    pub op: Op,
    pub input: Shape,
    pub output: Shape,
}

impl Layer {
    /// The layer's parameters and buffers, under their full names.
    pub fn params(&self) -> Vec<Param> {
        let full = |param: Param| Param { name: format!("{}.{}", self.name, param.name), ..param };
        self.op.tensors(self.input).into_iter().map(full).collect()
    }

    /// Cost for one image.
    pub fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        for param in self.op.tensors(self.input) {
            *if param.role.trainable() { &mut cost.params } else { &mut cost.buffers } += param.count();
        }
        if let Some(products) = self.op.products(self.input) {
            cost.activations = self.output.values();
            cost.macs = cost.activations.saturating_mul(products);
        }
        cost
    }
}
