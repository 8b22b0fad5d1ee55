use super::{LayerStyle, Operation};
use crate::arch::shape::{Shape, ShapeError};

/// Multiplication by a constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub factor: f64,
}

impl Operation for Scale {
    fn output(&self, input: Shape) -> Result<Shape, ShapeError> {
        match self.factor.is_finite() {
            true => Ok(input),
            false => Err(ShapeError::new(format!("a factor on a branch is a finite number, not {}", self.factor))),
        }
    }

    fn describe(&self) -> String {
        format!("scale {}", self.factor)
    }

    fn label(&self) -> String {
        format!("× {}", self.factor)
    }

    fn style(&self) -> LayerStyle {
        LayerStyle::Other
    }

    fn is_attached(&self) -> bool {
        true
    }

    fn signature(&self) -> String {
        "scale;".to_owned()
    }

    #[cfg(test)]
    fn example() -> (Scale, Shape) {
        (Scale { factor: 0.5 }, Shape::Map { c: 4, h: 5, w: 6 })
    }
}
