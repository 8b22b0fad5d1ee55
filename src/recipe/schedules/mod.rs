//! Schedules: the learning rate as a fraction of `train.lr`, after the warm-up.

mod constant;
mod cosine;
mod exponential;
mod one_cycle;
mod step;

pub use constant::Constant;
pub use cosine::Cosine;
pub use exponential::Exponential;
pub use one_cycle::OneCycle;
pub use step::StepDecay;

use crate::named::{KeyError, named};
use std::f64::consts::PI;

/// Where in a run a step is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Epochs since the start of the run, warm-up included, as a fraction.
    pub epoch: f64,
    /// Fraction of the run after the warm-up, 0 to 1.
    pub part: f64,
}

/// A schedule's keys and the curve that they describe.
pub trait LrSchedule {
    /// # Errors
    /// For a key that is out of range.
    fn check(&self) -> Result<(), KeyError>;

    /// The learning rate as a fraction of `train.lr`.
    fn factor(&self, at: Progress) -> f64;

    /// Whether the rate of a step depends on the number of epochs of the run, so that a longer run is another from the start.
    fn depends_on_length(&self) -> bool {
        false
    }
}

named! {
    /// A schedule with its own keys.
    #[serde(untagged)]
    ScheduleSpec: LrSchedule,
    /// The name of a schedule, as in `train.schedule`.
    ScheduleName {
        "constant" => Constant(Constant),
        "step" => Step(StepDecay),
        "cosine" => Cosine(Cosine),
        "one_cycle" => OneCycle(OneCycle),
        "exponential" => Exponential(Exponential),
    }
}

/// From `from` to `to` along half a cosine.
fn half_cosine(from: f64, to: f64, part: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (PI * part).cos())
}
