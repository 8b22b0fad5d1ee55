//! CUDA graphs (`--cuda-graphs`): the forward and backward pass of a step, recorded once and replayed for every batch. In small
//! networks launching kernels one by one takes longer than running them; a graph launches all at once. **Never run on a GPU
//! yet.**

use super::pass::{Pass, pass};
use crate::config::{Experiment, Precision};
use crate::model::Model;
use crate::torch::{Graph, TorchError};
use tch::Tensor;

/// Steps run without recording first: cuDNN chooses its kernels in these.
const WARM_UP: usize = 3;

/// Records at the fourth full batch. A batch of another size drops the recording, because running it eagerly replaces the
/// gradient tensors that the graph writes to.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    seen: usize,
    recording: Option<Recording>,
}

/// The tensors that the recorded kernels read and write.
#[derive(Debug)]
struct Recording {
    graph: Graph,
    pixels: Tensor,
    labels: Tensor,
    loss: Tensor,
    main: Tensor,
    logits: Tensor,
}

impl Recorder {
    /// A recorder; `None` where steps launch different kernels: for networks with stochastic depth, whose blocks are drawn on
    /// the CPU, where a step is more than one pass or scales its loss, and where the size of images or batches changes.
    pub(super) fn new(experiment: &Experiment) -> Option<Recorder> {
        let train = &experiment.train;
        let one_pass = train.accumulate == 1 && train.sam_rho == 0.0 && train.precision != Precision::Fp16;
        let steady = experiment.network.plan.stochastic_depth == Default::default();
        let one_size = train.size == 0 && train.stages.is_empty();
        (steady && one_pass && one_size).then(Recorder::default)
    }

    /// Whether the last pass was a replay, whose gradients must stay where they are.
    pub(super) fn replays(&self) -> bool {
        self.recording.is_some()
    }

    /// The pass over a batch, gradients included; `None` if it must be run without a graph.
    ///
    /// # Errors
    /// When the device cannot record or replay the graph.
    pub(super) fn pass(
        &mut self,
        experiment: &Experiment,
        model: &Model,
        pixels: &Tensor,
        labels: &Tensor,
    ) -> Result<Option<Pass>, TorchError> {
        let full = pixels.size().first() == Some(&(experiment.train.batch as i64));
        if !full {
            self.recording = None;
            return Ok(None);
        }
        self.seen += 1;
        if self.seen <= WARM_UP {
            return Ok(None);
        }
        let recording = match self.recording.take() {
            Some(recording) => recording,
            None => Recording::make(experiment, model, pixels, labels)?,
        };
        let _no_grad = tch::no_grad_guard();
        recording.pixels.shallow_clone().copy_(pixels);
        recording.labels.shallow_clone().copy_(labels);
        recording.graph.replay()?;
        let [loss, main, logits] = [&recording.loss, &recording.main, &recording.logits].map(Tensor::shallow_clone);
        self.recording = Some(recording);
        Ok(Some(Pass { loss, main, logits, has_gradients: true }))
    }
}

impl Recording {
    fn make(experiment: &Experiment, model: &Model, pixels: &Tensor, labels: &Tensor) -> Result<Recording, TorchError> {
        let (pixels, labels) = (pixels.copy(), labels.copy());
        let (graph, passed) = Graph::record(model.device(), || {
            let passed = pass(experiment, model, &pixels, &labels);
            passed.loss.backward();
            passed
        })?;
        let [loss, main, logits] = [passed.loss, passed.main, passed.logits].map(|tensor| tensor.detach());
        Ok(Recording { graph, pixels, labels, loss, main, logits })
    }
}
