//! One layer: an operation, the name its parameters have, and the shapes it was found to work on.

use super::shape::{Shape, ShapeError};
use super::window::{Padding, Pair, Window};
use serde::{Deserialize, Serialize};

/// A point-wise non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    None,
    Relu,
    Relu6,
    /// x · sigmoid(x), "swish" in the EfficientNet paper
    Silu,
    Sigmoid,
}

/// A convolution; its output size follows from the window.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    pub width: usize,
    pub window: Window,
    pub groups: usize,
    pub bias: bool,
    /// Starting value of the bias where it is not the network's.
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

    pub fn bias_init(mut self, value: f64) -> Conv {
        self.bias = true;
        self.bias_init = Some(value);
        self
    }
}

/// What a layer computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    Conv(Conv),
    /// y = W x + b on a vector
    Linear {
        width: usize,
        bias: bool,
        bias_init: f64,
    },
    /// Batch normalisation; `momentum` is the weight of the new batch, as in PyTorch. `gamma` is the starting
    /// value of the learned factor, if there is one.
    BatchNorm {
        eps: f64,
        momentum: f64,
        gamma: Option<f64>,
    },
    Act(Act),
    MaxPool(Window),
    /// Zeros of the padding count in the mean, as in PyTorch and Caffe; those of "same" padding do not, as in TensorFlow
    /// and Keras.
    AvgPool(Window),
    /// Mean over the map: a map becomes a vector.
    GlobalAvgPool,
    /// Mean over a grid of `size`×`size` cells, whatever the map's size.
    AdaptiveAvgPool {
        size: usize,
    },
    /// Local response normalisation across channels (AlexNet, section 3.3).
    Lrn {
        size: usize,
        alpha: f64,
        beta: f64,
        k: f64,
    },
    Dropout {
        rate: f64,
    },
    Flatten,
    /// Shortcut A: every `stride`-th pixel, zeros for the channels that are missing.
    PadShortcut {
        width: usize,
        stride: usize,
        average: bool,
    },
    /// Multiplication by a constant.
    Scale {
        factor: f64,
    },
}

/// An operation at its place in a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Prefix of its parameters' names: `layer1.0.conv1` for `layer1.0.conv1.weight`.
    pub name: String,
    pub op: Op,
    pub input: Shape,
    pub output: Shape,
}

const LIMIT: usize = 1 << 17;

impl Op {
    /// The shape of the output for an input.
    ///
    /// # Errors
    /// When the operation cannot be applied to such an input; the message says what does not fit.
    pub fn output(&self, input: Shape) -> Result<Shape, ShapeError> {
        let map = |what: &str| match input {
            Shape::Map { c, h, w } => Ok((c, h, w)),
            Shape::Vector { n } => Err(ShapeError::new(format!(
                "{what} needs a map of channels x height x width, but the rows before give a vector of {n} values"
            ))),
        };
        match self {
            Op::Conv(conv) => {
                let (c, h, w) = map("a convolution")?;
                width(conv.width)?;
                if conv.groups == 0 || c % conv.groups != 0 || conv.width % conv.groups != 0 {
                    return Err(ShapeError::new(format!(
                        "{} groups do not divide {c} input and {} output channels",
                        conv.groups, conv.width
                    )));
                }
                let (h, w) = conv.window.output(h, w)?;
                Ok(Shape::Map { c: conv.width, h, w })
            }
            Op::MaxPool(window) | Op::AvgPool(window) => {
                let (c, h, w) = map("pooling")?;
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
            Op::Linear { width: n, .. } => {
                width(*n)?;
                match input {
                    Shape::Vector { .. } => Ok(Shape::Vector { n: *n }),
                    Shape::Map { .. } => Err(ShapeError::new(format!("a linear layer needs a vector, not {input}"))),
                }
            }
            Op::GlobalAvgPool => map("global average pooling").map(|(c, ..)| Shape::Vector { n: c }),
            Op::AdaptiveAvgPool { size } => {
                let (c, ..) = map("adaptive average pooling")?;
                width(*size)?;
                Ok(Shape::Map { c, h: *size, w: *size })
            }
            Op::Lrn { size, alpha, beta, k } => {
                map("local response normalisation")?;
                if !(1..=1024).contains(size)
                    || ![*alpha, *beta].iter().all(|x| x.is_finite())
                    || !(1e-9..1e9).contains(k)
                {
                    return Err(ShapeError::new(format!(
                        "lrn takes a size of 1 to 1024, finite alpha and beta, and k above 0, not {size}, {alpha}, {beta}, {k}"
                    )));
                }
                Ok(input)
            }
            Op::Flatten => Ok(Shape::Vector { n: input.values() as usize }),
            Op::PadShortcut { width: out, stride, .. } => {
                let (c, h, w) = map("shortcut A")?;
                if *out < c {
                    return Err(ShapeError::new(format!(
                        "shortcut A pads channels with zeros: it cannot go from {c} down to {out}; use shortcut = \"B\""
                    )));
                }
                Ok(Shape::Map { c: *out, h: h.div_ceil(*stride), w: w.div_ceil(*stride) })
            }
            Op::Dropout { rate } if !(0.0..1.0).contains(rate) => {
                Err(ShapeError::new(format!("a dropout rate is in 0..1, not {rate}")))
            }
            Op::Scale { factor } if !factor.is_finite() => {
                Err(ShapeError::new(format!("a factor on a branch is a finite number, not {factor}")))
            }
            Op::BatchNorm { .. } | Op::Act(_) | Op::Dropout { .. } | Op::Scale { .. } => Ok(input),
        }
    }
}

/// A number of channels or features that is in range.
pub(super) fn width(n: usize) -> Result<(), ShapeError> {
    if (1..=LIMIT).contains(&n) {
        return Ok(());
    }
    Err(ShapeError::new(format!("a width is between 1 and {LIMIT}, not {n}")))
}
