//! The median, of settings over seeds and of timings over rounds.

/// The median of values; the mean of the middle two of an even number, and NaN of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

#[cfg(test)]
#[test]
fn medians_of_odd_and_even_counts() {
    assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0])), (2.0, 2.5));
    assert!(median(&[]).is_nan());
    assert_eq!(median(&[f64::NEG_INFINITY, 0.5, 0.4]), 0.4);
}
