//! The plane in which training moved most: principal components of the weights of its epochs (Li et al. 2018, section 7).

use crate::model::read_tensors;
use crate::study::objective::{Direction, Objective, dot, times};
use crate::study::{StudyError, Subject};
use crate::train::kept_weights;
use std::path::PathBuf;
use tch::{Kind, Tensor};

/// Epochs of a run that kept their weights, and the plane that fits them best.
pub(super) struct Trajectory {
    pub epochs: Vec<usize>,
    /// Coordinates of each epoch in the plane relative to the run's best weights, in the L2 norm of learned parameters.
    pub points: Vec<[f64; 2]>,
    /// Differences from the best weights to those of each epoch, including running statistics.
    pub steps: Vec<Direction>,
    /// First and second principal component, orthonormal in the learned parameters. Running statistics are combined from those of
    /// the epochs with the same coefficients.
    pub components: [Direction; 2],
    /// Fractions of the variance that they explain.
    pub shares: [f64; 2],
}

/// The saved weights of epochs from `first` on.
pub(super) fn files(subject: &Subject, first: usize) -> Vec<(usize, PathBuf)> {
    kept_weights(&subject.folder).into_iter().filter(|(epoch, _)| *epoch >= first).collect()
}

impl Trajectory {
    /// Reads the weights that a run saved for epochs from `first` on.
    ///
    /// # Errors
    /// When there are fewer than three, or a file cannot be read.
    pub(super) fn read(subject: &Subject, objective: &Objective, first: usize) -> Result<Trajectory, StudyError> {
        let mut kept = Vec::new();
        for (epoch, path) in files(subject, first) {
            kept.push((epoch, objective.arranged(&read_tensors(&path)?)?));
        }
        Trajectory::new(objective, &kept).ok_or_else(|| {
            StudyError::Unfit(format!(
                "a plane needs three different epochs from {first} on, and {} kept the weights of {}: `strata train --force --set \
                 train.keep_every=1` keeps those of every epoch",
                subject.name,
                kept.len()
            ))
        })
    }

    /// Fits the plane to epochs with all their tensors. `None` if they are collinear.
    pub(super) fn new(objective: &Objective, kept: &[(usize, Vec<Tensor>)]) -> Option<Trajectory> {
        let _no_grad = tch::no_grad_guard();
        let from = objective.everything();
        let steps: Vec<Direction> =
            kept.iter().map(|(_, all)| all.iter().zip(from).map(|(to, from)| to - from).collect()).collect();
        let learned: Vec<Direction> = steps.iter().map(|step| objective.learned(step)).collect();
        let gram = centred_products(&learned)?;
        let total = gram.trace().double_value(&[]);
        let (values, vectors) = gram.linalg_eigh("L");
        let last = kept.len() as i64 - 1;
        let component = |rank: i64| {
            let value = values.double_value(&[last - rank]);
            let vector = Vec::<f64>::try_from(vectors.select(1, last - rank)).ok()?;
            // Coefficients whose sum is 0, as the vector's is: the mean of the epochs drops out.
            (value > 1e-9 * total).then(|| (combined(&steps, &vector, value.sqrt().recip()), value / total))
        };
        let found = [component(0)?, component(1)?];
        let shares = [found[0].1, found[1].1];
        let components = found.map(|(component, _)| towards(component, objective, &learned[0]));
        let own = [0, 1].map(|axis: usize| objective.learned(&components[axis]));
        let points = learned.iter().map(|step| [dot(step, &own[0]), dot(step, &own[1])]).collect();
        Some(Trajectory { epochs: kept.iter().map(|(epoch, _)| *epoch).collect(), points, steps, components, shares })
    }

    /// Middle and half length of an axis that has all epochs and the best weights on it, with a margin, times `scale`.
    pub(super) fn axis(&self, axis: usize, scale: f64) -> [f64; 2] {
        let (low, high) = self
            .points
            .iter()
            .fold((0.0_f64, 0.0_f64), |(low, high), point| (low.min(point[axis]), high.max(point[axis])));
        [(low + high) / 2.0, 0.6 * (high - low) * scale]
    }
}

/// Scalar products of centred vectors, `[n, n]` in float64; `None` for fewer than three vectors.
fn centred_products(vectors: &[Direction]) -> Option<Tensor> {
    let n = vectors.len() as i64;
    if n < 3 {
        return None;
    }
    let mut sum = Tensor::zeros([n, n], (Kind::Double, tch::Device::Cpu));
    for index in 0..vectors[0].len() {
        let rows: Vec<Tensor> =
            vectors.iter().map(|vector| vector[index].flatten(0, -1).to_kind(Kind::Double)).collect();
        let rows = Tensor::stack(&rows, 0);
        let rows = &rows - rows.mean_dim([0i64].as_slice(), true, Kind::Double);
        sum += rows.matmul(&rows.transpose(0, 1)).to_device(tch::Device::Cpu);
    }
    Some(sum)
}

