//! Loss and Top-1/Top-5 accuracy, summed so that every image counts once.

use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, Tensor};

/// Sums over the images seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    pub loss: f64,
    pub top1: u64,
    pub top5: u64,
    pub count: u64,
}

impl Sums {
    /// Adds a batch: its mean loss, logits `[N, classes]` and labels `[N]`.
    pub fn add(&mut self, mean_loss: f64, logits: &Tensor, labels: &Tensor) {
        let count = labels.size().first().copied().unwrap_or(0);
        let classes = logits.size().get(1).copied().unwrap_or(1);
        let (_, best) = logits.detach().topk(classes.min(5), 1, true, true);
        let hits = best.eq_tensor(&labels.unsqueeze(1));
        let hit_count = |hits: Tensor| hits.sum(Kind::Int64).int64_value(&[]) as u64;
        self.loss += mean_loss * count as f64;
        self.top1 += hit_count(hits.select(1, 0));
        self.top5 += hit_count(hits);
        self.count += count as u64;
    }

    /// Adds the sums over other images.
    pub fn merge(&mut self, other: Sums) {
        self.loss += other.loss;
        self.top1 += other.top1;
        self.top5 += other.top5;
        self.count += other.count;
    }

    pub fn mean_loss(&self) -> f64 {
        self.loss / self.count.max(1) as f64
    }

    /// Top-1 accuracy as a fraction.
    pub fn top1(&self) -> f64 {
        self.top1 as f64 / self.count.max(1) as f64
    }

    /// Top-5 accuracy as a fraction; with fewer than five classes every image counts.
    pub fn top5(&self) -> f64 {
        self.top5 as f64 / self.count.max(1) as f64
    }
}

/// Mean cross-entropy of logits `[N, classes]`.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.cross_entropy_loss(labels, None::<&Tensor>, Reduction::Mean, -100, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top1_and_top5_count_what_they_say() {
        let logits = Tensor::from_slice2(&[
            [9.0f32, 8.0, 7.0, 6.0, 5.0, 4.0],
            [9.0, 8.0, 7.0, 6.0, 5.0, 4.0],
            [9.0, 8.0, 7.0, 6.0, 5.0, 4.0],
        ]);
        let labels = Tensor::from_slice(&[0i64, 4, 5]);
        let mut sums = Sums::default();
        sums.add(0.5, &logits, &labels);
        assert_eq!((sums.top1, sums.top5, sums.count), (1, 2, 3));
        assert_eq!(sums.mean_loss(), 0.5);
    }

    #[test]
    fn two_classes_have_a_top5_too() {
        let mut sums = Sums::default();
        sums.add(1.0, &Tensor::from_slice2(&[[0.0f32, 1.0], [0.0, 1.0]]), &Tensor::from_slice(&[0i64, 1]));
        assert_eq!((sums.top1, sums.top5), (1, 2));
    }
}
