//! Builds the modules of a network and the tensors that they share with [`Model`](super::Model).

use super::batch_norm::BatchNorm;
use super::block;
use super::conv_norm_act::ConvNormAct;
use super::convolution::Convolution;
use super::layers;
use super::module::{Module, Tap, Taps, label};
use super::tensors::Tensors;
use crate::arch::activations::Act;
use crate::arch::layer::Layer;
use crate::arch::node::{Merge, Node, Residual};
use crate::arch::ops::{AdaptiveAvgPool, Op};
use crate::arch::params::{Param, Role};
use crate::arch::rewrite::{ConvNormActLayers, Step, joins_sum, steps};
use crate::torch::{ProcessGroup, TorchError};
use std::collections::HashMap;
use std::sync::Arc;
use tch::Tensor;
use tch::nn::{self, SequentialT};

type Result<T> = std::result::Result<T, TorchError>;

/// Consecutive nodes and the auxiliary head on their output, if there is one.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) trunk: SequentialT,
    pub(super) head: Option<(SequentialT, f64)>,
    /// It computes in training what it computes in evaluation.
    pub(super) frozen: bool,
}

/// Makes modules and collects their tensors in the order of the forward pass.
pub(super) struct Builder<'a> {
    root: nn::Path<'a>,
    pub(super) params: Vec<(Param, Tensor)>,
    /// Whether the rewrites of [`crate::arch::rewrite`] and the kernels of [`crate::torch::fused`] may be used.
    rewrite: bool,
    /// The ranks that train the network in step: they normalise all images of a batch together and skip the same blocks.
    sync: Option<Arc<ProcessGroup>>,
    /// Tensors by name that are taken instead of new ones.
    shared: HashMap<String, Tensor>,
    /// Records the values of gates in every forward pass, if it is there.
    pub(super) taps: Option<Taps>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        root: nn::Path<'a>,
        rewrite: bool,
        sync: Option<Arc<ProcessGroup>>,
        shared: HashMap<String, Tensor>,
    ) -> Builder<'a> {
        Builder { root, params: Vec::new(), rewrite, sync, shared, taps: None }
    }

    /// The modules of a chain one by one, each with its label.
    pub(super) fn parts(&mut self, nodes: &[&Node]) -> Result<Vec<(String, Module)>> {
        let steps = steps(nodes, self.rewrite);
        let module = |step: &Step| -> Result<(String, Module)> {
            Ok(match step {
                Step::Node(node @ Node::Residual(residual)) => {
                    (label(&[(*node).clone()]), Module::Block(Box::new(self.residual(residual)?)))
                }
                Step::Node(node) => (label(&[(*node).clone()]), Module::Other(self.modules(&[*step])?)),
                Step::ConvNormAct(ConvNormActLayers { conv, norm, .. }) => {
                    let layer = conv.map(|(layer, _)| layer).or(norm.map(|(layer, _)| layer));
                    let (name, module) = (layer.map_or("", |layer| &layer.name), self.modules(&[*step])?);
                    let name = name.strip_suffix(".conv").unwrap_or(name).to_owned();
                    (name, if conv.is_some() { Module::Conv(module) } else { Module::Other(module) })
                }
            })
        };
        steps.iter().map(module).collect()
    }

    /// A chain that computes a gate.
    fn gate(&mut self, nodes: &[Node], whole: &[Node]) -> Result<SequentialT> {
        let chain = self.chain(nodes)?;
        Ok(match &self.taps {
            Some(taps) => chain.add(Tap { label: label(whole), taps: taps.clone() }),
            None => chain,
        })
    }

    pub(super) fn chain(&mut self, nodes: &[Node]) -> Result<SequentialT> {
        self.chain_of(&nodes.iter().collect::<Vec<_>>())
    }

    /// Consecutive nodes, of which the last may be an auxiliary head. A frozen head has no use: it and the rows in front of it
    /// learn nothing from its loss.
    pub(super) fn segment(&mut self, nodes: &[&Node], frozen: bool) -> Result<Segment> {
        let (trunk, head) = match nodes.split_last() {
            Some((Node::Aux { head, weight }, trunk)) => (trunk, Some((head, *weight))),
            _ => (nodes, None),
        };
        let trunk = self.chain_of(trunk)?;
        let head = match head {
            Some((head, weight)) => Some((self.chain(head)?, weight)),
            None => None,
        };
        Ok(Segment { trunk, head, frozen })
    }

    pub(super) fn chain_of(&mut self, nodes: &[&Node]) -> Result<SequentialT> {
        self.modules(&steps(nodes, self.rewrite))
    }

    fn modules(&mut self, steps: &[Step]) -> Result<SequentialT> {
        steps.iter().try_fold(nn::seq_t(), |chain, step| match step {
            Step::Node(node) => self.add(chain, node),
            Step::ConvNormAct(layers) => Ok(chain.add(self.conv_norm_act(layers)?)),
        })
    }

    fn conv_norm_act(&mut self, layers: &ConvNormActLayers) -> Result<ConvNormAct> {
        let conv = match layers.conv {
            Some((layer, conv)) => Some(Convolution::new(layer, conv, self.rewrite, self.tensors(layer))?),
            None => None,
        };
        let norm = match layers.norm {
            Some((layer, norm)) => Some(BatchNorm::new(norm, self.rewrite, self.sync.clone(), self.tensors(layer))?),
            None => None,
        };
        Ok(ConvNormAct { conv, norm, act: layers.act })
    }

    fn add(&mut self, chain: SequentialT, node: &Node) -> Result<SequentialT> {
        Ok(match node {
            Node::Layer(layer) => layers::add(chain, layer, self.tensors(layer), self.rewrite)?,
            Node::Branches { join, branches } => {
                let branches = branches.iter().map(|branch| self.chain(branch)).collect::<Result<_>>()?;
                chain.add(block::Branches { join: *join, branches, fused: self.rewrite })
            }
            Node::Excite { gate } => chain.add(self.excite(gate)?),
            Node::Residual(residual) => chain.add(self.residual(residual)?),
            Node::Aux { .. } => {
                return Err(TorchError(
                    "an auxiliary head inside a block has no use: nothing reads its loss".to_owned(),
                ));
            }
        })
    }

    fn excite(&mut self, gate: &[Node]) -> Result<block::Excite> {
        let mean = Op::from(AdaptiveAvgPool { size: 1 });
        Ok(match gate.split_first() {
            Some((Node::Layer(first), rest)) if self.rewrite && first.op == mean => {
                block::Excite { gate: self.gate(rest, gate)?, squeeze: true }
            }
            _ => block::Excite { gate: self.gate(gate, gate)?, squeeze: false },
        })
    }

    fn residual(&mut self, residual: &Residual) -> Result<block::Residual> {
        let body_nodes: Vec<&Node> = residual.body.iter().collect();
        let body_steps = steps(&body_nodes, self.rewrite);
        let joined = joins_sum(residual, body_steps.last()).filter(|_| self.rewrite);
        // Parts in the order of the forward pass: it is the order of the parameters.
        let pre = self.chain(&residual.pre)?;
        let (body, end) = match (joined, body_steps.split_last()) {
            (Some(act), Some((Step::ConvNormAct(end), body))) => {
                (self.modules(body)?, Some(ConvNormAct { act, ..self.conv_norm_act(end)? }))
            }
            _ => (self.modules(&body_steps)?, None),
        };
        let shortcut = self.chain(&residual.shortcut)?;
        let (merge, after) = match (&residual.merge, end) {
            (Merge::Sum { scale }, Some(end)) => (block::Merge::Joined(Box::new(end), *scale), nn::seq_t()),
            (merge, _) => (self.merge(merge)?, self.chain(&residual.after)?),
        };
        let (survival, sync) = (residual.survival, self.sync.clone());
        Ok(block::Residual { pre, body, shortcut, merge, after, survival, sync, fused: self.rewrite })
    }

    fn merge(&mut self, merge: &Merge) -> Result<block::Merge> {
        Ok(match merge {
            Merge::Sum { scale } => block::Merge::Sum(*scale),
            Merge::Body => block::Merge::Body,
            Merge::Gate(gate) => block::Merge::Gate(self.sum_gate(gate, false)?),
            Merge::ShortcutGate(gate) => block::Merge::Gate(self.sum_gate(gate, true)?),
        })
    }

    /// The sigmoid at the end of a gate is left to the sum, which computes both in one pass.
    fn sum_gate(&mut self, nodes: &[Node], shortcut_only: bool) -> Result<block::Gate> {
        let sigmoid = Op::Act(Act::Sigmoid);
        Ok(match nodes.split_last() {
            Some((Node::Layer(last), logits)) if self.rewrite && self.taps.is_none() && last.op == sigmoid => {
                block::Gate { chain: self.gate(logits, nodes)?, logits: true, shortcut_only }
            }
            _ => block::Gate { chain: self.gate(nodes, nodes)?, logits: false, shortcut_only },
        })
    }

    /// Makes the layer's tensors, which are then both in the store and in `params`.
    fn tensors(&mut self, layer: &Layer) -> Tensors {
        let names = layer.op.tensors(layer.input).into_iter().map(|param| param.name);
        let tensors = layer.params().into_iter().map(|param| self.tensor(param));
        Tensors::new(&layer.name, names.zip(tensors).collect())
    }

    fn tensor(&mut self, param: Param) -> Tensor {
        if let Some(tensor) = self.shared.remove(&param.name) {
            self.params.push((param, tensor.shallow_clone()));
            return tensor;
        }
        let mut parts: Vec<&str> = param.name.split('.').collect();
        let last = parts.pop().unwrap_or_default();
        let path = parts.into_iter().fold(self.root.clone(), |path, part| path / part);
        let tensor = match param.role {
            Role::RunningMean => path.zeros_no_train(last, &param.shape),
            Role::RunningVar => path.ones_no_train(last, &param.shape),
            _ => path.zeros(last, &param.shape),
        };
        self.params.push((param, tensor.shallow_clone()));
        tensor
    }
}