/// Σ factor · coefficient · vector
fn combined(vectors: &[Direction], coefficients: &[f64], factor: f64) -> Direction {
    let mut sum: Direction = vectors[0].iter().map(Tensor::zeros_like).collect();
    for (vector, coefficient) in vectors.iter().zip(coefficients) {
        for (sum, part) in sum.iter_mut().zip(vector) {
            *sum += part * (coefficient * factor);
        }
    }
    sum
}

/// Fixes the sign of a component, which an eigenvector leaves open: it points towards the first epoch.
fn towards(component: Direction, objective: &Objective, first: &Direction) -> Direction {
    let sign = if dot(first, &objective.learned(&component)) < 0.0 { -1.0 } else { 1.0 };
    times(&component, sign)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::golden::network;
    use crate::study::objective::{norm, normal};

    fn subject() -> Subject {
        let keys = "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\nwidth = 4";
        let mut subject = Subject::example(network(keys, [3, 16, 16], 4), 6);
        subject.weights.iter_mut().for_each(|(_, tensor)| *tensor = tensor.to_kind(Kind::Double));
        subject
    }

    /// The tensors of an objective, moved at random; variances stay above 0.
    fn moved(objective: &Objective, key: u64) -> Vec<Tensor> {
        let noise = normal(objective.everything(), key);
        objective.everything().iter().zip(noise).map(|(tensor, noise)| tensor + (noise * 0.05).abs()).collect()
    }

    /// The plane through the weights of three epochs, one of them the best, has all of them in it: the loss at their points is
    /// that of the networks themselves, running statistics included.
    #[test]
    fn a_plane_through_three_epochs_holds_them() {
        let subject = subject();
        let objective = Objective::new(&subject, 6, 6).unwrap();
        let best: Vec<Tensor> = objective.everything().iter().map(Tensor::copy).collect();
        let kept = [(0, moved(&objective, 1)), (1, moved(&objective, 2)), (2, best)];
        let trajectory = Trajectory::new(&objective, &kept).unwrap();
        let [x, y] = &trajectory.components;
        for (point, step) in trajectory.points.iter().zip(&trajectory.steps) {
            let on_plane = objective.score_everywhere(&[(point[0], x), (point[1], y)]).mean_loss();
            let own = objective.score_everywhere(&[(1.0, step)]).mean_loss();
            assert!((on_plane - own).abs() < 1e-9 * own, "{on_plane} against {own}");
        }
        let losses = trajectory.steps.iter().map(|step| objective.score_everywhere(&[(1.0, step)]).mean_loss());
        assert!(losses.clone().next() != losses.clone().next_back(), "the networks differ");
        assert!((trajectory.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "nothing is left");
        let [x, y] = [x, y].map(|way| objective.learned(way));
        assert!((norm(&x) - 1.0).abs() < 1e-9 && (norm(&y) - 1.0).abs() < 1e-9 && dot(&x, &y).abs() < 1e-9);
        assert!(Trajectory::new(&objective, &kept[..2]).is_none());
    }

    /// Against the singular value decomposition of the whole matrix of centred weights.
    #[test]
    fn components_are_the_singular_vectors() {
        let subject = subject();
        let objective = Objective::new(&subject, 6, 6).unwrap();
        let kept: Vec<_> = (0..5).map(|epoch| (epoch, moved(&objective, epoch as u64))).collect();
        let trajectory = Trajectory::new(&objective, &kept).unwrap();
        let flat = |all: &[Tensor]| Tensor::cat(&all.iter().map(|part| part.flatten(0, -1)).collect::<Vec<_>>(), 0);
        let rows: Vec<Tensor> = kept.iter().map(|(_, all)| flat(&objective.learned(all))).collect();
        let rows = Tensor::stack(&rows, 0);
        let centred = &rows - rows.mean_dim([0i64].as_slice(), true, Kind::Double);
        let (_, values, vectors) = centred.svd(true, true);
        let squares = values.square();
        for (axis, share) in (0..).zip(trajectory.shares) {
            let wanted = squares.double_value(&[axis]) / squares.sum(Kind::Double).double_value(&[]);
            assert!((share - wanted).abs() < 1e-9, "{share} against {wanted}");
            let own = flat(&objective.learned(&trajectory.components[axis as usize]));
            let cosine = (own * vectors.select(1, axis)).sum(Kind::Double).double_value(&[]);
            assert!((cosine.abs() - 1.0).abs() < 1e-6, "{cosine}");
        }
    }
}
