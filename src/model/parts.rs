//! A trained network split into submodules that run one at a time, for studies that change the forward pass or read activations.

use super::block;
use super::builder::Builder;
use super::module::{Module, Taps};
use crate::arch::Network;
use crate::arch::node::{Merge, Node, Survival, SurvivalGate};
use crate::arch::ops::{Dropout, Op};
use crate::arch::params::Param;
use crate::torch::{TorchError, catch};
use tch::nn::{self, ModuleT};
use tch::{Device, Kind, Tensor};

/// The network of evaluation: no auxiliary heads, no dropout, stochastic depth as its expectation. Parameters record no gradients.
#[derive(Debug)]
pub struct SplitModel {
    /// In the order of the forward pass.
    pub list: Vec<Submodule>,
    params: Vec<(Param, Tensor)>,
    taps: Taps,
    device: Device,
}

/// A block, a convolution with the normalisation and activation after it, or another layer.
#[derive(Debug)]
pub struct Submodule {
    /// What the names of its parameters have in common, such as `layer1.0`; without parameters, what it does.
    pub label: String,
    /// Shapes of one image before and after it.
    pub input: Vec<i64>,
    pub output: Vec<i64>,
    module: Module,
}

impl Submodule {
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        match &self.module {
            Module::Block(block) => block.forward_t(x, train),
            Module::Conv(chain) | Module::Other(chain) => chain.forward_t(x, train),
        }
    }

    /// Whether it is a block with a shortcut.
    pub fn has_shortcut(&self) -> bool {
        matches!(&self.module, Module::Block(block) if !matches!(block.merge, block::Merge::Body))
    }

    /// Whether it is a layer or block that a network has several of, so that the others can do without it.
    pub fn is_removable(&self) -> bool {
        !matches!(self.module, Module::Other(_))
    }

    /// Whether it can change places with other parts of this shape.
    pub fn keeps_shape(&self) -> bool {
        self.input == self.output
    }

    /// The network goes on without it: a block as its shortcut; a layer or a block without one as the identity, which drops pixels
    /// and pads channels with zeros where sizes change, as parameter-free shortcuts do.
    pub fn forward_removed(&self, x: &Tensor, train: bool) -> Tensor {
        match &self.module {
            Module::Block(block) if self.has_shortcut() => block.shortcut_alone(x, train),
            _ => resized(x, &self.output),
        }
    }

    /// A block whose body sees one input and whose shortcut another of equal value, so that their gradients are apart.
    pub fn forward_apart(&self, body: &Tensor, shortcut: &Tensor) -> Tensor {
        match &self.module {
            Module::Block(block) => block.on_two_inputs(body, shortcut, false),
            Module::Conv(chain) | Module::Other(chain) => chain.forward_t(body, false),
        }
    }
}

/// A map brought to `[C, H, W]` by leaving out or adding channels and pixels.
fn resized(x: &Tensor, output: &[i64]) -> Tensor {
    let mut x = x.shallow_clone();
    for (dim, &wanted) in (1..).zip(output) {
        let size = x.size()[dim as usize];
        if dim > 1 && size > wanted {
            // Every n-th pixel, of which there may be one too many.
            x = x.slice(dim, None, None, size / wanted.max(1));
        }
        x = x.narrow(dim, 0, wanted.min(x.size()[dim as usize]));
    }
    let missing: Vec<i64> = (1..).zip(output).map(|(dim, &wanted)| wanted - x.size()[dim]).collect();
    // Pairs of zeros before and after, the last dimension first.
    let pad: Vec<i64> = missing.iter().rev().flat_map(|&missing| [0, missing]).collect();
    if missing.iter().all(|&missing| missing == 0) { x } else { x.constant_pad_nd(pad) }
}

impl SplitModel {
    /// Builds the parts and copies the weights of a trained network, in which its heads may be missing. `rewrite` is as in
    /// [`Model::build`](super::Model::build).
    ///
    /// # Errors
    /// When memory is exhausted, a weight is missing, or the network cannot be built.
    pub fn new(
        network: &Network,
        device: Device,
        weights: &[(String, Tensor)],
        rewrite: bool,
    ) -> Result<SplitModel, TorchError> {
        let network = settled(network)?;
        catch(|| {
            let _no_grad = tch::no_grad_guard();
            let store = nn::VarStore::new(device);
            let taps = Taps::default();
            let mut builder = Builder::new(store.root(), rewrite, None, Default::default());
            builder.taps = Some(taps.clone());
            let nodes: Vec<&Node> = network.rows.iter().flat_map(|row| &row.nodes).collect();
            let modules = builder.parts(&nodes)?;
            let params = std::mem::take(&mut builder.params);
            for (param, tensor) in &params {
                let Some((_, value)) = weights.iter().find(|(name, _)| *name == param.name) else {
                    return Err(TorchError(format!("the run has no weight `{}`", param.name)));
                };
                let mut tensor = tensor.set_requires_grad(false);
                tensor.set_data(&value.to_device(device).copy());
                if tensor.dim() == 4 {
                    crate::torch::set_channels_last(&mut tensor)?;
                }
            }
            let kind = params.first().map_or(Kind::Float, |(_, tensor)| tensor.kind());
            let mut x = Tensor::zeros(network.plan.input.map(|side| side as i64), (kind, device)).unsqueeze(0);
            let mut list = Vec::with_capacity(modules.len());
            for (label, module) in modules {
                let mut part = Submodule { label, input: x.size()[1..].to_vec(), output: Vec::new(), module };
                x = part.forward(&x, false);
                part.output = x.size()[1..].to_vec();
                list.push(part);
            }
            taps.take();
            Ok(SplitModel { list, params, taps, device })
        })?
    }

