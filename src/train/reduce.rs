//! The gradients of all ranks added up: those of a large network in buckets while the backward pass still runs, those of a small one
//! in one operation after it.

use super::error::TrainError;
use crate::arch::params::Role;
use crate::model::Model;
use crate::ranks::Ranks;
use crate::torch::GradientBuckets;
use std::collections::BTreeSet;
use tch::Tensor;

/// Bytes of gradients above which there are several buckets. Decided by size, not by a measurement at run time, because the layout
/// determines the order of additions and so the last bits.
const FLAT_BYTES: usize = 8 << 20;
/// A small first bucket starts early, as in PyTorch's `DistributedDataParallel`.
const FIRST_BYTES: usize = 1 << 20;
/// PyTorch's 25 MiB were slower for networks of this size: most of their gradients would be in the last bucket, which nothing
/// overlaps (docs/distributed.md).
const BUCKET_BYTES: usize = 4 << 20;

/// What adds up the gradients of a run; nothing for a single rank.
#[derive(Default)]
pub(super) struct Reduction {
    buckets: Option<GradientBuckets>,
}

impl Reduction {
    /// Prepares for a step; the first time, all ranks connect and agree on the buckets. Parameters without gradients in a step, as
    /// those of a skipped block, are no error, but nothing behind them is added up before the backward pass ends.
    ///
    /// # Errors
    /// When another rank is lost.
    pub(super) fn prepare(&mut self, ranks: &Ranks, model: &Model) -> Result<(), TrainError> {
        if ranks.world() == 1 || self.buckets.is_some() {
            return Ok(());
        }
        let params: Vec<Tensor> = model.trainable().into_iter().map(|(_, tensor)| tensor).collect();
        if params.is_empty() {
            return Ok(());
        }
        let sizes = bucket_sizes(ranks, &params);
        let statistics = learned_statistics(model);
        self.buckets = ranks.adding_up(|group| GradientBuckets::new(group, &params, &statistics, sizes))?;
        Ok(())
    }

    /// Announces the last backward pass of a step.
    pub(super) fn arm(&self) {
        if let Some(buckets) = &self.buckets {
            buckets.arm();
        }
    }

    /// Replaces the gradients by their sums over all ranks, and the running statistics of batch normalisation by their means, weighted
    /// with each rank's `share` of the images: after it all ranks have the same tensors to the bit, and the checkpoint of one is
    /// that of all. A parameter that no rank has a gradient of stays without one, which optimizers skip.
    ///
    /// # Errors
    /// When another rank is lost.
    pub(super) fn finish(&self, ranks: &Ranks, share: f64) -> Result<(), TrainError> {
        let Some(buckets) = &self.buckets else { return Ok(()) };
        ranks.adding_up(|_| buckets.finish(share))?;
        Ok(())
    }

    /// Ends a step whose gradients are of no use, on all ranks.
    ///
    /// # Errors
    /// When another rank is lost.
    pub(super) fn abandon(&self, ranks: &Ranks) -> Result<(), TrainError> {
        let Some(buckets) = &self.buckets else { return Ok(()) };
        ranks.adding_up(|_| buckets.abandon())?;
        Ok(())
    }
}

/// The sizes of the first bucket and of the others; a limit of 0 for one operation.
fn bucket_sizes(ranks: &Ranks, params: &[Tensor]) -> [usize; 2] {
    let bytes: usize = params.iter().map(|param| param.numel() * param.kind().elt_size_in_bytes()).sum();
    let by_size = if bytes > FLAT_BYTES { BUCKET_BYTES } else { 0 };
    let limit = ranks.bucket_bytes().unwrap_or(by_size);
    [limit.min(FIRST_BYTES), limit]
}

