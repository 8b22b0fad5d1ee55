use super::{LayerStyle, Operation};
use crate::arch::shape::{Shape, ShapeError};

/// Zeroes values with probability `rate` in training and divides the others by 1 − rate (Srivastava et al. 2014).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    pub rate: f64,
}

impl Operation for Dropout {
    fn output(&self, input: Shape) -> Result<Shape, ShapeError> {
        match (0.0..1.0).contains(&self.rate) {
            true => Ok(input),
            false => Err(ShapeError::new(format!("a dropout rate is in 0..1, not {}", self.rate))),
        }
    }

    fn describe(&self) -> String {
        format!("dropout {}", self.rate)
    }

    fn style(&self) -> LayerStyle {
        LayerStyle::Dropout
    }

    fn signature(&self) -> String {
        "drop;".to_owned()
    }

    #[cfg(test)]
    fn example() -> (Dropout, Shape) {
        (Dropout { rate: 0.5 }, Shape::Map { c: 4, h: 5, w: 6 })
    }
}
