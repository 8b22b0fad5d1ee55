//! An exponential moving average of the weights, which is evaluated instead of them if `train.ema` is set (Szegedy et al. 2016;
//! Tan & Le 2019).

use crate::model::Model;
use crate::torch::{self, TorchError};
use tch::Tensor;

/// Averages of all tensors of a model, including the running statistics of batch normalisation.
pub struct Average {
    decay: f64,
    live: Vec<Tensor>,
    averages: Vec<Tensor>,
    names: Vec<String>,
}

impl Average {
    /// Starts from the model's current weights.
    pub fn new(model: &Model, decay: f64) -> Average {
        let (names, live): (Vec<_>, Vec<_>) = model.named_tensors().into_iter().unzip();
        let averages = live.iter().map(|tensor| tensor.detach().copy()).collect();
        Average { decay, live: live.iter().map(Tensor::detach).collect(), averages, names }
    }

    /// Moves the averages towards the weights after step `step`. Early on the decay is smaller, as in TensorFlow's
    /// `ExponentialMovingAverage`, so that the random start is soon forgotten.
    pub fn update(&self, step: u64) -> Result<(), TorchError> {
        let decay = self.decay.min((1.0 + step as f64) / (10.0 + step as f64));
        torch::ema_update(&self.averages, &self.live, decay)
    }

    /// Runs `f` while the model's weights are exchanged for the averages.
    pub(super) fn applied<T>(&self, f: impl FnOnce() -> T) -> T {
        self.swap();
        let result = f();
        self.swap();
        result
    }

    fn swap(&self) {
        let _no_grad = tch::no_grad_guard();
        for (live, average) in self.live.iter().zip(&self.averages) {
            let weights = live.copy();
            live.shallow_clone().copy_(average);
            average.shallow_clone().copy_(&weights);
        }
    }

    /// The averages under the parameters' names.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        self.names.iter().cloned().zip(self.averages.iter().map(Tensor::shallow_clone)).collect()
    }

    /// Restores saved averages.
    ///
    /// # Errors
    /// The name of a tensor that is missing or has another shape.
    pub(super) fn restore(&self, read: impl Fn(&str) -> Option<Tensor>) -> Result<(), String> {
        let _no_grad = tch::no_grad_guard();
        for (name, average) in self.names.iter().zip(&self.averages) {
            match read(name) {
                Some(saved) if saved.size() == average.size() => {
                    average.shallow_clone().copy_(&saved);
                }
                _ => return Err(name.clone()),
            }
        }
        Ok(())
    }
}
