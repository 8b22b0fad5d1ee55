//! A step's forward and backward pass recorded on a GPU once and launched again for every batch (`--cuda-graphs`). Small
//! networks wait for kernels to be launched one by one; a recording launches them at once. **Never run on a GPU yet.**

use super::pass::{Pass, pass};
use crate::config::Experiment;
use crate::model::Model;
use crate::torch::{Graph, TorchError};
use tch::Tensor;

/// Steps carried out as usual first, so that libraries have chosen their kernels.
const WARM_UP: usize = 3;

/// Records at the fourth full batch, and drops the recording at a batch of another size: its gradients are made anew then.
#[derive(Debug, Default)]
pub struct Recorder {
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
    /// A recorder, if every step of this network launches the same kernels: stochastic depth draws anew, on the CPU.
    pub fn new(experiment: &Experiment) -> Option<Recorder> {
        let steady = experiment.network.plan.stochastic_depth == Default::default();
        steady.then(Recorder::default)
    }

    /// The pass over a batch with its gradients, or nothing where it must be carried out as usual.
    ///
    /// # Errors
    /// When the device cannot record or launch.
    pub fn pass(
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
