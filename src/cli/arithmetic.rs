//! How a trained network is carried out again, where that differs from its training.

use clap::{Args, ValueEnum};
use strata::config::{Precision, Train};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrecisionName {
    Fp32,
    Bf16,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Precision {
        match name {
            PrecisionName::Fp32 => Precision::Fp32,
            PrecisionName::Bf16 => Precision::Bf16,
        }
    }
}

/// The same weights in another arithmetic: what it costs or changes.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Arithmetic {
    /// Evaluate in this precision instead of the run's
    #[arg(long, value_enum)]
    precision: Option<PrecisionName>,
    /// Carry out every layer by libtorch's own operation, as train.rewrites = false does
    #[arg(long)]
    no_rewrites: bool,
}

impl Arithmetic {
    pub fn apply(self, train: &mut Train) {
        train.precision = self.precision.map_or(train.precision, Precision::from);
        train.rewrites &= !self.no_rewrites;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata::config::{Experiment, Machine};

    #[test]
    fn what_is_not_asked_for_stays() {
        let text = "[data]\ndataset = 'synthetic'\nvalidation = 100\n[model]\nrows = [{ op = 'classifier' }]\n[train]\nepochs = 1\n\
                    precision = 'bf16'";
        let train = Experiment::parse("x", text, "x", &[], Machine::default()).unwrap().train;
        let with = |arithmetic: Arithmetic| {
            let mut train = train.clone();
            arithmetic.apply(&mut train);
            (train.precision, train.rewrites)
        };
        assert_eq!(with(Arithmetic::default()), (Precision::Bf16, true));
        let plain = Arithmetic { precision: Some(PrecisionName::Fp32), no_rewrites: true };
        assert_eq!(with(plain), (Precision::Fp32, false));
    }
}
