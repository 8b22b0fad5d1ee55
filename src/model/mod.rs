//! From the value to the tch graph: an `nn::SequentialT` of modules, its parameters named and initialised as the value says.

mod activations;
mod batch_norm;
mod block;
mod builder;
mod conv_norm_act;
mod convolution;
mod init;
mod layers;
mod pool;
mod tensors;
mod weights;
mod window;

#[cfg(test)]
mod equivalence_tests;
#[cfg(test)]
mod lists_tests;
#[cfg(test)]
mod papers_tests;
#[cfg(test)]
mod properties_tests;
#[cfg(test)]
mod reference_tests;

pub use weights::{WeightsError, parse_tensors, read_tensors, tensor_bytes, write_tensors};

use crate::arch::Network;
use crate::arch::node::Node;
use crate::arch::params::Param;
use crate::torch::{TorchError, catch};
use builder::Builder;
use tch::nn::{self, ModuleT, SequentialT};
use tch::{Device, Kind, Tensor};

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
            let mut builder = Builder::new(store.root(), rewrite);
            let mut segments = Vec::new();
            let nodes: Vec<&Node> = network.rows.iter().flat_map(|row| &row.nodes).collect();
            for stretch in nodes.split_inclusive(|node| matches!(node, Node::Aux { .. })) {
                let (trunk, head) = match stretch.split_last() {
                    Some((Node::Aux { head, weight }, trunk)) => (trunk, Some((head, *weight))),
                    _ => (stretch, None),
                };
                let trunk = builder.chain_of(trunk)?;
                let head = match head {
                    Some((head, weight)) => Some((builder.chain(head)?, weight)),
                    None => None,
                };
                segments.push(Segment { trunk, head });
            }
            let params = builder.params;
            init::initialise(&params, &network.plan.style.init, seed);
            let absent_heads = network.absent_heads.clone();
            Ok(Model { store, segments, params, absent_heads, channels_last: false })
        })?
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
