//! Colour ramps: from a value to a colour.

/// How values become colours, from the lowest to the highest.
#[derive(Clone, Copy, Debug)]
pub enum Ramp {
    Linear([f64; 2]),
    /// Both above 0.
    Log([f64; 2]),
}

impl Ramp {
    /// The place of a value, 0 to 1.
    pub(super) fn place(self, value: f64) -> f64 {
        let part = match self {
            Ramp::Linear([low, high]) => (value - low) / (high - low),
            Ramp::Log([low, high]) => (value / low).ln() / (high / low).ln(),
        };
        if part.is_nan() { 1.0 } else { part.clamp(0.0, 1.0) }
    }

    pub(super) fn value(self, part: f64) -> f64 {
        match self {
            Ramp::Linear([low, high]) => low + part * (high - low),
            Ramp::Log([low, high]) => low * (high / low).powf(part),
        }
    }
}

/// Six colours of viridis (van der Walt and Smith), dark to light: even steps of lightness, also for colour-blind readers.
const COLOURS: [[f64; 3]; 6] = [
    [68.0, 1.0, 84.0],
    [65.0, 68.0, 135.0],
    [42.0, 120.0, 142.0],
    [34.0, 168.0, 132.0],
    [122.0, 209.0, 81.0],
    [253.0, 231.0, 37.0],
];

/// The colour at a place of the ramp, 0 to 1.
pub fn viridis(part: f64) -> [u8; 3] {
    let at = part * (COLOURS.len() - 1) as f64;
    let from = (at as usize).min(COLOURS.len() - 2);
    let mix = |channel: usize| {
        let [low, high] = [COLOURS[from][channel], COLOURS[from + 1][channel]];
        (low + (high - low) * (at - from as f64)).round() as u8
    };
    [mix(0), mix(1), mix(2)]
}

pub(super) fn colour(part: f64) -> String {
    let [r, g, b] = viridis(part);
    format!("#{r:02x}{g:02x}{b:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ramps_go_from_dark_to_light() {
        assert_eq!((colour(0.0), colour(1.0)), ("#440154".to_owned(), "#fde725".to_owned()));
        assert!((Ramp::Log([1.0, 100.0]).place(10.0) - 0.5).abs() < 1e-12);
        assert_eq!(Ramp::Log([1.0, 100.0]).place(f64::INFINITY), 1.0);
    }
}
