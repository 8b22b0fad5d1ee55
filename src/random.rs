//! Randomness from counters: every number is a function of (seed, purpose, counters), and nothing is drawn from a
//! shared stream. The order in which work is done, the batch size and the number of threads therefore cannot change
//! a result, and a resumed run needs no saved generator.
//!
//! The generator is SplitMix64 (Steele, Lea and Flood 2014): its finaliser is a bijection that passes BigCrush when
//! fed a Weyl sequence.

/// 2^64 divided by the golden ratio, made odd: SplitMix64's Weyl increment.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's finaliser.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// FNV-1a, 64 bits: hashes the purpose's name.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// The key of an independent sequence: one for each seed, purpose ("shuffle", "augment", …) and list of counters
/// (epoch, index, …). The order of the counters matters.
pub fn key(seed: u64, purpose: &str, counters: &[u64]) -> u64 {
    let start = mix(seed.wrapping_add(GOLDEN) ^ mix(fnv1a(purpose)));
    counters.iter().fold(start, |k, &c| mix(k.wrapping_add(GOLDEN) ^ mix(c.wrapping_add(GOLDEN))))
}

/// The `index`-th 64-bit word of the sequence `key`.
pub fn word(key: u64, index: u64) -> u64 {
    mix(key.wrapping_add(index.wrapping_add(1).wrapping_mul(GOLDEN)))
}

/// The `index`-th number of the sequence `key`, uniform in [0, 1) with 53 bits.
pub fn uniform(key: u64, index: u64) -> f64 {
    (word(key, index) >> 11) as f64 / (1u64 << 53) as f64
}

/// The `index`-th integer of the sequence `key`, uniform in 0..n; 0 when `n` is 0. The bias of the
/// multiply-and-shift is below n / 2^64.
pub fn below(key: u64, index: u64, n: u64) -> u64 {
    ((u128::from(word(key, index)) * u128::from(n)) >> 64) as u64
}

/// A number of the standard normal distribution, by Box and Muller from the `index`-th and the next word of the sequence `key`.
pub fn normal(key: u64, index: u64) -> f64 {
    let radius = (-2.0 * (1.0 - uniform(key, index)).ln()).sqrt();
    radius * (2.0 * std::f64::consts::PI * uniform(key, index + 1)).cos()
}

/// A number of the distribution Beta(alpha, alpha), from the words of the sequence `key`.
pub fn beta(key: u64, alpha: f64) -> f64 {
    let [a, b] = [0, 1].map(|which| gamma(self::key(key, "gamma", &[which]), alpha));
    // For a small alpha both may underflow; the distribution then has all its mass at 0 and 1.
    if a + b > 0.0 { a / (a + b) } else { (word(key, 0) >> 63) as f64 }
}

/// A number of the distribution Gamma(shape, 1), by Marsaglia and Tsang (2000).
fn gamma(key: u64, shape: f64) -> f64 {
    let (boost, shape) = match shape < 1.0 {
        true => ((1.0 - uniform(key, 0)).powf(1.0 / shape), shape + 1.0),
        false => (1.0, shape),
    };
    let d = shape - 1.0 / 3.0;
    let c = (9.0 * d).sqrt().recip();
    for draw in (1..).step_by(3) {
        let x = normal(key, draw);
        let v = (1.0 + c * x).powi(3);
        // 95 % of the first draws are taken.
        if v > 0.0 && (1.0 - uniform(key, draw + 2)).ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
            return boost * d * v;
        }
    }
    boost * d
}

/// A permutation of 0..n (Fisher-Yates).
pub fn permutation(key: u64, n: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, below(key, i as u64, i as u64 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results already published depend on these numbers.
    #[test]
    fn numbers_never_change() {
        assert_eq!(word(0, 0), 0xe220_a839_7b1d_cdaf, "SplitMix64's published first output for seed 0");
        assert_eq!(key(1, "shuffle", &[2, 3]), 16_630_989_889_961_166_794);
        assert_eq!(permutation(key(0, "shuffle", &[0]), 8), [0, 6, 7, 5, 4, 2, 1, 3]);
    }

    #[test]
    fn every_part_of_a_key_counts() {
        let keys = [
            key(0, "a", &[]),
            key(1, "a", &[]),
            key(0, "b", &[]),
            key(0, "a", &[0]),
            key(0, "a", &[0, 0]),
            key(0, "a", &[0, 1]),
            key(0, "a", &[1, 0]),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn uniform_and_below_are_even() {
        let k = key(7, "test", &[]);
        let mean = (0..10_000).map(|i| uniform(k, i)).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        let mut counts = [0; 9];
        (0..9_000).for_each(|i| counts[below(k, i, 9) as usize] += 1);
        assert!(counts.iter().all(|c| (880..1120).contains(c)), "{counts:?}");
        assert_eq!(below(k, 0, 0), 0);
    }

    /// Beta(a, a) has the mean 1/2 and the variance 1 / (8a + 4).
    #[test]
    fn normal_and_beta_have_their_moments() {
        let moments = |draw: &dyn Fn(u64) -> f64| {
            let mean = (0..20_000).map(draw).sum::<f64>() / 20_000.0;
            (mean, (0..20_000).map(|i| (draw(i) - mean).powi(2)).sum::<f64>() / 20_000.0)
        };
        let (mean, variance) = moments(&|i| normal(9, 2 * i));
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
        for alpha in [0.1, 0.2, 1.0, 4.0] {
            let (mean, variance) = moments(&|i| beta(key(5, "test", &[i]), alpha));
            assert!((mean - 0.5).abs() < 0.01, "{alpha}: {mean}");
            assert!((variance * (8.0 * alpha + 4.0) - 1.0).abs() < 0.03, "{alpha}: {variance}");
        }
    }

    #[test]
    fn a_permutation_has_each_number_once() {
        let mut order = permutation(key(3, "shuffle", &[1]), 1000);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
        assert!(permutation(1, 0).is_empty());
    }
}
