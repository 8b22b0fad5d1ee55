//! Mean, standard deviation and confidence interval over seeds.

use crate::runs::{Column, Records};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Mean and spread of a few values, such as the accuracies of one experiment under several seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub n: usize,
    pub mean: f64,
    /// Sample standard deviation (divisor n - 1); NaN for a single value, which has none.
    pub std: f64,
    pub lowest: f64,
    pub highest: f64,
}

impl Spread {
    /// `None` without values.
    pub fn of(values: &[f64]) -> Option<Spread> {
        if values.is_empty() {
            return None;
        }
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let std = if n > 1 { (squares / (n - 1) as f64).sqrt() } else { f64::NAN };
        let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Spread { n, mean, std, lowest, highest })
    }

    /// The finished runs of a group, in a column.
    pub fn of_column(records: &Records, column: Column, rows: &[usize]) -> Option<Spread> {
        let done: Vec<usize> = rows.iter().copied().filter(|&row| records.is_done(row)).collect();
        Spread::of(&records.numbers(records.column(column.name())?, &done))
    }

    /// `90.10 ± 0.20`, mean and standard deviation multiplied by `scale`; without a deviation for a single value.
    pub fn plus_minus(&self, scale: f64, digits: usize) -> String {
        let [mean, std] = [self.mean, self.std].map(|value| scale * value);
        if self.n > 1 { format!("{mean:.digits$} ± {std:.digits$}") } else { format!("{mean:.digits$}") }
    }

    /// Half the width of the 95 % confidence interval of the mean: Student's t for n - 1 degrees of freedom times the
    /// standard error. NaN for a single value.
    pub fn half_width(&self) -> f64 {
        if self.n < 2 {
            return f64::NAN;
        }
        let t = StudentsT::new(0.0, 1.0, (self.n - 1) as f64).map_or(f64::NAN, |t| t.inverse_cdf(0.975));
        t * self.std / (self.n as f64).sqrt()
    }

    /// The 95 % confidence interval of the mean.
    pub fn interval(&self) -> [f64; 2] {
        [self.mean - self.half_width(), self.mean + self.half_width()]
    }

    /// Whether the interval excludes zero, that is, whether a mean of differences is more than noise.
    pub(super) fn excludes_zero(&self) -> bool {
        let [low, high] = self.interval();
        low > 0.0 || high < 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three values computed by hand, with the tabulated t(0.975, 2) = 4.302653.
    #[test]
    fn student_s_interval() {
        let spread = Spread::of(&[0.90, 0.92, 0.94]).unwrap();
        assert!((spread.mean - 0.92).abs() < 1e-12 && (spread.std - 0.02).abs() < 1e-12);
        assert!((spread.half_width() - 4.302_653 * 0.02 / 3f64.sqrt()).abs() < 1e-6);
        assert!(spread.excludes_zero());
        assert_eq!((spread.lowest, spread.highest), (0.90, 0.94));
        assert_eq!(spread.plus_minus(100.0, 2), "92.00 ± 2.00");
        assert!(!Spread::of(&[-0.01, 0.02, 0.01]).unwrap().excludes_zero());
    }

    #[test]
    fn a_single_value_has_no_interval() {
        assert_eq!(Spread::of(&[]), None);
        let one = Spread::of(&[0.5]).unwrap();
        assert!(one.mean == 0.5 && one.std.is_nan() && one.half_width().is_nan() && !one.excludes_zero());
        assert_eq!(one.plus_minus(100.0, 1), "50.0");
    }
}
