//! Options of commands that evaluate a trained network in another precision, or without fused kernels.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use strata::config::{Precision, Train};

/// `fp32` or `bf16` on the command line.
pub(super) fn precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(["fp32", "bf16"]).map(|name| match name.as_str() {
        "bf16" => Precision::Bf16,
        _ => Precision::Fp32,
    })
}

/// Options that change how a network computes, but not its weights.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(super) struct PrecisionArgs {
    /// Evaluate in this precision instead of the run's
    #[arg(long, value_parser = precision())]
    precision: Option<Precision>,
    /// Use libtorch's operations instead of fused kernels, as train.rewrites = false does
    #[arg(long)]
    no_rewrites: bool,
}

impl PrecisionArgs {
    pub(super) fn apply(self, train: &mut Train) {
        train.precision = self.precision.unwrap_or(train.precision);
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
        let with = |arguments: PrecisionArgs| {
            let mut train = train.clone();
            arguments.apply(&mut train);
            (train.precision, train.rewrites)
        };
        assert_eq!(with(PrecisionArgs::default()), (Precision::Bf16, true));
        let plain = PrecisionArgs { precision: Some(Precision::Fp32), no_rewrites: true };
        assert_eq!(with(plain), (Precision::Fp32, false));
    }
}
