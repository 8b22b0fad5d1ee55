use super::{LayerStyle, Operation};
use crate::arch::shape::{Shape, ShapeError};

/// A map as a vector, channels first: `[C, H, W]` to `[C · H · W]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flatten;

impl Operation for Flatten {
    fn output(&self, input: Shape) -> Result<Shape, ShapeError> {
        Ok(Shape::Vector { n: input.values() as usize })
    }

    fn describe(&self) -> String {
        "flatten".to_owned()
    }

    fn style(&self) -> LayerStyle {
        LayerStyle::Other
    }

    /// Diagrams leave it out.
    fn signature(&self) -> String {
        String::new()
    }

    #[cfg(test)]
    fn example() -> (Flatten, Shape) {
        (Flatten, Shape::Map { c: 4, h: 5, w: 6 })
    }
}
