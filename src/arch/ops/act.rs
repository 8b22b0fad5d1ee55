use super::{Act, LayerStyle, Operation};
use crate::arch::shape::{Shape, ShapeError};

impl Operation for Act {
    fn output(&self, input: Shape) -> Result<Shape, ShapeError> {
        Ok(input)
    }

    fn describe(&self) -> String {
        Act::label(*self).to_owned()
    }

    fn style(&self) -> LayerStyle {
        LayerStyle::Act
    }

    #[cfg(test)]
    fn example() -> (Act, Shape) {
        (Act::Relu, Shape::Map { c: 4, h: 5, w: 6 })
    }
}
