//! The graph of a network: its nodes and constants, part by part.

use super::proto::{Attribute, Node, Tensor};
use super::{FLOAT, INT64, OnnxError, initializer};
use crate::arch::node::{self, Join, Merge, Residual, Survival, SurvivalGate};
use std::collections::HashMap;

type Result<T> = std::result::Result<T, OnnxError>;

/// Collects nodes and constants. Values are called by their names, each of which is given once.
pub(super) struct GraphBuilder<'a> {
    pub nodes: Vec<Node>,
    pub initializers: Vec<Tensor>,
    tensors: HashMap<&'a str, &'a tch::Tensor>,
    /// How often each name was given.
    names: HashMap<String, usize>,
}

impl<'a> GraphBuilder<'a> {
    pub(super) fn new(tensors: &'a [(String, tch::Tensor)]) -> GraphBuilder<'a> {
        let tensors = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        GraphBuilder { nodes: Vec::new(), initializers: Vec::new(), tensors, names: HashMap::new() }
    }

    /// A chain of parts; gives the name of its output.
    pub(super) fn chain(&mut self, nodes: &[node::Node], x: String) -> Result<String> {
        nodes.iter().try_fold(x, |x, node| self.part(node, x))
    }

    fn part(&mut self, node: &node::Node, x: String) -> Result<String> {
        match node {
            node::Node::Layer(layer) => self.layer(layer, x),
            node::Node::Branches { join, branches } => {
                let outputs =
                    branches.iter().map(|branch| self.chain(branch, x.clone())).collect::<Result<Vec<_>>>()?;
                Ok(match join {
                    Join::Concat => self.op("Concat", outputs, vec![int("axis", 1)]),
                    Join::Sum => self.op("Sum", outputs, Vec::new()),
                })
            }
            node::Node::Excite { gate } => {
                let gate = self.chain(gate, x.clone())?;
                Ok(self.op("Mul", vec![x, gate], Vec::new()))
            }
            node::Node::Residual(residual) => self.residual(residual, x),
            node::Node::Aux { .. } => Ok(x),
        }
    }

    fn residual(&mut self, residual: &Residual, x: String) -> Result<String> {
        let x = self.chain(&residual.pre, x)?;
        let body = self.chain(&residual.body, x.clone())?;
        // Stochastic depth in evaluation: a block that is drawn for a batch is multiplied by its probability.
        let factor = match residual.survival {
            Survival { probability, gate: SurvivalGate::Batch } => probability,
            _ => 1.0,
        };
        let merged = match &residual.merge {
            Merge::Body => body,
            Merge::Sum { scale } => {
                let body = self.times(body, scale * factor);
                let shortcut = self.chain(&residual.shortcut, x)?;
                self.op("Add", vec![body, shortcut], Vec::new())
            }
            Merge::Gate(gate) | Merge::ShortcutGate(gate) => {
                let shortcut = self.chain(&residual.shortcut, x.clone())?;
                let transform = self.chain(gate, x)?;
                // S + T·(F − S), or S + (F − T·S)
                let change = match &residual.merge {
                    Merge::Gate(_) => {
                        let change = self.op("Sub", vec![body, shortcut.clone()], Vec::new());
                        self.op("Mul", vec![transform, change], Vec::new())
                    }
                    _ => {
                        let gated = self.op("Mul", vec![transform, shortcut.clone()], Vec::new());
                        self.op("Sub", vec![body, gated], Vec::new())
                    }
                };
                let change = self.times(change, factor);
                self.op("Add", vec![shortcut, change], Vec::new())
            }
        };
        self.chain(&residual.after, merged)
    }

    /// x · factor, without a node where the factor is 1.
    pub(super) fn times(&mut self, x: String, factor: f64) -> String {
        if factor == 1.0 {
            return x;
        }
        let factor = self.scalar(factor);
        self.op("Mul", vec![x, factor], Vec::new())
    }

    /// A node with one output, whose name is returned.
    pub(super) fn op(&mut self, op: &str, inputs: Vec<String>, attributes: Vec<Attribute>) -> String {
        self.named_op(op, &op.to_lowercase(), inputs, attributes)
    }

    /// A node that is called like a layer.
    pub(super) fn named_op(&mut self, op: &str, name: &str, inputs: Vec<String>, attributes: Vec<Attribute>) -> String {
        let name = self.fresh(name);
        let output = format!("{name}:out");
        self.nodes.push(node(op, &name, inputs, &output, attributes));
        output
    }

    /// A name that is not taken.
    fn fresh(&mut self, name: &str) -> String {
        let count = self.names.entry(name.to_owned()).or_default();
        *count += 1;
        if *count == 1 { name.to_owned() } else { format!("{name}#{count}") }
    }

    /// The tensor of the network that is called `name`, as a constant under this name.
    pub(super) fn param(&mut self, name: &str) -> Result<String> {
        let tensor = self.tensors.get(name).ok_or_else(|| OnnxError::Missing(name.to_owned()))?;
        self.initializers.push(initializer(name, tensor));
        Ok(name.to_owned())
    }

    /// A constant of floats.
    pub(super) fn floats(&mut self, dims: &[i64], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(dims, FLOAT, bytes)
    }

    pub(super) fn scalar(&mut self, value: f64) -> String {
        self.floats(&[], &[value as f32])
    }

    /// A constant list of integers.
    pub(super) fn integers(&mut self, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(&[values.len() as i64], INT64, bytes)
    }

    fn constant(&mut self, dims: &[i64], data_type: i32, raw_data: Vec<u8>) -> String {
        let name = self.fresh("constant");
        self.initializers.push(Tensor { dims: dims.to_vec(), data_type, name: name.clone(), raw_data });
        name
    }
}

fn node(op: &str, name: &str, input: Vec<String>, output: &str, attribute: Vec<Attribute>) -> Node {
    Node { input, output: vec![output.to_owned()], name: name.to_owned(), op_type: op.to_owned(), attribute }
}

pub(super) fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: name.to_owned(), i: Some(value), kind: 2, ..Attribute::default() }
}

pub(super) fn float(name: &str, value: f64) -> Attribute {
    Attribute { name: name.to_owned(), f: Some(value as f32), kind: 1, ..Attribute::default() }
}

pub(super) fn ints(name: &str, values: &[usize]) -> Attribute {
    let ints = values.iter().map(|&value| value as i64).collect();
    Attribute { name: name.to_owned(), ints, kind: 7, ..Attribute::default() }
}
