//! The loss as a function of the weights, with its gradient, for studies of its surface.
//!
//! Computed in fp32 or float64 and without Winograd's algorithm: the rounding of both bf16 and Winograd's transforms would appear as
//! roughness.

use super::{Split, StudyError, Subject};
use crate::arch::params::{Param, Role};
use crate::model::SplitModel;
use crate::random;
use crate::torch::fused::{ModeGuard, use_direct_convolutions};
use crate::train::{Sums, cross_entropy};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// A network in evaluation mode, its trained weights, and images.
pub(super) struct Objective {
    parts: SplitModel,
    batches: Vec<(Tensor, Tensor)>,
    /// The learned parameters, in the order of the forward pass.
    params: Vec<Tensor>,
    origin: Vec<Tensor>,
    /// All tensors at the origin, including running statistics.
    everything: Vec<Tensor>,
    _direct: ModeGuard,
}

/// A direction in the space of the weights: a tensor for each parameter.
pub(super) type Direction = Vec<Tensor>;

impl Objective {
    /// An objective on the first training images, without augmentation.
    ///
    /// # Errors
    /// When memory is exhausted or an image cannot be read.
    pub(super) fn new(subject: &Subject, images: usize, batch: usize) -> Result<Objective, StudyError> {
        let parts = SplitModel::new(&subject.network, subject.device, &subject.weights, subject.rewrites)?;
        let learned = parts.params().iter().filter(|(param, _)| param.role.trainable());
        let params: Vec<Tensor> = learned.map(|(_, tensor)| tensor.shallow_clone()).collect();
        let kind = params.first().map_or(Kind::Float, Tensor::kind);
        let batches = subject.batches(Split::Train, images, batch)?;
        let batches = batches.into_iter().map(|(x, labels)| (x.to_kind(kind), labels)).collect();
        let origin = params.iter().map(Tensor::copy).collect();
        let everything = parts.params().iter().map(|(_, tensor)| tensor.copy()).collect();
        Ok(Objective { parts, batches, params, origin, everything, _direct: use_direct_convolutions() })
    }

    /// All tensors at the origin, including running statistics.
    pub(super) fn everything(&self) -> &[Tensor] {
        &self.everything
    }

    /// Loss and accuracy with all tensors, including running statistics, moved by multiples of directions. Negative variances are
    /// set to 0.
    pub(super) fn score_everywhere(&self, steps: &[(f64, &Direction)]) -> Sums {
        let _no_grad = tch::no_grad_guard();
        let set = |steps: &[(f64, &Direction)]| {
            for (index, ((param, tensor), origin)) in self.parts.params().iter().zip(&self.everything).enumerate() {
                let moved = steps.iter().fold(origin.copy(), |sum, (step, direction)| sum + &direction[index] * *step);
                let moved = if param.role == Role::RunningVar { moved.clamp_min(0.0) } else { moved };
                tensor.shallow_clone().copy_(&moved);
            }
        };
        set(steps);
        let sums = self.sums();
        set(&[]);
        sums
    }

    /// Selects weights by name in the order of [`Objective::everything`].
    ///
    /// # Errors
    /// When a weight is missing.
    pub(super) fn arranged(&self, weights: &BTreeMap<String, Tensor>) -> Result<Vec<Tensor>, StudyError> {
        let tensor = |((param, _), like): (&(Param, Tensor), &Tensor)| match weights.get(&param.name) {
            Some(tensor) if tensor.size() == like.size() => Ok(tensor.to_kind(like.kind()).to_device(like.device())),
            _ => Err(StudyError::Unfit(format!("the saved weights have no tensor `{}` of this network", param.name))),
        };
        self.parts.params().iter().zip(&self.everything).map(tensor).collect()
    }

    /// Selects the learned parameters from tensors in the order of [`Objective::everything`].
    pub(super) fn learned(&self, all: &[Tensor]) -> Direction {
        let pairs = self.parts.params().iter().zip(all);
        pairs.filter(|((param, _), _)| param.role.trainable()).map(|(_, tensor)| tensor.shallow_clone()).collect()
    }

    fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for (x, labels) in &self.batches {
            let logits = self.parts.forward_from(0, x);
            sums.add(cross_entropy(&logits, labels).double_value(&[]), &logits, labels);
        }
        sums
    }

    pub(super) fn origin(&self) -> &[Tensor] {
        &self.origin
    }

    /// Loss and accuracy at the origin plus multiples of directions.
    pub(super) fn score(&self, steps: &[(f64, &Direction)]) -> Sums {
        let _no_grad = tch::no_grad_guard();
        self.set_parameters(steps);
        let sums = self.sums();
        self.set_parameters(&[]);
        sums
    }

    /// The gradient of the mean loss at the origin plus a multiple of a direction.
    pub(super) fn gradient(&self, steps: &[(f64, &Direction)]) -> Direction {
        self.set_parameters(steps);
        let params: Vec<Tensor> = self.params.iter().map(|param| param.set_requires_grad(true)).collect();
        let count: i64 = self.batches.iter().map(|(_, labels)| labels.numel() as i64).sum();
        let mut sum: Option<Direction> = None;
        for (x, labels) in &self.batches {
            let share = labels.numel() as f64 / count as f64;
            let loss = cross_entropy(&self.parts.forward_from(0, x), labels) * share;
            let gradient = Tensor::run_backward(&[loss], &params, false, false);
            sum = Some(match sum {
                None => gradient,
                Some(sum) => sum.iter().zip(gradient).map(|(sum, gradient)| sum + gradient).collect(),
            });
        }
        params.iter().for_each(|param| drop(param.set_requires_grad(false)));
        self.set_parameters(&[]);
        sum.unwrap_or_default()
    }

    /// The Hessian times a direction of length 1, by a central difference of gradients over `2 step`.
    pub(super) fn hessian_times(&self, direction: &Direction, step: f64) -> Direction {
        let [ahead, behind] = [step, -step].map(|step| self.gradient(&[(step, direction)]));
        ahead.iter().zip(&behind).map(|(a, b)| (a - b) / (2.0 * step)).collect()
    }

    /// Puts the weights at the origin plus multiples of directions.
    fn set_parameters(&self, steps: &[(f64, &Direction)]) {
        let _no_grad = tch::no_grad_guard();
        for (index, (param, origin)) in self.params.iter().zip(&self.origin).enumerate() {
            let mut param = param.shallow_clone();
            param.copy_(origin);
            for &(step, direction) in steps {
                param += &direction[index] * step;
            }
        }
    }
}

/// Σ a·b
pub(super) fn dot(a: &[Tensor], b: &[Tensor]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a * b).sum(Kind::Double).double_value(&[])).sum()
}

pub(super) fn norm(a: &[Tensor]) -> f64 {
    dot(a, a).sqrt()
}

/// Multiplies by a number.
pub(super) fn times(a: &[Tensor], factor: f64) -> Direction {
    a.iter().map(|a| a * factor).collect()
}

/// Independent standard normal numbers in the shape of the weights.
pub(super) fn normal(like: &[Tensor], key: u64) -> Direction {
    let mut index = 0;
    let mut draw = |like: &Tensor| {
        let values: Vec<f64> = (0..like.numel())
            .map(|_| {
                index += 2;
                // Box and Muller; 1 - u is above 0.
                let [u, v] = [index - 2, index - 1].map(|index| random::uniform(key, index));
                (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
            })
            .collect();
        Tensor::from_slice(&values).view(like.size().as_slice()).to_kind(like.kind()).to_device(like.device())
    };
    like.iter().map(&mut draw).collect()
}

/// Norms of the filters, along the first dimension, in the shape `[K, 1, …]`; zeros for biases and normalisations.
pub(super) fn filter_norms(weights: &[Tensor]) -> Direction {
    let norms = |weight: &Tensor| match weight.dim() {
        0 | 1 => weight.zeros_like(),
        dims => {
            let others: Vec<i64> = (1..dims as i64).collect();
            weight.square().sum_dim_intlist(others.as_slice(), true, weight.kind()).sqrt()
        }
    };
    weights.iter().map(norms).collect()
}

/// A random direction whose filters have the norms of those of the weights (Li et al. 2018, section 4); 0 along biases and
/// normalisations.
pub(super) fn filter_normalised(weights: &[Tensor], key: u64) -> Direction {
    let direction = normal(weights, key);
    let (own, wanted) = (filter_norms(&direction), filter_norms(weights));
    direction.iter().zip(own.iter().zip(&wanted)).map(|(d, (own, wanted))| d * wanted / (own + 1e-10)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_have_the_norms_of_the_filters() {
        let weights =
            [Tensor::from_slice(&[3.0, 4.0, 0.0, 0.0, 6.0, 8.0]).view([3, 2]), Tensor::from_slice(&[1.0, 2.0])];
        let direction = filter_normalised(&weights, 7);
        let norms = filter_norms(&direction);
        let wanted = Tensor::from_slice(&[5.0, 0.0, 10.0]).view([3, 1]);
        assert!(norms[0].allclose(&wanted, 1e-6, 1e-8, false), "{}", norms[0]);
        assert_eq!(norm(&direction[1..]), 0.0);
        assert_eq!(
            dot(&direction, &filter_normalised(&weights, 7)),
            dot(&direction, &direction),
            "the same every time"
        );
        let many = normal(&[Tensor::zeros([100, 100], (Kind::Double, tch::Device::Cpu))], 1);
        let (mean, std) = (many[0].mean(Kind::Double).double_value(&[]), many[0].std(true).double_value(&[]));
        assert!(mean.abs() < 0.03 && (std - 1.0).abs() < 0.03, "{mean} {std}");
    }
}
