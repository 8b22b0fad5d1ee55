//! A network as a value: the plan that a file describes, and the layers that it expands into.

use super::cost::Cost;
use super::layer::Layer;
use super::name::Namer;
use super::node::{Chain, Merge, Node, Residual, Survival, SurvivalGate, walk, walk_residuals};
use super::params::Param;
use super::rows::{Context, MAX_BLOCKS, Row};
use super::shape::{Shape, ShapeError};
use super::style::Style;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A network before it is expanded: its table of rows and the settings that they share.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub rows: Vec<Row>,
    pub style: Style,
    pub stochastic_depth: StochasticDepth,
    /// `[channels, height, width]`
    pub input: [usize; 3],
    pub classes: usize,
}

/// The `stochastic_depth` table: how likely block l of L takes part in a training step (Huang et al. 2016, section 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StochasticDepth {
    /// p_L, the survival probability of the last block; 1 switches it off.
    pub survival: f64,
    pub decay: Decay,
    pub gate: SurvivalGate,
}

/// How survival falls with depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// p_l = 1 − (l/L)(1 − p_L), l counted from 1
    Linear,
    /// p_l = 1 − (l/L)(1 − p_L), l counted from 0 (EfficientNet's released code)
    LinearFromZero,
    /// p_l = p_L
    Uniform,
}

impl Default for StochasticDepth {
    fn default() -> StochasticDepth {
        StochasticDepth { survival: 1.0, decay: Decay::Linear, gate: SurvivalGate::Batch }
    }
}

impl StochasticDepth {
    /// Survival probability of block `index`, counted from 0, of `blocks`.
    pub fn probability(&self, index: usize, blocks: usize) -> f64 {
        let part = |l: usize| 1.0 - l as f64 / blocks as f64 * (1.0 - self.survival);
        match self.decay {
            Decay::Linear => part(index + 1),
            Decay::LinearFromZero => part(index),
            Decay::Uniform => self.survival,
        }
    }
}

/// One row of the table and what it expanded into.
#[derive(Clone, Debug, PartialEq)]
pub struct RowNodes {
    /// The row's `name`, or its position: `row3`.
    pub label: String,
    pub op: &'static str,
    pub nodes: Vec<Node>,
    pub input: Shape,
    pub output: Shape,
}

impl RowNodes {
    /// The row's parameters and buffers, in the order of the forward pass.
    pub fn params(&self) -> Vec<Param> {
        let mut params = Vec::new();
        walk(&self.nodes, false, &mut |layer, _| params.extend(layer.params()));
        params
    }
}

/// A network with every layer in place and every shape known.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub plan: Plan,
    pub rows: Vec<RowNodes>,
    /// Prefixes of the parameters of the auxiliary heads that [`Network::inference`] leaves out.
    pub absent_heads: Vec<String>,
}

/// A table of rows that is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {} ({op}): {message}", .row + 1)]
pub struct NetworkError {
    /// Counted from 0.
    pub row: usize,
    pub op: &'static str,
    pub message: String,
}

/// A bound far above any experiment, so that a small file cannot exhaust memory.
const MAX_LAYERS: usize = 200_000;

impl Network {
    /// Expands a plan and infers every shape.
    ///
    /// # Errors
    /// When a row does not accept the shape that the row before it gives, when the last row does not give one value per class,
    /// and when two layers have parameters of one name.
    pub fn new(plan: Plan) -> Result<Network, NetworkError> {
        Network::expand(plan, true)
    }

    /// Expands a plan without its auxiliary heads, which only training uses. All other parameters keep their names, and the
    /// input may be too small for the heads.
    ///
    /// # Errors
    /// See [`Network::new`].
    pub fn inference(plan: Plan) -> Result<Network, NetworkError> {
        Network::expand(plan, false)
    }

