use super::{LayerStyle, Operation};
use crate::arch::shape::{Shape, ShapeError};

/// Mean over the map: `[C, H, W]` to `[C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalAvgPool;

impl Operation for GlobalAvgPool {
    fn output(&self, input: Shape) -> Result<Shape, ShapeError> {
        input.map_for("global average pooling").map(|(c, ..)| Shape::Vector { n: c })
    }

    fn describe(&self) -> String {
        "global avg pool".to_owned()
    }

    fn style(&self) -> LayerStyle {
        LayerStyle::Pool
    }

    fn signature(&self) -> String {
        "mean;".to_owned()
    }

    #[cfg(test)]
    fn example() -> (GlobalAvgPool, Shape) {
        (GlobalAvgPool, Shape::Map { c: 4, h: 5, w: 6 })
    }
}
