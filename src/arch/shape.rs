//! Shapes of activations, without the batch dimension.

use std::fmt;

/// The shape of one image's activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// `[channels, height, width]`
    Map { c: usize, h: usize, w: usize },
    /// `[features]`
    Vector { n: usize },
}

impl Shape {
    pub fn map([c, h, w]: [usize; 3]) -> Shape {
        Shape::Map { c, h, w }
    }

    /// Channels of a map, features of a vector.
    pub fn channels(self) -> usize {
        match self {
            Shape::Map { c, .. } => c,
            Shape::Vector { n } => n,
        }
    }

    /// Number of values.
    pub fn values(self) -> u64 {
        match self {
            Shape::Map { c, h, w } => (c as u64).saturating_mul((h * w) as u64),
            Shape::Vector { n } => n as u64,
        }
    }

    /// Height and width; a vector counts as one pixel.
    pub fn sides(self) -> (usize, usize) {
        match self {
            Shape::Map { h, w, .. } => (h, w),
            Shape::Vector { .. } => (1, 1),
        }
    }

    /// Channels, height and width of a map.
    ///
    /// # Errors
    /// For a vector; the message says that the `user`, an operation, needs a map.
    pub(super) fn map_for(self, user: &str) -> Result<(usize, usize, usize), ShapeError> {
        match self {
            Shape::Map { c, h, w } => Ok((c, h, w)),
            Shape::Vector { n } => Err(ShapeError::new(format!(
                "{user} needs a map of channels x height x width, but the rows before give a vector of {n} values"
            ))),
        }
    }

    /// Number of pixels: height × width, 1 for a vector.
    pub fn area(self) -> u64 {
        match self {
            Shape::Map { h, w, .. } => (h * w) as u64,
            Shape::Vector { .. } => 1,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Map { c, h, w } => f.pad(&format!("{c}x{h}x{w}")),
            Shape::Vector { n } => f.pad(&n.to_string()),
        }
    }
}

/// An input that an operation cannot be applied to, or a column out of range; the message says which.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ShapeError(pub String);

impl ShapeError {
    pub fn new(message: impl Into<String>) -> ShapeError {
        ShapeError(message.into())
    }
}

/// The largest number of channels or features, a bound on what a small file can make the program build.
const MAX_WIDTH: usize = 1 << 17;

/// Checks a number of channels or features.
pub(super) fn check_width(n: usize) -> Result<(), ShapeError> {
    match (1..=MAX_WIDTH).contains(&n) {
        true => Ok(()),
        false => Err(ShapeError::new(format!("a width is between 1 and {MAX_WIDTH}, not {n}"))),
    }
}
