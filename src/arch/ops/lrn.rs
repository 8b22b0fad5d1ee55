use super::{LayerStyle, Operation};
use crate::arch::shape::{Shape, ShapeError};

/// Local response normalisation across channels: x / (k + alpha · mean of `size` squares)^beta. Caffe and PyTorch take the
/// mean; the sum of the AlexNet paper (section 3.3) needs an alpha `size` times as large.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lrn {
    pub size: usize,
    pub alpha: f64,
    pub beta: f64,
    pub k: f64,
}

impl Operation for Lrn {
    fn output(&self, input: Shape) -> Result<Shape, ShapeError> {
        let Lrn { size, alpha, beta, k } = *self;
        input.map_for("local response normalisation")?;
        if !(1..=1024).contains(&size) || !alpha.is_finite() || !beta.is_finite() || !(1e-9..1e9).contains(&k) {
            return Err(ShapeError::new(format!(
                "lrn takes a size of 1 to 1024, finite alpha and beta, and k above 0, not {size}, {alpha}, {beta}, {k}"
            )));
        }
        Ok(input)
    }

    fn describe(&self) -> String {
        format!("LRN over {}", self.size)
    }

    fn style(&self) -> LayerStyle {
        LayerStyle::Norm
    }

    fn signature(&self) -> String {
        "lrn;".to_owned()
    }

    #[cfg(test)]
    fn example() -> (Lrn, Shape) {
        (Lrn { size: 5, alpha: 1e-4, beta: 0.75, k: 1.0 }, Shape::Map { c: 4, h: 5, w: 6 })
    }
}
