//! Binary cross-entropy over every class, as in "ResNet strikes back".

use super::Loss;
use crate::named::{KeyError, check_range, is_default};
use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, Tensor};

/// Keys of `loss = "bce"` (Wightman et al. 2021): each class is a question of its own, and the mean is over images and classes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bce {
    /// The fraction of a label's weight that is spread over all classes.
    pub label_smoothing: f64,
    /// A mixed image shows every class above this part entirely (0.2 in the paper's recipes); 0 for targets as they are.
    #[serde(skip_serializing_if = "is_default")]
    pub target_threshold: f64,
}

impl Loss for Bce {
    fn check(&self) -> Result<(), KeyError> {
        check_range("label_smoothing", self.label_smoothing, 0.0, 0.999)?;
        check_range("target_threshold", self.target_threshold, 0.0, 0.999)
    }

    fn mean(&self, logits: &Tensor, targets: &Tensor) -> Tensor {
        let classes = logits.size().get(1).copied().unwrap_or(1);
        let soft = if targets.dim() == 1 { targets.one_hot(classes) } else { targets.shallow_clone() };
        let soft = soft.to_kind(Kind::Float) * (1.0 - self.label_smoothing) + self.label_smoothing / classes as f64;
        let targets = match self.target_threshold > 0.0 {
            true => soft.gt(self.target_threshold).to_kind(Kind::Float),
            false => soft,
        };
        let logits = logits.to_kind(Kind::Float);
        logits.binary_cross_entropy_with_logits(&targets, None::<&Tensor>, None::<&Tensor>, Reduction::Mean)
    }
}

#[cfg(test)]
mod tests {
    use super::super::CrossEntropy;
    use super::*;

    /// Three images of four classes: labels 0, 2, 3, and the same mixed by 0.7 with the labels 3, 2, 0.
    fn batch() -> (Tensor, [Tensor; 2]) {
        let logits = Tensor::from_slice2(&[[1f32, -2.0, 0.5, 3.0], [0.0, 1.0, 2.0, -1.0], [-0.5, 0.25, -1.5, 2.0]]);
        let soft = Tensor::from_slice2(&[[0.7f32, 0.0, 0.0, 0.3], [0.0, 0.0, 1.0, 0.0], [0.3, 0.0, 0.0, 0.7]]);
        (logits, [Tensor::from_slice(&[0i64, 2, 3]), soft])
    }

    /// The numbers are those of `BinaryCrossEntropy` and `mixup_target` of timm 1.0.11.
    #[test]
    fn bce_is_timms() {
        for (label_smoothing, target_threshold, hard, soft, gradient) in [
            (0.0, 0.0, 0.7114842534065247, 0.7239842414855957, [0.0026, 0.0099, 0.0519, 0.0544]),
            (0.1, 0.0, 0.7432549595832825, 0.7545050978660583, [0.0063, 0.0079, 0.0498, 0.0548]),
            (0.1, 0.2, 0.7114842534065247, 0.5031508803367615, [-0.0224, 0.0099, 0.0519, -0.0040]),
        ] {
            let loss = Bce { label_smoothing, target_threshold };
            let (logits, targets) = batch();
            let logits = logits.set_requires_grad(true);
            let means = targets.map(|targets| loss.mean(&logits, &targets));
            assert!((means[0].double_value(&[]) - hard).abs() < 1e-6, "{}", means[0]);
            assert!((means[1].double_value(&[]) - soft).abs() < 1e-6, "{}", means[1]);
            means[1].backward();
            let expected = Tensor::from_slice(&gradient).to_kind(Kind::Float);
            assert!(logits.grad().get(0).allclose(&expected, 0.0, 6e-5, false), "{}", logits.grad());
        }
    }

    /// The numbers are those of `torch.nn.functional.cross_entropy`.
    #[test]
    fn cross_entropy_takes_labels_and_probabilities() {
        for (label_smoothing, hard, soft) in
            [(0.0, 0.9646745324134827, 1.0146745443344116), (0.1, 1.0917577743530273, 1.1367579698562622)]
        {
            let (logits, targets) = batch();
            let means =
                targets.map(|targets| CrossEntropy { label_smoothing }.mean(&logits, &targets).double_value(&[]));
            assert!((means[0] - hard).abs() < 1e-6 && (means[1] - soft).abs() < 1e-6, "{means:?}");
        }
    }
}
