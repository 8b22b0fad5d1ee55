//! Loss and accuracy of a changed network, computed from the activations before the first change.

use super::{StudyError, Subject};
use crate::arch::params::Role;
use crate::model::SplitModel;
use crate::model::float;
use crate::torch::fused::keep_packed_weights;
use crate::train::{Sums, cross_entropy};
use tch::Tensor;

/// The order in which parts run; `false` marks a removed part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order(pub Vec<(usize, bool)>);

impl Order {
    /// The unchanged network.
    pub(super) fn whole(parts: usize) -> Order {
        Order((0..parts).map(|part| (part, true)).collect())
    }

    /// The position of the first change; the number of parts if there is none.
    pub(super) fn first_change(&self) -> usize {
        let same = |(position, part): &(usize, &(usize, bool))| **part == (*position, true);
        self.0.iter().enumerate().take_while(same).count()
    }
}

/// The inputs of the part `at` for some images. It only moves forward.
pub(super) struct Frontier<'a> {
    parts: &'a SplitModel,
    subject: &'a Subject,
    at: usize,
    batches: Vec<(Tensor, Tensor)>,
}

impl<'a> Frontier<'a> {
    pub(super) fn new(subject: &'a Subject, parts: &'a SplitModel, batches: Vec<(Tensor, Tensor)>) -> Frontier<'a> {
        Frontier { parts, subject, at: 0, batches }
    }

    /// Runs the unchanged parts in front of `part`.
    pub(super) fn advance(&mut self, part: usize) {
        let _no_grad = tch::no_grad_guard();
        let _weights = keep_packed_weights();
        let _autocast = self.subject.autocast();
        for (x, _) in &mut self.batches {
            *x = self.parts.list[self.at..part].iter().fold(x.shallow_clone(), |x, part| part.forward(&x, false));
        }
        self.at = self.at.max(part);
    }

    /// Loss and accuracies with the parts in another order from here on.
    pub(super) fn score(&self, order: &Order) -> Sums {
        let _no_grad = tch::no_grad_guard();
        let _weights = keep_packed_weights();
        let mut sums = Sums::default();
        for (x, labels) in &self.batches {
            let logits = {
                let _autocast = self.subject.autocast();
                self.forward(x, order, false)
            };
            sums.add(cross_entropy(&logits, labels).double_value(&[]), &logits, labels);
        }
        sums
    }

    fn forward(&self, x: &Tensor, order: &Order, train: bool) -> Tensor {
        let step = |x: Tensor, &(part, whole): &(usize, bool)| {
            let part = &self.parts.list[part];
            if whole { part.forward(&x, train) } else { part.forward_removed(&x, train) }
        };
        float(order.0[self.at..].iter().fold(x.shallow_clone(), step))
    }

    /// Estimates the running statistics of all normalisations for an order, as means over these batches.
    ///
    /// # Errors
    /// Errors of libtorch.
    pub(super) fn estimate(&self, order: &Order) -> Result<(), StudyError> {
        let _no_grad = tch::no_grad_guard();
        let statistics = Statistics::of(self.parts);
        let mut sums: Option<Vec<Tensor>> = None;
        for (x, _) in &self.batches {
            let _autocast = self.subject.autocast();
            let _ = self.forward(x, order, true);
            let batch = statistics.0.iter().map(Tensor::copy);
            sums = Some(match sums {
                None => batch.collect(),
                Some(sums) => sums.iter().zip(batch).map(|(sum, batch)| sum + batch).collect(),
            });
        }
        let count = self.batches.len().max(1) as f64;
        let means: Vec<Tensor> = sums.into_iter().flatten().map(|sum| sum / count).collect();
        statistics.set(&means);
        Ok(())
    }
}

/// The running statistics of a network.
pub(super) struct Statistics(Vec<Tensor>);

impl Statistics {
    pub(super) fn of(parts: &SplitModel) -> Statistics {
        let kept =
            parts.params().iter().filter(|(param, _)| matches!(param.role, Role::RunningMean | Role::RunningVar));
        Statistics(kept.map(|(_, tensor)| tensor.shallow_clone()).collect())
    }

    pub(super) fn copies(&self) -> Vec<Tensor> {
        self.0.iter().map(Tensor::copy).collect()
    }

    pub(super) fn set(&self, values: &[Tensor]) {
        let _no_grad = tch::no_grad_guard();
        self.0.iter().zip(values).for_each(|(tensor, value)| tensor.shallow_clone().copy_(value));
    }
}
