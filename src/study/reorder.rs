//! Random choices of blocks to delete or to swap, and the distance of an order from the original.

use crate::random;

/// Chooses `count` of `n` without replacement, in ascending order.
pub(super) fn choose(key: u64, count: usize, n: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = random::permutation(key, n).into_iter().take(count).map(|i| i as usize).collect();
    chosen.sort_unstable();
    chosen
}

/// A permutation of 0..n by `swaps` swaps, each within a group.
pub(super) fn swapped(key: u64, groups: &[Vec<usize>], n: usize, swaps: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    // A group is drawn in proportion to its pairs, so that every pair is equally likely.
    let pairs = |group: &Vec<usize>| group.len() * group.len().saturating_sub(1) / 2;
    let total: usize = groups.iter().map(pairs).sum();
    for swap in 0..swaps as u64 {
        let mut draw = random::below(key, 3 * swap, total as u64) as usize;
        let group = groups.iter().find(|group| {
            let here = draw < pairs(group);
            draw = draw.saturating_sub(pairs(group));
            here
        });
        let Some(group) = group else { break };
        let first = random::below(key, 3 * swap + 1, group.len() as u64) as usize;
        let second = (first + 1 + random::below(key, 3 * swap + 2, group.len() as u64 - 1) as usize) % group.len();
        order.swap(group[first], group[second]);
    }
    order
}

/// Kendall's rank correlation of a permutation of 0..n with the identity: 1 for the identity, -1 for the reversal.
pub(super) fn kendall_tau(order: &[usize]) -> f64 {
    let n = order.len();
    let discordant: usize =
        order.iter().enumerate().map(|(i, a)| order[i + 1..].iter().filter(|&b| b < a).count()).sum();
    let pairs = n * n.saturating_sub(1) / 2;
    if pairs == 0 { 1.0 } else { 1.0 - 2.0 * discordant as f64 / pairs as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swaps_stay_in_their_group() {
        let groups = [vec![0, 1, 2], vec![4, 5, 6, 7]];
        for key in 0..50 {
            let order = swapped(key, &groups, 8, 5);
            assert_eq!(order[3], 3);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..8).collect::<Vec<_>>());
            assert!(order[..3].iter().all(|&block| block < 3));
        }
        assert_eq!(swapped(1, &[], 3, 5), [0, 1, 2]);
        assert_eq!(choose(1, 3, 3), [0, 1, 2]);
    }

    #[test]
    fn kendall_s_correlation() {
        assert_eq!(kendall_tau(&[0, 1, 2, 3]), 1.0);
        assert_eq!(kendall_tau(&[3, 2, 1, 0]), -1.0);
        assert!((kendall_tau(&[1, 0, 2, 3]) - (1.0 - 2.0 / 6.0)).abs() < 1e-15);
    }
}
