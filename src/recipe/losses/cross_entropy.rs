//! Cross-entropy with label smoothing, `torch.nn.CrossEntropyLoss`.

use super::Loss;
use crate::named::{KeyError, check_range};
use serde::{Deserialize, Serialize};
use tch::{Reduction, Tensor};

/// Keys of `loss = "cross_entropy"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrossEntropy {
    /// The fraction of a label's weight that is spread over all classes (Szegedy et al. 2015).
    pub label_smoothing: f64,
}

impl Loss for CrossEntropy {
    fn check(&self) -> Result<(), KeyError> {
        check_range("label_smoothing", self.label_smoothing, 0.0, 0.999)
    }

    fn mean(&self, logits: &Tensor, targets: &Tensor) -> Tensor {
        logits.cross_entropy_loss(targets, None::<&Tensor>, Reduction::Mean, -100, self.label_smoothing)
    }
}
