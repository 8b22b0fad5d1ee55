use super::{LayerStyle, Operation};
use crate::arch::shape::{Shape, ShapeError};

/// Shortcut A (He et al. 2015, section 3.3): every `stride`-th pixel, zeros for the channels that are missing to `width`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PadShortcut {
    pub width: usize,
    pub stride: usize,
    /// Average the pixels of each `stride`×`stride` window instead of picking one.
    pub average: bool,
}

impl Operation for PadShortcut {
    fn output(&self, input: Shape) -> Result<Shape, ShapeError> {
        let (c, h, w) = input.map_for("shortcut A")?;
        if self.width < c {
            return Err(ShapeError::new(format!(
                "shortcut A pads channels with zeros: it cannot go from {c} down to {}; use shortcut = \"B\"",
                self.width
            )));
        }
        Ok(Shape::Map { c: self.width, h: h.div_ceil(self.stride), w: w.div_ceil(self.stride) })
    }

    fn describe(&self) -> String {
        let stride = if self.stride == 1 { String::new() } else { format!("/{}", self.stride) };
        format!("{}{stride}, zero pad", if self.average { "avg pool" } else { "subsample" })
    }

    fn label(&self) -> String {
        format!("{} to {}", self.describe(), self.width)
    }

    fn style(&self) -> LayerStyle {
        LayerStyle::Other
    }

    fn signature(&self) -> String {
        format!("pad{};", self.average)
    }

    #[cfg(test)]
    fn example() -> (PadShortcut, Shape) {
        (PadShortcut { width: 6, stride: 2, average: false }, Shape::Map { c: 4, h: 5, w: 6 })
    }
}
