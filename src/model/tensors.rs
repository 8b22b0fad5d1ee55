//! The tensors that a module is built from, and the way out for errors of those that it computes.

use crate::torch::TorchError;
use tch::Tensor;

/// Tensors of one layer by their names within it (`weight`).
pub(super) struct Tensors {
    layer: String,
    tensors: Vec<(String, Tensor)>,
}

impl Tensors {
    pub(super) fn new(layer: &str, tensors: Vec<(String, Tensor)>) -> Tensors {
        Tensors { layer: layer.to_owned(), tensors }
    }

    pub(super) fn take_optional(&mut self, name: &str) -> Option<Tensor> {
        let index = self.tensors.iter().position(|(own, _)| own == name)?;
        Some(self.tensors.swap_remove(index).1)
    }

    /// # Errors
    /// When the operation does not list such a tensor.
    pub(super) fn take(&mut self, name: &str) -> Result<Tensor, TorchError> {
        self.take_optional(name).ok_or_else(|| TorchError(format!("layer {} has no tensor `{name}`", self.layer)))
    }
}

/// Modules cannot return errors: like tch's own operations, ours panic, and [`crate::torch::catch`] makes an error of it.
pub(super) fn or_panic<T>(result: Result<T, TorchError>) -> T {
    match result {
        Ok(done) => done,
        Err(error) => crate::torch::throw(error),
    }
}
