use super::{LayerStyle, Operation};
use crate::arch::shape::{Shape, ShapeError, check_width};

/// Mean over a grid of `size`×`size` cells, whatever the map's size: `[C, H, W]` to `[C, size, size]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptiveAvgPool {
    pub size: usize,
}

impl Operation for AdaptiveAvgPool {
    fn output(&self, input: Shape) -> Result<Shape, ShapeError> {
        let (c, ..) = input.map_for("adaptive average pooling")?;
        check_width(self.size)?;
        Ok(Shape::Map { c, h: self.size, w: self.size })
    }

    fn describe(&self) -> String {
        match self.size {
            1 => "global avg pool".to_owned(),
            size => format!("avg pool to {size}x{size}"),
        }
    }

    fn style(&self) -> LayerStyle {
        LayerStyle::Pool
    }

    fn signature(&self) -> String {
        "mean;".to_owned()
    }

    #[cfg(test)]
    fn example() -> (AdaptiveAvgPool, Shape) {
        (AdaptiveAvgPool { size: 2 }, Shape::Map { c: 4, h: 5, w: 6 })
    }
}
