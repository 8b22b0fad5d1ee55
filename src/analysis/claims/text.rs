//! The words and numbers of judged claims, for the terminal, the README and the report.

use super::{Estimate, Finding, Judged, Verdict};
use crate::config::{ClaimTest, Relation};

impl Judged {
    /// `+1.23 points`, `8.91 %`, `0.94`; empty where nothing was measured.
    pub fn effect(test: &ClaimTest, estimate: Estimate) -> String {
        let unit = match Judged::unit(test) {
            "" | "correlation" => String::new(),
            unit => format!(" {unit}"),
        };
        estimate.effect().map_or_else(String::new, |effect| format!("{}{unit}", number(test, effect)))
    }

    /// `0.51 to 1.76`; empty for counts and single seeds.
    pub fn interval(test: &ClaimTest, estimate: Estimate) -> String {
        let ends = estimate.interval().map(|ends| ends.map(|end| number(test, end)));
        ends.map_or_else(String::new, |[low, high]| format!("{low} to {high}"))
    }

    /// The decision rule of a test in words: "above +0.5", "within 1.5 of 0".
    pub fn rule(test: &ClaimTest) -> String {
        let [low, high] = test.region().map(|bound| number(test, bound));
        match test.is {
            Relation::Greater | Relation::AtLeast => format!("above {low}"),
            Relation::Less | Relation::AtMost => format!("below {high}"),
            Relation::Equal => format!("{low} to {high}"),
        }
    }

    /// The number of seeds or pairs; of exact counts `exact`.
    pub fn seeds(estimate: Estimate) -> String {
        match estimate {
            Estimate::Exact(_) => "exact".to_owned(),
            estimate => estimate.n().to_string(),
        }
    }

    /// The p-value after Holm's correction; empty for counts, which have no error.
    pub fn p_value(finding: &Finding) -> String {
        match finding.p {
            Some(_) if matches!(finding.estimate, Estimate::Exact(_)) => String::new(),
            Some(p) if p < 0.0001 => "< 0.0001".to_owned(),
            Some(p) => format!("{p:.4}"),
            None => String::new(),
        }
    }

    /// `24 of 24 runs, 1 diverged`; empty for a claim that trains nothing.
    pub fn runs(&self) -> String {
        let diverged = match self.diverged.len() {
            0 => String::new(),
            count => format!(", {count} diverged"),
        };
        if self.points == 0 { String::new() } else { format!("{} of {}{diverged}", self.ended, self.points) }
    }

    /// Whether the card says what would decide the claim.
    pub fn is_open(&self) -> bool {
        matches!(self.verdict, Verdict::Undecided | Verdict::NotRun)
    }

    /// The command that runs what is missing and shows the card.
    pub fn command(&self) -> String {
        format!("strata claims {} --run", self.file.name)
    }
}

/// Signed where it is a difference or a change; a correlation and a measure itself are not.
fn number(test: &ClaimTest, value: f64) -> String {
    let digits = if value.abs() < 1.0 && test.with.is_some() { 3 } else { 2 };
    let text = match test.baseline() {
        Some(_) if value != 0.0 => format!("{value:+.digits$}"),
        _ => format!("{value:.digits$}"),
    };
    match text.trim_start_matches(['+', '-', '0', '.']) {
        "" => "0".to_owned(),
        _ => text.replace('-', "−"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_sign_where_they_are_differences() {
        let test = |text: &str| -> ClaimTest { toml::from_str(&format!("says = 's'\n{text}")).unwrap() };
        let difference = test("measure = 'test_error'\nagainst = { a = 1 }\nis = 'at_most'\nmargin = 1.5");
        assert_eq!(Judged::effect(&difference, Estimate::Exact(-0.25)), "−0.25 points");
        assert_eq!(Judged::effect(&difference, Estimate::Exact(0.001)), "0 points");
        assert_eq!(
            (Judged::rule(&difference), Judged::seeds(Estimate::Exact(1.0))),
            ("below +1.50".to_owned(), "exact".to_owned())
        );
        let value = test("measure = 'test_error'\nis = 'equal'\nvalue = 8.75\nmargin = 0.5");
        assert_eq!(
            (Judged::effect(&value, Estimate::Exact(9.0)), Judged::rule(&value)),
            ("9.00 %".to_owned(), "8.25 to 9.25".to_owned())
        );
        let correlation = test("measure = 'ms'\nwith = 'ops'\nis = 'greater'\nvalue = 0.8");
        let estimate = Estimate::Correlation { r: 0.9, n: 17 };
        assert_eq!(Judged::effect(&correlation, estimate), "0.900");
        assert_eq!(Judged::interval(&correlation, estimate), "0.739 to 0.964");
        assert_eq!(Judged::interval(&value, Estimate::Missing), "");
    }
}
