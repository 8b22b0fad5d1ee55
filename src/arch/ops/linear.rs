use super::{LayerStyle, Operation};
use crate::arch::params::{Param, Role};
use crate::arch::shape::{Shape, ShapeError, check_width};

/// y = W x + b on a vector: `[N]` to `[width]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    pub width: usize,
    pub bias: bool,
    /// Initial value of the bias.
    pub bias_init: f64,
}

impl Operation for Linear {
    fn output(&self, input: Shape) -> Result<Shape, ShapeError> {
        check_width(self.width)?;
        match input {
            Shape::Vector { .. } => Ok(Shape::Vector { n: self.width }),
            Shape::Map { .. } => Err(ShapeError::new(format!("a linear layer needs a vector, not {input}"))),
        }
    }

    fn tensors(&self, input: Shape) -> Vec<Param> {
        let mut params = vec![Param::new("weight", &[self.width, input.channels()], Role::LinearWeight)];
        if self.bias {
            params.push(Param::new("bias", &[self.width], Role::LinearBias(self.bias_init)));
        }
        params
    }

    fn products(&self, input: Shape) -> Option<u64> {
        Some(input.channels() as u64)
    }

    fn describe(&self) -> String {
        "linear".to_owned()
    }

    fn label(&self) -> String {
        format!("linear, {}", self.width)
    }

    fn style(&self) -> LayerStyle {
        LayerStyle::Linear
    }

    #[cfg(test)]
    fn example() -> (Linear, Shape) {
        (Linear { width: 3, bias: true, bias_init: 0.0 }, Shape::Vector { n: 7 })
    }
}