/// The running statistics but those of frozen rows, which a mean would change in the last digit. None where the ranks normalise
/// together, which leaves the same on all of them.
fn learned_statistics(model: &Model) -> Vec<Tensor> {
    if model.sync().is_some() {
        return Vec::new();
    }
    let layer = |name: &str| name.rsplit_once('.').map_or("", |(layer, _)| layer).to_owned();
    let learned: BTreeSet<String> = model.trainable().iter().map(|(param, _)| layer(&param.name)).collect();
    let kept = model.params().iter().filter(|(param, _)| {
        matches!(param.role, Role::RunningMean | Role::RunningVar) && learned.contains(&layer(&param.name))
    });
    kept.map(|(_, tensor)| tensor.detach()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranks::on_ranks;
    use crate::torch;
    use tch::{Device, Kind};

    /// Integers, whose sums are exact in any order. The parameter 2 has a gradient on rank 1 only, 3 has none.
    #[test]
    fn gradients_of_some_ranks_or_none() {
        let factor = |step: usize, param: usize, rank: usize| (100 * step + 10 * param + rank + 1) as f64;
        for sizes in [[0, 0], [32, 64], [8, 8]] {
            let found = on_ranks(3, |ranks| {
                let rank = ranks.rank();
                let param = |shape: &[i64]| Tensor::ones(shape, (Kind::Double, Device::Cpu));
                let kernel = torch::channels_last(&param(&[2, 3, 2, 2])).unwrap();
                let params = [kernel, param(&[5]), param(&[6]), param(&[7]), param(&[])];
                let params = params.map(|param| param.set_requires_grad(true));
                let statistic = Tensor::from_slice(&[rank as f64, 4.0]);
                let group = ranks.processes().unwrap();
                let buckets = GradientBuckets::new(&group, &params, &[statistic.shallow_clone()], sizes).unwrap();
                let mut sums = Vec::new();
                for step in 0..3 {
                    torch::zero_grad(&params).unwrap();
                    // Two backward passes, of which the first adds to no bucket.
                    for last in [false, true] {
                        if last {
                            buckets.arm();
                        }
                        let has = |&param: &usize| param != 3 && (param != 2 || rank == 1);
                        let term = |param: usize| params[param].sum(Kind::Double) * (factor(step, param, rank) / 2.0);
                        (0..5).filter(has).map(term).sum::<Tensor>().backward();
                        assert!(last || buckets.state().1 == 0);
                    }
                    buckets.finish([0.25, 0.25, 0.5][rank]).unwrap();
                    let grads = torch::grads(&params);
                    sums.push([0, 1, 2, 4].map(|param| {
                        let grad = &grads[param];
                        assert_eq!(grad.size(), params[param].size());
                        assert_eq!(grad.max(), grad.min(), "all elements are equal");
                        grad.max().double_value(&[])
                    }));
                    assert!(!grads[3].defined());
                }
                (sums, Vec::<f64>::try_from(statistic).unwrap(), buckets.state().0)
            });
            for (sums, statistic, count) in &found {
                assert_eq!(*statistic, [1.25, 4.0], "averages of averages remain");
                assert_eq!(
                    *count,
                    match sizes {
                        [0, 0] => 1,
                        [32, 64] => 3,
                        _ => 5,
                    }
                );
                for (step, sums) in sums.iter().enumerate() {
                    let all = |param| (0..3).map(|rank| factor(step, param, rank)).sum::<f64>();
                    assert_eq!(*sums, [all(0), all(1), factor(step, 2, 1), all(4)]);
                }
            }
        }
    }

    /// All but the last bucket, which waits for the statistics, begin within the backward pass; none behind a parameter without a
    /// gradient does.
    #[test]
    fn buckets_begin_in_order_within_the_backward_pass() {
        let begun = on_ranks(2, |ranks| {
            let params =
                [3i64, 4, 5].map(|size| Tensor::ones([size], (Kind::Float, Device::Cpu)).set_requires_grad(true));
            let buckets = GradientBuckets::new(&ranks.processes().unwrap(), &params, &[], [1, 1]).unwrap();
            let begun = [vec![0, 1, 2], vec![0, 2], vec![0, 1]].map(|used| {
                buckets.arm();
                used.into_iter().map(|param: usize| params[param].sum(Kind::Float)).sum::<Tensor>().backward();
                let begun = buckets.state().1;
                buckets.finish(1.0).unwrap();
                torch::zero_grad(&params).unwrap();
                begun
            });
            buckets.abandon().unwrap();
            begun
        });
        assert_eq!(begun, [[2, 1, 0]; 2]);
    }
}
