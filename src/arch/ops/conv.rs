use super::{LayerStyle, Operation};
use crate::arch::params::{Param, Role};
use crate::arch::shape::{Shape, ShapeError, check_width};
use crate::arch::window::{Padding, Pair, Window};

/// A convolution: `[C, H, W]` to `[width, H', W']`, with H' and W' given by the window.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    pub width: usize,
    pub window: Window,
    pub groups: usize,
    pub bias: bool,
    /// Initial value of the bias where it differs from the network's `init.bias`.
    pub bias_init: Option<f64>,
}

impl Conv {
    /// A square convolution without bias, padded by half its kernel.
    pub fn new(width: usize, kernel: usize) -> Conv {
        Conv { width, window: Window::new(kernel, 1, Padding::Half), groups: 1, bias: false, bias_init: None }
    }

    pub fn stride(mut self, stride: usize) -> Conv {
        self.window.stride = Pair::square(stride);
        self
    }

    pub fn groups(mut self, groups: usize) -> Conv {
        self.groups = groups;
        self
    }

    pub fn padding(mut self, padding: Padding) -> Conv {
        self.window.padding = padding;
        self
    }

    pub fn kernel(mut self, kernel: Pair) -> Conv {
        self.window.kernel = kernel;
        self
    }

    pub fn bias(mut self, bias: bool) -> Conv {
        self.bias = bias;
        self
    }

    pub(crate) fn bias_init(mut self, value: f64) -> Conv {
        self.bias = true;
        self.bias_init = Some(value);
        self
    }

    /// Whether every channel is convolved by itself.
    pub fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.width
    }

    fn has_groups(&self) -> bool {
        self.groups > 1 && !self.is_depthwise()
    }

    /// `conv 3x3/2`, `depthwise 5x5`
    fn kind_and_window(&self) -> String {
        format!("{} {}", if self.is_depthwise() { "depthwise" } else { "conv" }, self.window)
    }
}

impl Operation for Conv {
    fn output(&self, input: Shape) -> Result<Shape, ShapeError> {
        let (c, h, w) = input.map_for("a convolution")?;
        check_width(self.width)?;
        if self.groups == 0 || ![c, self.width].iter().all(|n| n.is_multiple_of(self.groups)) {
            return Err(ShapeError::new(format!(
                "{} groups do not divide {c} input and {} output channels",
                self.groups, self.width
            )));
        }
        let (h, w) = self.window.output(h, w)?;
        Ok(Shape::Map { c: self.width, h, w })
    }

    fn tensors(&self, input: Shape) -> Vec<Param> {
        let Pair { h, w } = self.window.kernel;
        let kernel = [self.width, input.channels() / self.groups, h, w];
        let mut params = vec![Param::new("weight", &kernel, Role::ConvWeight { groups: self.groups })];
        if self.bias {
            params.push(Param::new("bias", &[self.width], Role::ConvBias(self.bias_init)));
        }
        params
    }

    fn products(&self, input: Shape) -> Option<u64> {
        let Pair { h, w } = self.window.kernel;
        Some((input.channels() / self.groups) as u64 * (h * w) as u64)
    }

    fn describe(&self) -> String {
        let groups = if self.has_groups() { format!(" g{}", self.groups) } else { String::new() };
        self.kind_and_window() + &groups
    }

    fn label(&self) -> String {
        let groups = if self.has_groups() { format!(", {} groups", self.groups) } else { String::new() };
        format!("{}, {}{groups}", self.kind_and_window(), self.width)
    }

    fn style(&self) -> LayerStyle {
        if self.groups > 1 { LayerStyle::GroupedConv } else { LayerStyle::Conv }
    }

    fn signature(&self) -> String {
        let Pair { h, w } = self.window.kernel;
        match self.is_depthwise() {
            true => "dw;".to_owned(),
            false => format!("conv{h}x{w}{};", if self.groups > 1 { "g" } else { "" }),
        }
    }

    #[cfg(test)]
    fn example() -> (Conv, Shape) {
        (Conv::new(6, 3).stride(2).bias(true), Shape::Map { c: 4, h: 5, w: 6 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_name_kernel_stride_and_groups() {
        assert_eq!(Conv::new(64, 7).stride(2).describe(), "conv 7x7/2");
        assert_eq!(Conv::new(128, 3).groups(32).describe(), "conv 3x3 g32");
        assert_eq!(Conv::new(96, 3).groups(96).describe(), "depthwise 3x3");
        assert_eq!(Conv::new(96, 3).kernel(Pair { h: 1, w: 7 }).describe(), "conv 1x7");
        assert_eq!(Conv::new(128, 3).groups(32).label(), "conv 3x3, 128, 32 groups");
    }
}
