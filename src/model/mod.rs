//! From the value to the tch graph: an `nn::SequentialT` of modules, its parameters named and initialised as the value says.

mod block;
mod init;
mod layers;
mod unit;
mod weights;

#[cfg(test)]
mod equivalence;
#[cfg(test)]
mod papers;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod reference;

pub use weights::{WeightsError, parse_tensors, read_tensors, tensor_bytes, write_tensors};

use crate::arch::layer::Op;
use crate::arch::node::{Merge, Node};
use crate::arch::params::{Param, Role};
use crate::arch::rewrite::{Step, joins_sum, steps};
use crate::arch::{Network, node};
use crate::torch::fused::Activation;
use crate::torch::{TorchError, catch};
use tch::nn::{self, ModuleT, SequentialT};
use tch::{Device, Kind, Tensor};
use unit::{BatchNorm, Convolution, Unit};

/// A network that runs.
#[derive(Debug)]
pub struct Model {
    store: nn::VarStore,
    segments: Vec<Segment>,
    params: Vec<(Param, Tensor)>,
    /// Prefixes of the parameters of auxiliary heads that the network was built without; see [`Network::inference`].
    absent_heads: Vec<String>,
    channels_last: bool,
}

/// A stretch of the network and the auxiliary head on its output, if one is there.
#[derive(Debug)]
struct Segment {
    trunk: SequentialT,
    head: Option<(SequentialT, f64)>,
}

/// Logits of the network and, in training, of each auxiliary head with the weight of its loss.
pub struct Outputs {
    pub logits: Tensor,
    pub aux: Vec<(Tensor, f64)>,
}

impl Model {
    /// Builds the graph and draws the weights: each tensor from (seed, its name) alone.
    ///
    /// # Errors
    /// When the device has not enough memory.
    pub fn new(network: &Network, device: Device, seed: u64) -> Result<Model, TorchError> {
        Model::build(network, device, seed, true)
    }

    /// The same with a choice: without the rewrites of [`crate::arch::rewrite`] every layer is carried out as it is written.
    ///
    /// # Errors
    /// As [`Model::new`].
    pub fn build(network: &Network, device: Device, seed: u64, rewrite: bool) -> Result<Model, TorchError> {
        catch(|| {
            let store = nn::VarStore::new(device);
            let mut builder = Builder { root: store.root(), params: Vec::new(), rewrite };
            let mut segments = Vec::new();
            let nodes: Vec<&Node> = network.rows.iter().flat_map(|row| &row.nodes).collect();
            for stretch in nodes.split_inclusive(|node| matches!(node, Node::Aux { .. })) {
                let (trunk, head) = match stretch.split_last() {
                    Some((Node::Aux { head, weight }, trunk)) => (trunk, Some((head, *weight))),
                    _ => (stretch, None),
                };
                let trunk = builder.chain_of(trunk);
                segments.push(Segment { trunk, head: head.map(|(head, weight)| (builder.chain(head), weight)) });
            }
            let params = builder.params;
            init::initialise(&params, &network.plan.style.init, seed);
            let absent_heads = network.absent_heads.clone();
            Model { store, segments, params, absent_heads, channels_last: false }
        })
    }

    /// Lays 4-dimensional weights and inputs out with channels last, which convolution libraries prefer.
    pub fn use_channels_last(&mut self) -> Result<(), TorchError> {
        for (_, tensor) in &mut self.params {
            if tensor.dim() == 4 {
                crate::torch::set_channels_last(tensor)?;
            }
        }
        self.channels_last = true;
        Ok(())
    }

    /// Logits `[N, classes]` of images `[N, C, H, W]`; with `train`, dropout and batch statistics are at work and the
    /// auxiliary heads give theirs.
    pub fn forward(&self, images: &Tensor, train: bool) -> Outputs {
        let mut x = images.shallow_clone();
        if self.channels_last
            && let Ok(laid_out) = crate::torch::channels_last(&x)
        {
            x = laid_out;
        }
        let mut aux = Vec::new();
        for segment in &self.segments {
            x = segment.trunk.forward_t(&x, train);
            if let (Some((head, weight)), true) = (&segment.head, train) {
                aux.push((head.forward_t(&x, train).to_kind(Kind::Float), *weight));
            }
        }
        Outputs { logits: if x.kind() == Kind::Double { x } else { x.to_kind(Kind::Float) }, aux }
    }

    pub fn device(&self) -> Device {
        self.store.device()
    }

    /// Every tensor with what it is, in the order of the forward pass.
    pub fn params(&self) -> &[(Param, Tensor)] {
        &self.params
    }

    /// The tensors that are learned.
    pub fn trainable(&self) -> Vec<(Param, Tensor)> {
        self.params
            .iter()
            .filter(|(param, _)| param.role.trainable())
            .map(|(param, tensor)| (param.clone(), tensor.shallow_clone()))
            .collect()
    }

