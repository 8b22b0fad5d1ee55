//! Widths and repeats of rows under scaling.

/// What rows are multiplied by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Multipliers {
    pub depth: f64,
    pub width: f64,
    pub round: usize,
}

impl Multipliers {
    /// A width, scaled and rounded by the papers' rule: to the nearest multiple of `round`, but never below 90 % of the
    /// exact value. A multiplier of 1 leaves every width as it is.
    pub fn width(&self, width: usize) -> usize {
        if self.width == 1.0 {
            return width;
        }
        let exact = width as f64 * self.width;
        let step = self.round.max(1);
        let nearest = ((exact + step as f64 / 2.0) as usize / step * step).max(step);
        if (nearest as f64) < 0.9 * exact { nearest.saturating_add(step) } else { nearest }
    }

    /// A width that must stay divisible by a number of groups.
    pub(super) fn width_in_groups(&self, width: usize, groups: usize) -> usize {
        self.width(width).div_ceil(groups.max(1)) * groups.max(1)
    }

    /// A number of blocks, rounded up.
    pub fn repeat(&self, repeat: usize) -> usize {
        // The tolerance keeps 5 · 1.2 at 6: the product in floating point is a little above it.
        (repeat as f64 * self.depth - 1e-9).ceil().max(1.0) as usize
    }
}
