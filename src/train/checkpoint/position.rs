//! Where a run stands: all of a checkpoint that is not a tensor.

use super::step::StepFolder;
use crate::config::Key;
use crate::train::metrics::Sums;
use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Key of the experiment; short, or empty, in checkpoints of earlier versions.
    #[serde(default, skip_serializing_if = "Key::is_empty")]
    pub key: Key,
    /// Whole epochs done.
    pub epoch: usize,
    /// Batches done of the epoch that runs.
    pub batch: usize,
    /// Steps done since the start.
    pub step: u64,
    /// Sums over the batches of the epoch that runs.
    pub sums: Sums,
    pub best: Option<Best>,
    /// Seconds that the run took so far, sessions before this one included.
    pub seconds: f64,
}

impl Position {
    /// The folder of the checkpoint that is made here.
    pub fn folder(&self) -> StepFolder {
        StepFolder::new(self.step, self.epoch)
    }
}

/// The best epoch so far on the validation images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// The checkpoint of that epoch. It stands here, and not in the link `best` alone, because two links do not move at once.
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

    pub fn serialize<S: Serializer>(value: &f64, s: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() { s.serialize_f64(*value) } else { s.serialize_str(&value.to_string()) }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        match Written::deserialize(d)? {
            Written::Number(value) => Ok(value),
            Written::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(position: &Position) -> Position {
        serde_json::from_str(&serde_json::to_string_pretty(position).unwrap()).unwrap()
    }

    /// serde_json's quick way of reading numbers is off by one bit now and then, and a resumed run would take another
    /// epoch for its best.
    #[test]
    fn a_position_is_read_back_to_the_bit() {
        for index in 0..20_000 {
            let number = crate::random::uniform(7, index) * 2000.0;
            let folder = StepFolder::new(index, 1);
            let best = Best { folder, epoch: 1, loss: number, top1: number / 3000.0, top5: number / 2000.0 };
            let sums = Sums { loss: number * 128.0, top1: 5, top5: 9, count: 128 };
            let position = Position { best: Some(best), sums, seconds: number / 7.0, ..Position::default() };
            assert_eq!(back(&position), position);
        }
    }

    #[test]
    fn a_validation_loss_that_is_not_finite_is_read_back() {
        for loss in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let best = Best { folder: StepFolder::new(4, 1), epoch: 1, loss, top1: 0.1, top5: 0.5 };
            let position = back(&Position { best: Some(best), ..Position::default() });
            assert_eq!(position.best.unwrap().loss.to_bits(), loss.to_bits());
        }
    }
}