    /// The graph's own variables by name, for comparing them with the value.
    pub fn variables(&self) -> std::collections::HashMap<String, Tensor> {
        self.store.variables()
    }

    /// Turns all tensors into another kind of number; double for tests of equality.
    pub fn to_kind(&mut self, kind: Kind) {
        tch::no_grad(|| {
            for (_, tensor) in &mut self.params {
                let converted = tensor.to_kind(kind);
                tensor.set_data(&converted);
            }
        });
    }
}

/// Makes modules and remembers their tensors.
struct Builder<'a> {
    root: nn::Path<'a>,
    params: Vec<(Param, Tensor)>,
    rewrite: bool,
}

impl Builder<'_> {
    fn chain(&mut self, nodes: &[Node]) -> SequentialT {
        self.chain_of(&nodes.iter().collect::<Vec<_>>())
    }

    fn chain_of(&mut self, nodes: &[&Node]) -> SequentialT {
        self.carry_out(&steps(nodes, self.rewrite))
    }

    fn carry_out(&mut self, steps: &[Step]) -> SequentialT {
        steps.iter().fold(nn::seq_t(), |chain, step| match step {
            Step::Node(node) => self.add(chain, node),
            Step::Unit { .. } => chain.add(self.unit(step)),
        })
    }

    /// The unit of a [`Step::Unit`].
    fn unit(&mut self, step: &Step) -> Unit {
        let Step::Unit { conv, norm, act } = *step else {
            return Unit { conv: None, norm: None, act: Activation::None };
        };
        let conv = conv.and_then(|(layer, conv)| {
            let mut tensors = self.tensors(layer).into_iter();
            let weight = tensors.next()?;
            Some(Convolution::new(layer, conv, self.rewrite, weight, tensors.next()))
        });
        let norm = norm.map(|layer| {
            let mut tensors = self.tensors(layer).into_iter();
            let (eps, momentum, scaled) = match layer.op {
                Op::BatchNorm { eps, momentum, gamma } => (eps, momentum, gamma.is_some()),
                _ => (0.0, 0.0, true),
            };
            let mut next = || tensors.next();
            let gamma = if scaled { next() } else { None };
            let (beta, mean, var) = (next(), next(), next());
            BatchNorm { gamma, beta, mean, var, eps, momentum, fused: self.rewrite }
        });
        Unit { conv, norm, act: unit::activation(act).unwrap_or(Activation::None) }
    }

    fn add(&mut self, chain: SequentialT, node: &Node) -> SequentialT {
        match node {
            Node::Layer(layer) => {
                let tensors = self.tensors(layer);
                layers::add(chain, layer, tensors, self.rewrite)
            }
            Node::Branches { join, branches } => {
                let branches = branches.iter().map(|branch| self.chain(branch)).collect();
                chain.add(block::Branches { join: *join, branches, fused: self.rewrite })
            }
            Node::Excite { gate } => {
                let squeezed = match gate.split_first() {
                    Some((Node::Layer(first), rest)) if first.op == (Op::AdaptiveAvgPool { size: 1 }) => Some(rest),
                    _ => None,
                };
                let squeezed = squeezed.filter(|_| self.rewrite);
                let squeeze = squeezed.is_some();
                chain.add(block::Excite { gate: self.chain(squeezed.unwrap_or(gate)), squeeze })
            }
            Node::Residual(residual) => chain.add(self.residual(residual)),
            // Only segments have heads: Network::new lets none stand inside a block.
            Node::Aux { .. } => chain,
        }
    }

    fn residual(&mut self, residual: &node::Residual) -> block::Residual {
        let body_nodes: Vec<&Node> = residual.body.iter().collect();
        let mut body_steps = steps(&body_nodes, self.rewrite);
        let joined = joins_sum(residual, body_steps.last()).filter(|_| self.rewrite);
        let end = joined.and_then(|act| Some((body_steps.pop()?, unit::activation(act)?)));
        let pre = self.chain(&residual.pre);
        let body = self.carry_out(&body_steps);
        let end = end.map(|(step, act)| Unit { act, ..self.unit(&step) });
        let shortcut = self.chain(&residual.shortcut);
        let merge = match &residual.merge {
            Merge::Sum { .. } if end.is_some() => block::Merge::Joined,
            Merge::Sum { scale } => block::Merge::Sum(*scale),
            Merge::Body => block::Merge::Body,
            Merge::Gate(gate) => block::Merge::Gate(self.chain(gate)),
            Merge::ShortcutGate(gate) => block::Merge::ShortcutGate(self.chain(gate)),
        };
        let after = if end.is_some() { nn::seq_t() } else { self.chain(&residual.after) };
        block::Residual { pre, body, end, shortcut, merge, after, survival: residual.survival, fused: self.rewrite }
    }

    fn tensors(&mut self, layer: &crate::arch::layer::Layer) -> Vec<Tensor> {
        layer.params().into_iter().map(|param| self.tensor(param)).collect()
    }

    fn tensor(&mut self, param: Param) -> Tensor {
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