    fn expand(plan: Plan, heads: bool) -> Result<Network, NetworkError> {
        let mut absent_heads = Vec::new();
        let mut context = Context { namer: Namer::default(), classes: plan.classes, blocks_left: MAX_BLOCKS };
        let mut shape = Shape::map(plan.input);
        let mut rows: Vec<RowNodes> = Vec::with_capacity(plan.rows.len());
        let mut layers = 0;
        for (index, row) in plan.rows.iter().enumerate() {
            let fail = |message: String| NetworkError { row: index, op: row.op(), message };
            let unnamed = format!("row{}", index + 1);
            let label = row.name().first().unwrap_or(&unnamed).to_owned();
            context.namer.set_default(unnamed);
            let mut chain = Chain::new(&plan.style, shape);
            match row {
                Row::Aux(aux) if !heads => absent_heads.push(format!("{}.", context.namer.row(&aux.name))),
                row => row.expand(&mut context, &mut chain).map_err(|ShapeError(message)| fail(message))?,
            }
            walk(&chain.nodes, false, &mut |_, _| layers += 1);
            if layers > MAX_LAYERS {
                return Err(fail(format!("the network has more than {MAX_LAYERS} layers")));
            }
            let input = std::mem::replace(&mut shape, chain.shape);
            rows.push(RowNodes { label, op: row.op(), nodes: chain.nodes, input, output: shape });
        }
        let last = plan.rows.len().saturating_sub(1);
        let fail =
            |message: String| NetworkError { row: last, op: plan.rows.get(last).map_or("none", Row::op), message };
        if shape != (Shape::Vector { n: plan.classes }) {
            return Err(fail(format!(
                "the last row gives {shape}, but {} classes need a vector of {0} values; end with a `classifier` row",
                plan.classes
            )));
        }
        let mut network = Network { plan, rows, absent_heads };
        network.set_survival();
        network.check_names()?;
        Ok(network)
    }

    fn set_survival(&mut self) {
        let rule = self.plan.stochastic_depth.clone();
        let blocks = self.residuals();
        let mut index = 0;
        for row in &mut self.rows {
            walk_residuals(&mut row.nodes, &mut |block: &mut Residual| {
                if block.merge != Merge::Body {
                    block.survival = Survival { probability: rule.probability(index, blocks), gate: rule.gate };
                }
                index += 1;
            });
        }
    }

    fn check_names(&self) -> Result<(), NetworkError> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (index, row) in self.rows.iter().enumerate() {
            let mut clash = None;
            walk(&row.nodes, false, &mut |layer, _| {
                for param in layer.params() {
                    if let Some(first) = seen.insert(param.name.clone(), index) {
                        clash.get_or_insert((param.name, first));
                    }
                }
            });
            if let Some((name, first)) = clash {
                let first = first + 1;
                let message =
                    format!("its parameter {name} has the name of one in row {first}; give one another `name`");
                return Err(NetworkError { row: index, op: row.op, message });
            }
        }
        Ok(())
    }

    /// Every layer in the order of the forward pass, with whether it belongs to an auxiliary head.
    pub fn layers(&self) -> Vec<(&Layer, bool)> {
        let mut layers = Vec::new();
        for row in &self.rows {
            walk(&row.nodes, false, &mut |layer, aux| layers.push((layer, aux)));
        }
        layers
    }

    /// Number of residual blocks, those without a shortcut counted too.
    pub(super) fn residuals(&self) -> usize {
        self.rows.iter().map(|row| count_residuals(&row.nodes, &|_| true)).sum()
    }

    /// Number of residual blocks that have a shortcut.
    pub fn shortcuts(&self) -> usize {
        self.rows.iter().map(|row| count_residuals(&row.nodes, &|block| block.merge != Merge::Body)).sum()
    }

    /// Cost of one image at inference: without auxiliary heads.
    pub fn cost(&self) -> Cost {
        self.sum(|aux| !aux)
    }

    /// Cost of the auxiliary heads, which only training has.
    pub fn aux_cost(&self) -> Cost {
        self.sum(|aux| aux)
    }

    fn sum(&self, counts: impl Fn(bool) -> bool) -> Cost {
        let mut total = Cost::default();
        for (layer, aux) in self.layers() {
            if counts(aux) {
                total += layer.cost();
            }
        }
        total
    }

    /// Every parameter and buffer, in the order of the forward pass.
    pub fn params(&self) -> Vec<Param> {
        self.rows.iter().flat_map(RowNodes::params).collect()
    }

    /// Layers with weights on the longest path from input to output: the "depth" of a network's name.
    pub fn depth(&self) -> usize {
        self.rows.iter().map(|row| depth(&row.nodes)).sum()
    }
}

fn count_residuals(nodes: &[Node], counts: &dyn Fn(&Residual) -> bool) -> usize {
    nodes
        .iter()
        .map(|node| match node {
            Node::Residual(block) => usize::from(counts(block)),
            Node::Branches { branches, .. } => branches.iter().map(|branch| count_residuals(branch, counts)).sum(),
            _ => 0,
        })
        .sum()
}

fn depth(nodes: &[Node]) -> usize {
    nodes
        .iter()
        .map(|node| match node {
            Node::Layer(layer) => usize::from(layer.params().iter().any(|param| param.role.is_weight())),
            Node::Branches { branches, .. } => branches.iter().map(|branch| depth(branch)).max().unwrap_or(0),
            Node::Residual(block) => {
                depth(&block.pre) + depth(&block.body).max(depth(&block.shortcut)) + depth(&block.after)
            }
            Node::Excite { .. } | Node::Aux { .. } => 0,
        })
        .sum()
}
