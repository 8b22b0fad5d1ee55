//! Which images are for training, validation and test.

use super::listing::{Entry, Listing};
use super::scanned::SplitName;
use crate::random;
use serde::{Deserialize, Serialize};

/// Fractions of the images for training, validation and test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Fractions(pub [f64; 3]);

impl Default for Fractions {
    fn default() -> Fractions {
        Fractions([0.8, 0.1, 0.1])
    }
}

impl Fractions {
    pub(super) fn check(&self) -> Result<(), String> {
        let sum: f64 = self.0.iter().sum();
        match self.0 {
            splits
                if splits.iter().all(|split| (0.0..=1.0).contains(split))
                    && (sum - 1.0).abs() < 1e-6
                    && splits[0] > 0.0 =>
            {
                Ok(())
            }
            [train, validation, test] => Err(format!(
                "split is the fractions for training, validation and test, which add up to 1: [0.8, 0.1, 0.1], not [{train}, \
                 {validation}, {test}]"
            )),
        }
    }
}

/// The images of the three splits. What folders or a column assign stays there; the rest is divided at random, class by class, so
/// that each split has the same share of every class. Within a split the classes take turns, so that the first images of it have
/// the same number of each.
pub(super) fn divide<'a>(listing: &'a Listing, fractions: &Fractions, seed: u64) -> [Vec<&'a Entry>; 3] {
    let has = |split| listing.entries.iter().any(|entry| entry.split == Some(split));
    let [train, validation, test] = fractions.0;
    // A split that is assigned already gets nothing from the random division.
    let validation = if has(SplitName::Validation) { 0.0 } else { validation };
    let test = if has(SplitName::Test) { 0.0 } else { test };
    let whole = train + validation + test;
    let empty = || vec![Vec::<&Entry>::new(); listing.classes.len()];
    let (mut open, mut splits) = (empty(), [empty(), empty(), empty()]);
    for entry in &listing.entries {
        let split = match entry.split {
            Some(SplitName::Validation) => &mut splits[1],
            Some(SplitName::Test) => &mut splits[2],
            // Training images are divided for the splits that have none.
            Some(SplitName::Train) | None => &mut open,
        };
        split[usize::from(entry.label)].push(entry);
    }
    for (label, open) in open.iter().enumerate() {
        let count = |fraction: f64| match (open.len() as f64 * fraction / whole).round() as usize {
            0 if fraction > 0.0 && open.len() > 2 => 1,
            count => count,
        };
        let (testing, validating) = (count(test), count(validation));
        let order = random::permutation(random::key(seed, "split", &[label as u64]), open.len());
        for (rank, &index) in order.iter().enumerate() {
            let split = if rank < testing { 2 } else { usize::from(rank < testing + validating) };
            splits[split][label].push(open[index as usize]);
        }
    }
    splits.map(|mut classes| {
        classes.iter_mut().for_each(|entries| entries.sort_by(|a, b| a.path.cmp(&b.path)));
        in_turns(&classes)
    })
}

fn in_turns<'a>(classes: &[Vec<&'a Entry>]) -> Vec<&'a Entry> {
    let longest = classes.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest).flat_map(|rank| classes.iter().filter_map(move |entries| entries.get(rank).copied())).collect()
}
