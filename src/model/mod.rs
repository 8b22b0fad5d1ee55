//! Builds the tch graph of a network: an `nn::SequentialT` of modules, with the parameter names, shapes and initialisation that
//! the value gives.

mod activations;
mod batch_norm;
mod block;
mod builder;
mod conv_norm_act;
mod convolution;
mod init;
mod layers;
mod module;
mod parts;
mod pool;
mod tensors;
mod torch_file;
mod weights;
mod window;

#[cfg(test)]
mod equivalence_tests;
#[cfg(test)]
mod frozen_tests;
#[cfg(test)]
mod lists_tests;
#[cfg(test)]
mod papers_tests;
#[cfg(test)]
mod properties_tests;
#[cfg(test)]
mod reference_tests;

pub use module::Taps;
pub(crate) use parts::float;
pub use parts::{SplitModel, Submodule};
pub use weights::{WeightsError, float_bytes, parse_tensors, read_tensors, tensor_bytes, write_tensors};

use crate::arch::Network;
use crate::arch::network::RowNodes;
use crate::arch::node::Node;
use crate::arch::params::Param;
use crate::torch::{ProcessGroup, TorchError, catch};
use builder::{Builder, Segment};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tch::nn::{self, ModuleT};
use tch::{Device, Kind, Tensor};

/// A network as a graph of tch modules, with its tensors.
#[derive(Debug)]
pub struct Model {
    store: nn::VarStore,
    segments: Vec<Segment>,
    params: Vec<(Param, Tensor)>,
    /// Prefixes of the parameters of auxiliary heads that the network was built without; see [`Network::inference`].
    absent_heads: Vec<String>,
    channels_last: bool,
    /// See [`Model::build_for_ranks`].
    sync: Option<Arc<ProcessGroup>>,
}

/// Logits `[N, classes]` of the network and, in training, of each auxiliary head with the weight of its loss.
pub struct Outputs {
    pub logits: Tensor,
    pub aux: Vec<(Tensor, f64)>,
}

impl Model {
    /// Builds the graph and draws the weights, each tensor from the seed and its name alone.
    ///
    /// # Errors
    /// When the device does not have enough memory.
    pub fn new(network: &Network, device: Device, seed: u64) -> Result<Model, TorchError> {
        Model::build(network, device, seed, true)
    }

    /// Builds the graph with or without the rewrites of [`crate::arch::rewrite`]; without them every layer is computed by
    /// libtorch as it is written, for comparison.
    ///
    /// # Errors
    /// When the device does not have enough memory, or an operation and its module disagree about its tensors.
    pub fn build(network: &Network, device: Device, seed: u64, rewrite: bool) -> Result<Model, TorchError> {
        Model::build_frozen(network, device, seed, rewrite, &BTreeSet::new())
    }

    /// Builds the graph of a network whose rows `frozen`, counted from 0, are not trained: their parameters get no gradients, and
    /// in training they compute what they compute in evaluation, with the running statistics of batch normalisation and without
    /// dropout and stochastic depth. No backward pass goes through those in front of the first row that is trained.
    ///
    /// # Errors
    /// See [`Model::build`].
    pub(crate) fn build_frozen(
        network: &Network,
        device: Device,
        seed: u64,
        rewrite: bool,
        frozen: &BTreeSet<usize>,
    ) -> Result<Model, TorchError> {
        Model::build_for_ranks(network, device, seed, rewrite, frozen, None)
    }

    /// The graph of [`Model::build_frozen`] for the ranks of `sync`, which train it in step: batch normalisation in training is
    /// by the images of all ranks, and a block that one skips all skip. Every rank runs every forward pass in training, and the
    /// backward pass after it.
    ///
    /// # Errors
    /// See [`Model::build`].
    pub fn build_for_ranks(
        network: &Network,
        device: Device,
        seed: u64,
        rewrite: bool,
        frozen: &BTreeSet<usize>,
        sync: Option<Arc<ProcessGroup>>,
    ) -> Result<Model, TorchError> {
        let model = Model::assemble(network, device, rewrite, frozen, sync, HashMap::new())?;
        catch(|| init::initialise(&model.params, &network.plan.style.init, seed))?;
        Ok(model)
    }

    /// The ranks that train the graph in step: see [`Model::build_for_ranks`].
    pub fn sync(&self) -> Option<&ProcessGroup> {
        self.sync.as_deref()
    }

    /// The graph of the same network for another input size, on the tensors of this one, with the same rows `frozen`.
    ///
    /// # Errors
    /// When a parameter depends on the input size.
    pub fn for_input(&self, network: &Network, rewrite: bool, frozen: &BTreeSet<usize>) -> Result<Model, TorchError> {
        let shared = self.named_tensors().into_iter().collect();
        let model = Model::assemble(network, self.device(), rewrite, frozen, self.sync.clone(), shared)?;
        match model.params.iter().find(|(param, tensor)| tensor.size() != param.shape) {
            Some((param, _)) => Err(TorchError(format!("{} depends on the size of the input", param.name))),
            None => Ok(Model { channels_last: self.channels_last, ..model }),
        }
    }