    /// Logits of images, or the output for what the part `from` takes, in float32 or float64.
    pub fn forward_from(&self, from: usize, x: &Tensor) -> Tensor {
        let x = self.list[from..].iter().fold(x.shallow_clone(), |x, part| part.forward(&x, false));
        float(x)
    }

    /// Parameters and buffers with their descriptions.
    pub fn params(&self) -> &[(Param, Tensor)] {
        &self.params
    }

    pub fn taps(&self) -> &Taps {
        &self.taps
    }

    pub fn device(&self) -> Device {
        self.device
    }
}

/// Logits in a kind that losses are computed in.
pub(crate) fn float(x: Tensor) -> Tensor {
    if x.kind() == Kind::Double { x } else { x.to_kind(Kind::Float) }
}

/// The network as evaluation computes it, in which a training pass differs by its batch statistics alone: they replace the running
/// ones as a whole.
fn settled(network: &Network) -> Result<Network, TorchError> {
    let mut plan = network.plan.clone();
    plan.style.bn_momentum = 1.0;
    let mut network = Network::inference(plan).map_err(|error| TorchError(error.to_string()))?;
    network.rows.iter_mut().for_each(|row| settle(&mut row.nodes));
    Ok(network)
}

fn settle(nodes: &mut [Node]) {
    for node in nodes {
        match node {
            Node::Layer(layer) => {
                if let Op::Dropout(dropout) = &mut layer.op {
                    *dropout = Dropout { rate: 0.0 };
                }
            }
            Node::Branches { branches, .. } => branches.iter_mut().for_each(|branch| settle(branch)),
            Node::Excite { gate } => settle(gate),
            Node::Aux { head, .. } => settle(head),
            Node::Residual(residual) => {
                [&mut residual.pre, &mut residual.body, &mut residual.shortcut, &mut residual.after]
                    .into_iter()
                    .for_each(|part| settle(part));
                if let (Merge::Sum { scale }, SurvivalGate::Batch) = (&mut residual.merge, residual.survival.gate) {
                    *scale *= residual.survival.probability;
                    residual.survival = Survival::ALWAYS;
                }
                if residual.survival.gate == SurvivalGate::Sample {
                    residual.survival = Survival::ALWAYS;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::golden::network;
    use crate::model::Model;

    fn input(shape: &[i64]) -> Tensor {
        let count: i64 = shape.iter().product();
        (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 0.7).sin().view(shape)
    }

    /// Every kind of block, in float64: the parts one after the other are the network.
    #[test]
    fn the_parts_together_are_the_network() {
        for keys in [
            "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\nshortcut = 'A'\norder = 'preact'",
            "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\nshortcut = 'B'",
            "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\nshortcut = 'none'",
            "preset = 'highway'\ndepth = 7\nwidths = [4, 6, 8]",
            "preset = 'vgg'\ncolumn = 'A'\nwidth = 4\nhidden = 8\ngrid = 1\nnorm = 'batch'",
        ] {
            let network = network(keys, [3, 32, 32], 5);
            let mut model = Model::new(&network, Device::Cpu, 1).unwrap();
            model.to_kind(Kind::Double);
            let parts = SplitModel::new(&network, Device::Cpu, &model.named_tensors(), true).unwrap();
            let x = input(&[2, 3, 32, 32]);
            let difference = (parts.forward_from(0, &x) - model.forward(&x, false).logits).abs().max();
            assert!(difference.double_value(&[]) < 1e-12, "{keys}");
            for part in &parts.list {
                let x = input(&[&[2], &part.input[..]].concat());
                let shape = [&[2], &part.output[..]].concat();
                if part.is_removable() {
                    assert_eq!(part.forward_removed(&x, false).size(), shape, "{keys}: {}", part.label);
                }
                let difference = (part.forward_apart(&x, &x) - part.forward(&x, false)).abs().max().double_value(&[]);
                assert!(difference < 1e-12, "{keys}: {}", part.label);
            }
        }
    }

    #[test]
    fn parts_have_the_names_of_their_parameters() {
        let network = network("preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\nshortcut = 'A'", [3, 32, 32], 5);
        let model = Model::new(&network, Device::Cpu, 1).unwrap();
        let parts = SplitModel::new(&network, Device::Cpu, &model.named_tensors(), true).unwrap();
        let labels: Vec<&str> = parts.list.iter().map(|part| part.label.as_str()).collect();
        assert_eq!(labels[..4], ["conv1", "layer1.0", "layer2.0", "layer3.0"], "{labels:?}");
        assert!(parts.list[1].has_shortcut() && parts.list[1].keeps_shape() && !parts.list[2].keeps_shape());
    }
}
