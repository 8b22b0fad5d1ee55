//! Verdicts: whether an effect lies where a claim says, from its interval. Nothing here reads a file.

use crate::analysis::Spread;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use std::fmt;

/// Level of a one-sided test. Two of them make the 95 % interval, so that a single test holds where the interval lies in the
/// region, for equivalence, too.
const LEVEL: f64 = 0.025;

/// What the runs say of a claim, or of one test of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Supported,
    /// The interval has effects that fit the claim and others that do not.
    Undecided,
    Contradicted,
    NotRun,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Supported => "supported",
            Verdict::Undecided => "not supported at this budget",
            Verdict::Contradicted => "contradicted",
            Verdict::NotRun => "not run",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Estimate {
    Missing,
    /// A count that does not depend on a seed, such as multiply-adds.
    Exact(f64),
    /// Differences, ratios or values at equal seeds.
    Mean(Spread),
    /// Pearson's correlation of `n` pairs.
    Correlation {
        r: f64,
        n: usize,
    },
}

impl Estimate {
    /// Pearson's correlation; missing where a column is constant or has fewer than three pairs.
    pub fn correlation(pairs: &[[f64; 2]]) -> Estimate {
        let n = pairs.len();
        let mean = |index: usize| pairs.iter().map(|pair| pair[index]).sum::<f64>() / n as f64;
        let means = [mean(0), mean(1)];
        let sum =
            |a: usize, b: usize| pairs.iter().map(|pair| (pair[a] - means[a]) * (pair[b] - means[b])).sum::<f64>();
        let r = sum(0, 1) / (sum(0, 0) * sum(1, 1)).sqrt();
        if n < 3 || !r.is_finite() { Estimate::Missing } else { Estimate::Correlation { r, n } }
    }

    /// The number of seeds or pairs.
    pub fn n(self) -> usize {
        match self {
            Estimate::Missing => 0,
            Estimate::Exact(_) => 1,
            Estimate::Mean(spread) => spread.n,
            Estimate::Correlation { n, .. } => n,
        }
    }

    pub fn effect(self) -> Option<f64> {
        match self {
            Estimate::Missing => None,
            Estimate::Exact(effect) => Some(effect),
            Estimate::Mean(spread) => Some(spread.mean),
            Estimate::Correlation { r, .. } => Some(r),
        }
    }

    /// The 95 % interval: Student's for a mean, Fisher's for a correlation; `None` for a single seed.
    pub fn interval(self) -> Option<[f64; 2]> {
        match self {
            Estimate::Mean(spread) if spread.n > 1 => Some(spread.interval()),
            Estimate::Correlation { r, n } if n > 3 => {
                let half = 1.959_963_984_540_054 / ((n - 3) as f64).sqrt();
                Some([(r.atanh() - half).tanh(), (r.atanh() + half).tanh()])
            }
            Estimate::Missing | Estimate::Exact(_) | Estimate::Mean(_) | Estimate::Correlation { .. } => None,
        }
    }

    /// The one-sided p-value of "the effect is greater than `bound`"; that of "less" is the rest to 1. `None` where a single
    /// value, or none, has no error to compare with.
    fn p_greater(self, bound: f64) -> Option<f64> {
        if bound.is_infinite() {
            return (self.n() > 0).then_some(if bound > 0.0 { 1.0 } else { 0.0 });
        }
        let certain = |distance: f64| if distance == 0.0 { 0.5 } else { f64::from(u8::from(distance < 0.0)) };
        match self {
            Estimate::Missing => None,
            Estimate::Exact(effect) => Some(certain(effect - bound)),
            Estimate::Mean(spread) if spread.n < 2 || !(spread.mean.is_finite() && spread.std.is_finite()) => None,
            Estimate::Mean(spread) if spread.std == 0.0 => Some(certain(spread.mean - bound)),
            Estimate::Mean(spread) => {
                let t = (spread.mean - bound) / (spread.std / (spread.n as f64).sqrt());
                Some(StudentsT::new(0.0, 1.0, (spread.n - 1) as f64).ok()?.sf(t))
            }
            Estimate::Correlation { n, .. } if n < 4 => None,
            Estimate::Correlation { r, n } => {
                let z = (r.atanh() - bound.clamp(-1.0, 1.0).atanh()) * ((n - 3) as f64).sqrt();
                Some(Normal::standard().sf(z))
            }
        }
    }

    /// The p-values of "the effect lies in the region", two one-sided tests (TOST) for a bounded one, and of "it lies outside".
    fn p_values(self, [low, high]: [f64; 2]) -> Option<[f64; 2]> {
        let (above_low, above_high) = (self.p_greater(low)?, self.p_greater(high)?);
        Some([above_low.max(1.0 - above_high), (1.0 - above_low).min(above_high)])
    }
}

/// A test of a claim, judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    pub estimate: Estimate,
    /// The p-value of the effect lying where the claim says, adjusted for the number of tests.
    pub p: Option<f64>,
    pub verdict: Verdict,
}

/// Judges the tests of a claim together: estimates, each with the region in which it should lie. P-values are corrected by Holm's
/// method for the number of tests, those not run included and exact ones not.
pub(super) fn judge(tests: &[(Estimate, [f64; 2])]) -> Vec<Finding> {
    let is_exact = |estimate: Estimate| matches!(estimate, Estimate::Exact(_));
    let adjusted = |side: usize| {
        let raw: Vec<Option<f64>> = tests.iter().map(|(e, region)| e.p_values(*region).map(|p| p[side])).collect();
        let sampled: Vec<usize> = (0..tests.len()).filter(|&index| !is_exact(tests[index].0)).collect();
        let corrected = holm(&sampled.iter().map(|&index| raw[index].unwrap_or(1.0)).collect::<Vec<_>>());
        let mut all = raw.clone();
        sampled.iter().zip(corrected).for_each(|(&index, p)| all[index] = raw[index].map(|_| p));
        all
    };
    let (inside, outside) = (adjusted(0), adjusted(1));
    let verdict = |index: usize| match (inside[index], outside[index]) {
        _ if tests[index].0 == Estimate::Missing => Verdict::NotRun,
        (Some(p), _) if p <= LEVEL => Verdict::Supported,
        (_, Some(p)) if p <= LEVEL => Verdict::Contradicted,
        _ => Verdict::Undecided,
    };
    let finding = |index: usize| Finding { estimate: tests[index].0, p: inside[index], verdict: verdict(index) };
    (0..tests.len()).map(finding).collect()
}

/// The verdict of a claim, all tests of which must hold: one contradiction contradicts it.
pub(super) fn overall(findings: &[Finding]) -> Verdict {
    [Verdict::Contradicted, Verdict::NotRun, Verdict::Undecided]
        .into_iter()
        .find(|&verdict| findings.iter().any(|finding| finding.verdict == verdict))
        .unwrap_or(if findings.is_empty() { Verdict::NotRun } else { Verdict::Supported })
}

/// P-values adjusted by Holm's method (1979): the smallest times their number, the next times one less, never decreasing.
pub(super) fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let (mut adjusted, mut largest) = (vec![1.0; p.len()], 0.0f64);
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max(p[index] * (p.len() - rank) as f64).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}
