//! `auto_augment`: a policy that was searched for.

use super::ops::{Canvas, Interpolation};
use super::policies::{CIFAR10, IMAGENET, SVHN, Step};
use super::strength::NARROW;
use super::{Augmentation, View};
use crate::named::KeyError;
use crate::random;
use serde::{Deserialize, Serialize};

/// AutoAugment (Cubuk et al. 2018): one of the 25 pairs of operations of a policy, each with its probability and magnitude.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AutoAugment {
    pub policy: Policy,
    pub interpolation: Interpolation,
    /// What is shown outside of the image; 128 in the authors' code.
    pub fill: u8,
}

/// What a policy was searched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    #[default]
    Imagenet,
    Cifar10,
    Svhn,
}

impl Policy {
    fn pairs(self) -> &'static [[Step; 2]] {
        match self {
            Policy::Imagenet => &IMAGENET,
            Policy::Cifar10 => &CIFAR10,
            Policy::Svhn => &SVHN,
        }
    }
}

impl Augmentation for AutoAugment {
    const STREAM: &'static str = "augment.auto_augment";
    const HEAVY: bool = true;

    fn draw(&self, key: u64, view: &mut View) {
        let canvas = Canvas { interpolation: self.interpolation, fill: self.fill };
        let pairs = self.policy.pairs();
        let pair = pairs[random::below(key, 0, pairs.len() as u64) as usize];
        for ((kind, p, magnitude), draw) in pair.into_iter().zip([1, 3]) {
            if random::uniform(key, draw) < p {
                let back = random::word(key, draw + 1) >> 63 == 1;
                view.ops.push(NARROW.op(kind, f64::from(magnitude) / 9.0, back, view.size, canvas));
            }
        }
    }

    fn check(&self, _: [usize; 3]) -> Result<(), KeyError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_have_the_papers_pairs() {
        assert!([IMAGENET.len(), CIFAR10.len(), SVHN.len()].iter().all(|&pairs| pairs == 25));
        // Sums of the probabilities and magnitudes of torchvision 0.28's tables.
        let sums = |policy: Policy| {
            let steps = || policy.pairs().iter().flatten();
            (steps().map(|step| step.1).sum::<f64>(), steps().map(|step| u32::from(step.2)).sum::<u32>())
        };
        for (policy, p, magnitudes) in
            [(Policy::Imagenet, 31.0, 159), (Policy::Cifar10, 26.5, 187), (Policy::Svhn, 32.9, 143)]
        {
            let found = sums(policy);
            assert!((found.0 - p).abs() < 1e-9 && found.1 == magnitudes, "{policy:?} {found:?}");
        }
        let mean = |policy| {
            let ops = |i| {
                let mut view = View::whole([32, 32]);
                AutoAugment { policy, ..AutoAugment::default() }.draw(random::key(1, "test", &[i]), &mut view);
                view.ops.len()
            };
            (0..10_000).map(ops).sum::<usize>() as f64 / 10_000.0
        };
        assert!((mean(Policy::Imagenet) - sums(Policy::Imagenet).0 / 25.0).abs() < 0.02);
    }
}
