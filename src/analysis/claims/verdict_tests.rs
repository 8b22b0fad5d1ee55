//! Verdicts on made numbers. The reference values are SciPy's `ttest_1samp`, `t.interval` and `pearsonr`, and statsmodels'
//! `multipletests`.

use super::verdict::*;
use crate::analysis::Spread;

const ABOVE: [f64; 2] = [0.0, f64::INFINITY];

fn mean(values: &[f64]) -> Estimate {
    Spread::of(values).map_or(Estimate::Missing, Estimate::Mean)
}

fn verdict(values: &[f64], region: [f64; 2]) -> Verdict {
    judge(&[(mean(values), region)])[0].verdict
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-7, "{a} is not {b}");
}

#[test]
fn student_agrees_with_scipy() {
    let three = mean(&[0.9, 1.4, 1.1]);
    let [low, high] = three.interval().unwrap();
    close(low, 0.508_172_385_395_755_9);
    close(high, 1.758_494_281_270_911);
    close(judge(&[(three, ABOVE)])[0].p.unwrap(), 0.008_020_781_852_752_215);
    close(judge(&[(three, [0.5, f64::INFINITY])])[0].p.unwrap(), 0.024_405_134_394_329_06);
    // TOST: the larger of the two.
    let five = mean(&[0.1, -0.2, 0.15, 0.05, -0.05]);
    close(judge(&[(five, [-0.3, 0.3])])[0].p.unwrap(), 0.004_745_800_894_700_305);
}

#[test]
fn a_correlation_has_fisher_s_interval() {
    let pairs = [[1.0, 1.2], [2.0, 1.9], [3.0, 3.5], [4.0, 3.8], [5.0, 5.4], [6.0, 5.7]];
    let estimate = Estimate::correlation(&pairs);
    close(estimate.effect().unwrap(), 0.984_370_230_966_953_9);
    let [low, high] = estimate.interval().unwrap();
    close(low, 0.859_219_228_869_665_6);
    close(high, 0.998_362_726_255_528_7);
    let finding = judge(&[(estimate, [0.9, f64::INFINITY])])[0];
    close(finding.p.unwrap(), 0.049_988_642_999_531_42);
    assert_eq!(finding.verdict, Verdict::Undecided);
    assert_eq!(Estimate::correlation(&[[1.0, 2.0], [1.0, 3.0], [1.0, 4.0]]), Estimate::Missing, "a constant column");
}

#[test]
fn the_interval_decides() {
    assert_eq!(verdict(&[0.9, 1.4, 1.1], ABOVE), Verdict::Supported);
    assert_eq!(verdict(&[-0.9, -1.4, -1.1], ABOVE), Verdict::Contradicted);
    assert_eq!(verdict(&[0.9, -1.4, 1.1], ABOVE), Verdict::Undecided);
    // The effect is certain, and smaller than what was claimed.
    assert_eq!(verdict(&[0.11, 0.1, 0.12], [0.5, f64::INFINITY]), Verdict::Contradicted);
    // Equivalence within 0.3: near, too uncertain, and surely different.
    assert_eq!(verdict(&[0.1, -0.1, 0.05, 0.0, -0.05], [-0.3, 0.3]), Verdict::Supported);
    assert_eq!(verdict(&[0.4, -0.4, 0.1], [-0.3, 0.3]), Verdict::Undecided);
    assert_eq!(verdict(&[0.9, 1.0, 1.1], [-0.3, 0.3]), Verdict::Contradicted);
}

#[test]
fn ties_and_single_seeds_do_not_decide() {
    assert_eq!(verdict(&[], ABOVE), Verdict::NotRun);
    assert_eq!(verdict(&[5.0], ABOVE), Verdict::Undecided);
    assert_eq!(mean(&[5.0]).interval(), None);
    assert_eq!(verdict(&[0.0, 0.0, 0.0], ABOVE), Verdict::Undecided);
    assert_eq!(verdict(&[0.0, 0.0, 0.0], [-0.1, 0.1]), Verdict::Supported);
    assert_eq!(verdict(&[f64::NAN, 1.0, 2.0], ABOVE), Verdict::Undecided, "NaN never decides");
}

#[test]
fn counts_are_exact_and_need_no_seeds() {
    let exact = |effect: f64, region| judge(&[(Estimate::Exact(effect), region)])[0].verdict;
    assert_eq!(exact(-70.0, [f64::NEG_INFINITY, -66.0]), Verdict::Supported);
    assert_eq!(exact(-50.0, [f64::NEG_INFINITY, -66.0]), Verdict::Contradicted);
    assert_eq!(exact(0.0, ABOVE), Verdict::Undecided, "a tie");
    assert_eq!(Estimate::Exact(1.0).interval(), None);
}

/// statsmodels: [0.01, 0.04, 0.03, 0.005] becomes [0.03, 0.06, 0.06, 0.02].
#[test]
fn several_tests_are_corrected_together() {
    // p = 0.0204 alone; twice that does not decide.
    let weak = mean(&[0.7, 0.9, 1.4]);
    assert_eq!(judge(&[(weak, ABOVE)])[0].verdict, Verdict::Supported);
    let both = judge(&[(weak, ABOVE), (Estimate::Missing, ABOVE)]);
    assert_eq!(both.iter().map(|finding| finding.verdict).collect::<Vec<_>>(), [Verdict::Undecided, Verdict::NotRun]);
    // An exact test is no further chance to be wrong.
    assert_eq!(judge(&[(weak, ABOVE), (Estimate::Exact(1.0), ABOVE)])[0].verdict, Verdict::Supported);
    assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]);
    assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
}

#[test]
fn all_tests_of_a_claim_must_hold() {
    let of = |verdicts: &[Verdict]| {
        let finding = |&verdict: &Verdict| Finding { estimate: Estimate::Missing, p: None, verdict };
        overall(&verdicts.iter().map(finding).collect::<Vec<_>>())
    };
    use Verdict::{Contradicted, NotRun, Supported, Undecided};
    assert_eq!(of(&[Supported, Supported]), Supported);
    assert_eq!(of(&[Supported, Undecided]), Undecided);
    assert_eq!(of(&[Undecided, NotRun]), NotRun);
    assert_eq!(of(&[NotRun, Contradicted, Supported]), Contradicted);
    assert_eq!(of(&[]), NotRun);
}
