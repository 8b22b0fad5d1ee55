//! How layers are connected: in a chain, side by side, around a shortcut.

use super::layer::Layer;
use super::ops::{Act, BatchNorm, Conv, Flatten, Op};
use super::shape::{Shape, ShapeError, check_width};
use super::style::{Norm, Style};
use serde::{Deserialize, Serialize};

/// A part of a network.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Layer(Layer),
    /// Several chains on the same input, their outputs joined.
    Branches {
        join: Join,
        branches: Vec<Vec<Node>>,
    },
    Residual(Residual),
    /// y = x · gate(x), the gate a value a channel (squeeze-and-excitation).
    Excite {
        gate: Vec<Node>,
    },
    /// An auxiliary classifier (GoogLeNet): training adds its loss times `weight`. It passes its input on unchanged and is
    /// absent at inference.
    Aux {
        head: Vec<Node>,
        weight: f64,
    },
}

/// How parallel branches become one map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// Along the channels.
    Concat,
    Sum,
}

/// after(merge(body(pre(x)), shortcut(pre(x))))
#[derive(Clone, Debug, PartialEq)]
pub struct Residual {
    /// Shared by body and shortcut: the first pre-activation where sizes change.
    pub pre: Vec<Node>,
    pub body: Vec<Node>,
    /// The identity where it is empty.
    pub shortcut: Vec<Node>,
    pub merge: Merge,
    pub after: Vec<Node>,
    /// Set by [`Network::new`](super::Network::new), because it depends on the number of blocks.
    pub survival: Survival,
}

impl Residual {
    /// A block with the identity as its shortcut and nothing before or after the two paths.
    pub fn new(body: Vec<Node>, merge: Merge) -> Residual {
        let [pre, shortcut, after] = [(); 3].map(|()| Vec::new());
        Residual { pre, body, shortcut, merge, after, survival: Survival::ALWAYS }
    }
}

/// How the residual branch F and the shortcut S meet.
#[derive(Clone, Debug, PartialEq)]
pub enum Merge {
    /// scale · F + S
    Sum { scale: f64 },
    /// F alone: a plain network.
    Body,
    /// T · F + (1 − T) · S with the gate T computed from the block's input (Highway networks).
    Gate(Vec<Node>),
    /// F + (1 − T) · S, "shortcut-only gating" (identity mappings, table 1).
    ShortcutGate(Vec<Node>),
}

/// Stochastic depth of one block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Survival {
    /// Probability that the block's body takes part in a training step.
    pub probability: f64,
    pub gate: SurvivalGate,
}

impl Survival {
    pub const ALWAYS: Survival = Survival { probability: 1.0, gate: SurvivalGate::Batch };
}

/// What one draw of stochastic depth applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SurvivalGate {
    /// The mini-batch: the whole body is skipped, and at test its output is multiplied by p (Huang et al. 2016).
    Batch,
    /// An image; survivors are divided by p in training (EfficientNet's drop-connect).
    Sample,
}

/// Builds a chain of nodes, each on the output shape of the one before.
pub struct Chain<'a> {
    style: &'a Style,
    pub nodes: Vec<Node>,
    pub shape: Shape,
}

type Built = Result<(), ShapeError>;

impl<'a> Chain<'a> {
    pub fn new(style: &'a Style, input: Shape) -> Chain<'a> {
        Chain { style, nodes: Vec::new(), shape: input }
    }

    /// Settings that the network's rows share.
    pub fn style(&self) -> &'a Style {
        self.style
    }

