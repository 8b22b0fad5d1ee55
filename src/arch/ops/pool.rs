//! Pooling over a sliding window.

use super::{LayerStyle, Operation};
use crate::arch::shape::{Shape, ShapeError};
use crate::arch::window::Window;

/// The largest value of each window; padding never wins.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPool(pub Window);

/// The mean of each window. Zeros of the padding count, as in PyTorch and Caffe, except with "same" padding, as in TensorFlow
/// and Keras.
#[derive(Clone, Debug, PartialEq)]
pub struct AvgPool(pub Window);

fn output(window: &Window, input: Shape) -> Result<Shape, ShapeError> {
    let (c, h, w) = input.map_for("pooling")?;
    let (pad, kernel) = (window.pad(h, w), window.kernel);
    if pad.symmetric() && (2 * pad.top > kernel.h || 2 * pad.left > kernel.w) {
        return Err(ShapeError::new(format!(
            "the padding of a pool is at most half its kernel, but {} is more than half of {}",
            pad.top, kernel.h
        )));
    }
    let (h, w) = window.output(h, w)?;
    Ok(Shape::Map { c, h, w })
}

impl Operation for MaxPool {
    fn output(&self, input: Shape) -> Result<Shape, ShapeError> {
        output(&self.0, input)
    }

    fn describe(&self) -> String {
        format!("max pool {}", self.0)
    }

    fn style(&self) -> LayerStyle {
        LayerStyle::Pool
    }

    fn signature(&self) -> String {
        format!("max{}x{};", self.0.kernel.h, self.0.kernel.w)
    }

    #[cfg(test)]
    fn example() -> (MaxPool, Shape) {
        (MaxPool(Window::new(3, 2, crate::arch::window::Padding::Half)), Shape::Map { c: 4, h: 5, w: 6 })
    }
}

impl Operation for AvgPool {
    fn output(&self, input: Shape) -> Result<Shape, ShapeError> {
        output(&self.0, input)
    }

    fn describe(&self) -> String {
        format!("avg pool {}", self.0)
    }

    fn style(&self) -> LayerStyle {
        LayerStyle::Pool
    }

    fn signature(&self) -> String {
        format!("avg{}x{};", self.0.kernel.h, self.0.kernel.w)
    }

    #[cfg(test)]
    fn example() -> (AvgPool, Shape) {
        (AvgPool(Window::new(3, 2, crate::arch::window::Padding::Same)), Shape::Map { c: 4, h: 5, w: 6 })
    }
}
