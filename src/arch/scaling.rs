//! Scaling is a function on rows: depth multiplies repeats, width multiplies channels, resolution multiplies the input.

use super::Plan;
use super::multipliers::Multipliers;
use super::rows::Row;
use serde::{Deserialize, Serialize};

/// The `[scaling]` table. Singly by `depth`, `width`, `resolution`, or by the compound rule of EfficientNet (equation 3):
/// depth = α^φ, width = β^φ, resolution = γ^φ. Where both are given they multiply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scaling {
    pub depth: f64,
    pub width: f64,
    pub resolution: f64,
    pub phi: f64,
    pub alpha: f64,
    pub beta: f64,
    pub gamma: f64,
    /// Channels become multiples of this; 1 rounds to whole channels.
    pub round: usize,
}

impl Default for Scaling {
    fn default() -> Scaling {
        let (alpha, beta, gamma) = (1.2, 1.1, 1.15);
        Scaling { depth: 1.0, width: 1.0, resolution: 1.0, phi: 0.0, alpha, beta, gamma, round: 8 }
    }
}

/// A `[scaling]` table that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScalingError {
    /// The key that should be changed, where it is a single one.
    pub key: Option<&'static str>,
    message: String,
}

impl Scaling {
    pub fn is_identity(&self) -> bool {
        self.total() == (1.0, 1.0, 1.0)
    }

    /// Depth, width and resolution multipliers, the compound rule included.
    pub fn total(&self) -> (f64, f64, f64) {
        (
            self.depth * self.alpha.powf(self.phi),
            self.width * self.beta.powf(self.phi),
            self.resolution * self.gamma.powf(self.phi),
        )
    }

    /// Scales the rows and the input of a plan.
    ///
    /// # Errors
    /// When a multiplier is not a number in 0.001 … 1000, or no row has a column that `depth` or `width` multiplies.
    pub fn apply(&self, plan: &mut Plan) -> Result<(), ScalingError> {
        let (depth, width, resolution) = self.total();
        for (what, value) in [("depth", depth), ("width", width), ("resolution", resolution)] {
            if !(0.001..=1000.0).contains(&value) {
                let message = format!("the {what} multiplier is {value}; it must be between 0.001 and 1000");
                return Err(ScalingError { key: None, message });
            }
        }
        self.check_effect(&plan.rows)?;
        let by = Multipliers { depth, width, round: self.round };
        plan.rows.iter_mut().for_each(|row| row.scale(&by));
        let [_, h, w] = &mut plan.input;
        for side in [h, w] {
            *side = ((*side as f64 * resolution).round() as usize).max(1);
        }
        Ok(())
    }

    /// A `depth` or `width` that is set must change some row. Multipliers of the compound rule need not, and the resolution
    /// always changes the input.
    fn check_effect(&self, rows: &[Row]) -> Result<(), ScalingError> {
        let changed_by = |depth: f64, width: f64| {
            let by = Multipliers { depth, width, round: 1 };
            rows.iter().any(|row| {
                let mut scaled = row.clone();
                scaled.scale(&by);
                scaled != *row
            })
        };
        let (key, nothing) = match (self.depth != 1.0, self.width != 1.0) {
            (true, _) if !changed_by(2.0, 1.0) => ("depth", "repeats"),
            (_, true) if !changed_by(1.0, 2.0) => ("width", "a width"),
            _ => return Ok(()),
        };
        let message = format!("no row of this network has {nothing} to scale, so `scaling.{key}` would change nothing");
        Err(ScalingError { key: Some(key), message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_round_as_in_the_released_code() {
        // EfficientNet-B4 (w = 1.4, d = 1.8): 32, 16, 24, 40, 80, 112, 192, 320, 1280
        let by = Multipliers { depth: 1.8, width: 1.4, round: 8 };
        let widths = [32, 16, 24, 40, 80, 112, 192, 320, 1280].map(|width| by.width(width));
        assert_eq!(widths, [48, 24, 32, 56, 112, 160, 272, 448, 1792]);
        assert_eq!([1, 2, 2, 3, 3, 4, 1].map(|repeat| by.repeat(repeat)), [2, 4, 4, 6, 6, 8, 2]);
        // MobileNet v2 at 0.35: the 90 % rule lifts 16 · 0.35 = 5.6 to 8 and 24 · 0.35 = 8.4 stays 8
        let thin = Multipliers { depth: 1.0, width: 0.35, round: 8 };
        assert_eq!([16, 24, 32, 96].map(|width| thin.width(width)), [8, 8, 16, 32]);
    }

    #[test]
    fn one_changes_nothing_even_where_widths_are_odd() {
        let by = Multipliers { depth: 1.0, width: 1.0, round: 8 };
        assert_eq!([1, 3, 10, 17].map(|width| by.width(width)), [1, 3, 10, 17]);
        assert_eq!([1, 3, 18].map(|repeat| by.repeat(repeat)), [1, 3, 18]);
    }

    #[test]
    fn the_compound_rule_is_that_of_the_paper() {
        let (depth, width, resolution) = Scaling { phi: 2.0, ..Scaling::default() }.total();
        assert!((depth - 1.44).abs() < 1e-12 && (width - 1.21).abs() < 1e-12 && (resolution - 1.3225).abs() < 1e-12);
    }
}