    /// An empty chain whose input is the current shape.
    pub fn fork(&self) -> Chain<'a> {
        Chain::new(self.style, self.shape)
    }

    /// Appends an operation; `name` is the prefix of its parameters' names.
    ///
    /// # Errors
    /// When the operation cannot be applied to the chain's shape.
    pub fn op(&mut self, name: impl Into<String>, op: impl Into<Op>) -> Built {
        let op = op.into();
        let output = op.output(self.shape)?;
        self.nodes.push(Node::Layer(Layer { name: name.into(), op, input: self.shape, output }));
        self.shape = output;
        Ok(())
    }

    pub fn conv(&mut self, name: impl Into<String>, conv: Conv) -> Built {
        self.op(name, conv)
    }

    /// Batch normalisation in the network's style, γ starting at 1.
    pub fn norm(&mut self, name: impl Into<String>) -> Built {
        self.norm_from(name, 1.0)
    }

    /// Batch normalisation in the network's style, γ starting at `gamma`.
    pub(super) fn norm_from(&mut self, name: impl Into<String>, gamma: f64) -> Built {
        let Style { bn_eps: eps, bn_momentum: momentum, bn_scale, .. } = *self.style;
        self.op(name, BatchNorm { eps, momentum, gamma: bn_scale.then_some(gamma) })
    }

    pub fn act(&mut self, act: Act) -> Built {
        if act == Act::None { Ok(()) } else { self.op("", act) }
    }

    /// Convolution, the network's normalisation, non-linearity: named `prefix.conv` and `prefix.bn`.
    pub fn conv_norm_act(&mut self, prefix: &str, conv: Conv, norm: Norm, act: Act) -> Built {
        self.conv_norm_act_named(&format!("{prefix}.conv"), &format!("{prefix}.bn"), conv, norm, act)
    }

    /// Convolution, normalisation and non-linearity with full names. Without normalisation the convolution has a bias.
    pub(super) fn conv_norm_act_named(
        &mut self,
        conv_name: &str,
        norm_name: &str,
        conv: Conv,
        norm: Norm,
        act: Act,
    ) -> Built {
        let bias = conv.bias || norm == Norm::None;
        self.conv(conv_name, conv.bias(bias))?;
        if norm == Norm::Batch {
            self.norm(norm_name)?;
        }
        self.act(act)
    }

    /// Flattens a map; a vector stays as it is.
    pub fn flatten(&mut self) -> Built {
        if matches!(self.shape, Shape::Map { .. }) { self.op("", Flatten) } else { Ok(()) }
    }

    /// Joins chains that were forked from this one.
    ///
    /// # Errors
    /// When their output shapes do not fit together.
    pub fn branches(&mut self, join: Join, branches: Vec<Chain<'a>>) -> Built {
        let shape = joined(join, &branches.iter().map(|branch| branch.shape).collect::<Vec<_>>())?;
        let branches = branches.into_iter().map(|branch| branch.nodes).collect();
        self.nodes.push(Node::Branches { join, branches });
        self.shape = shape;
        Ok(())
    }

    /// Appends a node with a known output shape.
    pub fn push(&mut self, node: Node, output: Shape) {
        self.nodes.push(node);
        self.shape = output;
    }
}

fn joined(join: Join, shapes: &[Shape]) -> Result<Shape, ShapeError> {
    let listed = || shapes.iter().map(Shape::to_string).collect::<Vec<_>>().join(", ");
    let Some((&first, rest)) = shapes.split_first() else {
        return Err(ShapeError::new("there is no branch"));
    };
    match join {
        Join::Sum if rest.iter().all(|&shape| shape == first) => Ok(first),
        Join::Sum => Err(ShapeError::new(format!("branches that are summed must agree, but they give {}", listed()))),
        Join::Concat => {
            let Shape::Map { h, w, .. } = first else {
                return Err(ShapeError::new("branches are joined along channels, so each must give a map"));
            };
            if !shapes.iter().all(|shape| matches!(shape, Shape::Map { h: y, w: x, .. } if (*y, *x) == (h, w))) {
                return Err(ShapeError::new(format!(
                    "branches joined along channels must agree in height and width, but they give {}",
                    listed()
                )));
            }
            let channels = shapes.iter().fold(0usize, |sum, shape| sum.saturating_add(shape.channels()));
            check_width(channels)?;
            Ok(Shape::Map { c: channels, h, w })
        }
    }
}

/// Calls `f` for every layer, in the order of the forward pass, with whether it belongs to an auxiliary head.
pub fn walk<'n>(nodes: &'n [Node], aux: bool, f: &mut dyn FnMut(&'n Layer, bool)) {
    for node in nodes {
        match node {
            Node::Layer(layer) => f(layer, aux),
            Node::Branches { branches, .. } => branches.iter().for_each(|branch| walk(branch, aux, f)),
            Node::Excite { gate } => walk(gate, aux, f),
            Node::Aux { head, .. } => walk(head, true, f),
            Node::Residual(residual) => {
                for part in [&residual.pre, &residual.body, &residual.shortcut] {
                    walk(part, aux, f);
                }
                if let Merge::Gate(gate) | Merge::ShortcutGate(gate) = &residual.merge {
                    walk(gate, aux, f);
                }
                walk(&residual.after, aux, f);
            }
        }
    }
}

/// Calls `f` for every residual block, in the order of the forward pass.
pub fn walk_residuals(nodes: &mut [Node], f: &mut dyn FnMut(&mut Residual)) {
    for node in nodes {
        match node {
            Node::Layer(_) | Node::Excite { .. } | Node::Aux { .. } => {}
            Node::Branches { branches, .. } => branches.iter_mut().for_each(|branch| walk_residuals(branch, f)),
            Node::Residual(residual) => f(residual),
        }
    }
}