    fn assemble(
        network: &Network,
        device: Device,
        rewrite: bool,
        frozen: &BTreeSet<usize>,
        sync: Option<Arc<ProcessGroup>>,
        shared: HashMap<String, Tensor>,
    ) -> Result<Model, TorchError> {
        catch(|| {
            let store = nn::VarStore::new(device);
            let mut builder = Builder::new(store.root(), rewrite, sync.clone(), shared);
            let mut segments = Vec::new();
            let rows: Vec<(bool, &RowNodes)> =
                network.rows.iter().enumerate().map(|(index, row)| (frozen.contains(&index), row)).collect();
            for rows in rows.chunk_by(|(a, _), (b, _)| a == b) {
                let (frozen, first) = (rows[0].0, builder.params.len());
                let nodes: Vec<&Node> = rows.iter().flat_map(|(_, row)| &row.nodes).collect();
                for stretch in nodes.split_inclusive(|node| matches!(node, Node::Aux { .. })) {
                    segments.push(builder.segment(stretch, frozen)?);
                }
                if frozen {
                    builder.params[first..].iter().for_each(|(_, tensor)| drop(tensor.set_requires_grad(false)));
                }
            }
            let params = builder.params;
            let absent_heads = network.absent_heads.clone();
            Ok(Model { store, segments, params, absent_heads, channels_last: false, sync })
        })?
    }

    /// Stores 4-dimensional weights and inputs channels last, the layout of the fastest convolutions.
    ///
    /// # Errors
    /// When the device does not have enough memory.
    pub fn use_channels_last(&mut self) -> Result<(), TorchError> {
        for (_, tensor) in &mut self.params {
            if tensor.dim() == 4 {
                crate::torch::set_channels_last(tensor)?;
            }
        }
        self.channels_last = true;
        Ok(())
    }

    /// Logits of images `[N, C, H, W]`, in float32, or in float64 if the model is. With `train`, dropout and batch statistics
    /// are active and the auxiliary heads return their logits too.
    pub fn forward(&self, images: &Tensor, train: bool) -> Outputs {
        let mut x = images.shallow_clone();
        if self.channels_last
            && let Ok(laid_out) = crate::torch::channels_last(&x)
        {
            x = laid_out;
        }
        let mut aux = Vec::new();
        for segment in &self.segments {
            let train = train && !segment.frozen;
            // In front of the first parameter that learns there is nothing to record, and kernels of evaluation can be used.
            let _no_grad = (segment.frozen && !x.requires_grad()).then(tch::no_grad_guard);
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

    /// Every parameter and buffer with its description, in the order of the forward pass.
    pub fn params(&self) -> &[(Param, Tensor)] {
        &self.params
    }

    /// The tensors that are learned: those of frozen rows are not.
    pub fn trainable(&self) -> Vec<(Param, Tensor)> {
        self.params
            .iter()
            .filter(|(param, tensor)| param.role.trainable() && tensor.requires_grad())
            .map(|(param, tensor)| (param.clone(), tensor.shallow_clone()))
            .collect()
    }

    /// The variables of the graph's store by name, to compare them with [`Model::params`].
    pub fn variables(&self) -> std::collections::HashMap<String, Tensor> {
        self.store.variables()
    }

    /// Converts all tensors to another dtype; tests compare in float64.
    pub fn to_kind(&mut self, kind: Kind) {
        tch::no_grad(|| {
            for (_, tensor) in &mut self.params {
                let converted = tensor.to_kind(kind);
                tensor.set_data(&converted);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Experiment, Machine};

    #[test]
    fn a_graph_for_another_input_has_the_same_tensors() {
        let text = "[data]\ndataset = 'synthetic'\n[model]\ninput = [1, 16, 16]\nrows = [\
                    { op = 'conv', kernel = 3, width = 4 }, { op = 'global_avg_pool' }, { op = 'classifier' }]\n\
                    [train]\nepochs = 1\nsize = 8";
        let experiment = Experiment::parse("x", text, "x", &[], Machine::default()).unwrap();
        let model = Model::new(&experiment.network, Device::Cpu, 1).unwrap();
        let small = model.for_input(&experiment.network_at(8).unwrap(), true, &BTreeSet::new()).unwrap();
        assert_eq!(small.params().len(), model.params().len());
        for ((param, own), (_, shared)) in model.params().iter().zip(small.params()) {
            assert!(own.data_ptr() == shared.data_ptr(), "{}", param.name);
        }
        let loss = small
            .forward(&Tensor::ones([2, 1, 8, 8], (Kind::Float, Device::Cpu)), true)
            .logits
            .square()
            .sum(Kind::Float);
        loss.backward();
        assert!(model.trainable().iter().all(|(_, tensor)| tensor.grad().defined()));
        let flat = text.replace("{ op = 'global_avg_pool' }, ", "");
        let message = Experiment::parse("x", &flat, "x", &[], Machine::default()).unwrap_err().to_string();
        assert!(message.contains("needs a global pooling"), "{message}");
    }
}
