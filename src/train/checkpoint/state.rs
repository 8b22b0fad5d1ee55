//! The progress of a run: the part of a checkpoint that is not tensors.

use super::step::StepFolder;
use crate::config::Key;
use crate::train::metrics::Sums;
use crate::train::scaler::GradScaler;
use serde::{Deserialize, Serialize};

/// How far a run has come. With the tensors beside it, and because every random draw is a function of seed, epoch and step, it
/// is all that a resume needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainState {
    /// Key of the experiment; short, or empty, in checkpoints of earlier versions.
    #[serde(default, skip_serializing_if = "Key::is_empty")]
    pub key: Key,
    /// Epochs trained, validated and written to `epochs.csv`.
    pub epoch: usize,
    /// Batches done of the current epoch.
    pub batch: usize,
    /// Training steps done since the start of the run.
    pub step: u64,
    /// Loss and hits summed over the batches done of the current epoch.
    pub sums: Sums,
    pub best: Option<Best>,
    /// Only in fp16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaler: Option<GradScaler>,
    /// Seconds that the run has taken, earlier processes included.
    pub seconds: f64,
}

impl TrainState {
    /// The folder of a checkpoint that is saved in this state.
    pub fn folder(&self) -> StepFolder {
        StepFolder::new(self.step, self.epoch)
    }

    /// Steps of the optimizer, those that fp16 skipped left out.
    pub(in crate::train) fn updates(&self) -> u64 {
        self.step - self.scaler.as_ref().map_or(0, GradScaler::skipped).min(self.step)
    }
}

/// The best epoch so far on the validation images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// The checkpoint of that epoch. The link `best` alone would not do: two links cannot be moved in one atomic step, and this
    /// field changes together with `last`.
    pub folder: StepFolder,
    /// Counted from 1.
    pub epoch: usize,
    #[serde(with = "any_float")]
    pub loss: f64,
    pub top1: f64,
    pub top5: f64,
}

/// JSON has no NaN and no infinity; a validation loss can be either.
mod any_float {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(value: &f64, s: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() { s.serialize_f64(*value) } else { s.serialize_str(&value.to_string()) }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        match Written::deserialize(d)? {
            Written::Number(value) => Ok(value),
            Written::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(state: &TrainState) -> TrainState {
        serde_json::from_str(&serde_json::to_string_pretty(state).unwrap()).unwrap()
    }

    /// serde_json's fast float parsing can be off by one bit, and a resumed run would choose another best epoch.
    #[test]
    fn a_state_is_read_back_to_the_bit() {
        for index in 0..20_000 {
            let number = crate::random::uniform(7, index) * 2000.0;
            let folder = StepFolder::new(index, 1);
            let best = Best { folder, epoch: 1, loss: number, top1: number / 3000.0, top5: number / 2000.0 };
            let sums = Sums { loss: number * 128.0, top1: 5, top5: 9, count: 128 };
            let state = TrainState { best: Some(best), sums, seconds: number / 7.0, ..TrainState::default() };
            assert_eq!(back(&state), state);
        }
    }

    #[test]
    fn a_validation_loss_that_is_not_finite_is_read_back() {
        for loss in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let best = Best { folder: StepFolder::new(4, 1), epoch: 1, loss, top1: 0.1, top5: 0.5 };
            let state = back(&TrainState { best: Some(best), ..TrainState::default() });
            assert_eq!(state.best.unwrap().loss.to_bits(), loss.to_bits());
        }
    }
}
