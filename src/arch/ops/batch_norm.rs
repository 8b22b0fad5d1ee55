use super::{LayerStyle, Operation};
use crate::arch::params::{Param, Role};
use crate::arch::shape::{Shape, ShapeError};

/// Batch normalisation of each channel (Ioffe & Szegedy 2015).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    pub eps: f64,
    /// Weight of the new batch in the running statistics, as in PyTorch.
    pub momentum: f64,
    /// Initial value of the learned factor γ; `None` for a normalisation without one.
    pub gamma: Option<f64>,
}

impl Operation for BatchNorm {
    fn output(&self, input: Shape) -> Result<Shape, ShapeError> {
        Ok(input)
    }

    fn tensors(&self, input: Shape) -> Vec<Param> {
        let tensor = |name, role| Param::new(name, &[input.channels()], role);
        let gamma = self.gamma.map(|start| tensor("weight", Role::Gamma(start)));
        let others = [("bias", Role::Beta), ("running_mean", Role::RunningMean), ("running_var", Role::RunningVar)];
        gamma.into_iter().chain(others.map(|(name, role)| tensor(name, role))).collect()
    }

    fn describe(&self) -> String {
        "batch norm".to_owned()
    }

    fn label(&self) -> String {
        "BN".to_owned()
    }

    fn style(&self) -> LayerStyle {
        LayerStyle::Norm
    }

    #[cfg(test)]
    fn example() -> (BatchNorm, Shape) {
        (BatchNorm { eps: 1e-5, momentum: 0.1, gamma: Some(1.0) }, Shape::Map { c: 4, h: 5, w: 6 })
    }
}
