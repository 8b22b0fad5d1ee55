//! Loss scaling for fp16, with the rule and the defaults of `torch.amp.GradScaler`: losses are multiplied by a scale, so that
//! small gradients do not become 0 in fp16, and gradients divided by it. **Never run on a GPU yet.**

use serde::{Deserialize, Serialize};

const GROWTH: f32 = 2.0;
const BACKOFF: f32 = 0.5;
/// Steps in a row without an overflow after which the scale grows.
const INTERVAL: u32 = 2000;
/// Below this scale gradients overflow because the run diverges, not because of fp16.
const LOWEST: f32 = 1.0 / 16_777_216.0;

/// The scale of the losses, part of a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradScaler {
    scale: f32,
    /// Steps since the scale changed.
    growth_tracker: u32,
    /// Steps that were skipped; the optimizer does not count them.
    skipped: u64,
}

impl Default for GradScaler {
    fn default() -> GradScaler {
        GradScaler { scale: 65_536.0, growth_tracker: 0, skipped: 0 }
    }
}

impl GradScaler {
    pub fn scale(&self) -> f64 {
        f64::from(self.scale)
    }

    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Adapts the scale after a step, which is skipped where a gradient is not finite.
    pub(super) fn update(&mut self, finite: bool) {
        if !finite {
            self.scale *= BACKOFF;
            self.growth_tracker = 0;
            self.skipped += 1;
            return;
        }
        self.growth_tracker += 1;
        if self.growth_tracker == INTERVAL {
            let grown = self.scale * GROWTH;
            self.scale = if grown.is_finite() { grown } else { self.scale };
            self.growth_tracker = 0;
        }
    }

    /// Whether lowering the scale did not help.
    pub(super) fn is_exhausted(&self) -> bool {
        self.scale < LOWEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The scales of `torch.amp.GradScaler()` of PyTorch 2.13 over the same steps.
    #[test]
    fn the_scale_follows_pytorchs_rule() {
        let mut scaler = GradScaler::default();
        let mut after = |steps: usize, finite: bool| {
            (0..steps).for_each(|_| scaler.update(finite));
            (scaler.scale(), scaler.growth_tracker)
        };
        assert_eq!(after(1999, true), (65_536.0, 1999));
        assert_eq!(after(1, true), (131_072.0, 0));
        assert_eq!(after(5, true), (131_072.0, 5));
        assert_eq!(after(3, false), (16_384.0, 0));
        assert_eq!(after(2000, true), (32_768.0, 0));
        assert_eq!(scaler.skipped(), 3);
        assert!(!scaler.is_exhausted());
        (0..40).for_each(|_| scaler.update(false));
        assert!(scaler.is_exhausted());
        scaler.scale = f32::MAX;
        (0..2000).for_each(|_| scaler.update(true));
        assert_eq!((scaler.scale, scaler.growth_tracker), (f32::MAX, 0));
    }
}
