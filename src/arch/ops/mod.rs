//! Operations: what a layer computes, one file each.
//!
//! To add one, write a struct and its [`Operation`] in a file of this folder, name it in the list at the end of this file, and
//! build its module in `src/model/layers.rs` and its ONNX nodes in `src/export/onnx/layers.rs`. Shapes, cost, parameters, tables and diagrams follow from the trait.

mod act;
mod adaptive_avg_pool;
mod batch_norm;
mod conv;
mod dropout;
mod flatten;
mod global_avg_pool;
mod linear;
mod lrn;
mod pad_shortcut;
mod pool;
mod scale;

pub use super::activations::Act;
pub use adaptive_avg_pool::AdaptiveAvgPool;
pub use batch_norm::BatchNorm;
pub use conv::Conv;
pub use dropout::Dropout;
pub use flatten::Flatten;
pub use global_avg_pool::GlobalAvgPool;
pub use linear::Linear;
pub use lrn::Lrn;
pub use pad_shortcut::PadShortcut;
pub use pool::{AvgPool, MaxPool};
pub use scale::Scale;

use super::params::Param;
use super::shape::{Shape, ShapeError};
use std::fmt::Debug;

/// What the rest of the program asks of an operation.
pub trait Operation: Debug {
    /// The shape of the output for an input.
    ///
    /// # Errors
    /// When the operation cannot be applied to such an input; the message says what does not fit.
    fn output(&self, input: Shape) -> Result<Shape, ShapeError>;

    /// Parameters and buffers, in the order of PyTorch's state_dict, named without the layer's prefix (`weight`).
    fn tensors(&self, _input: Shape) -> Vec<Param> {
        Vec::new()
    }

    /// Multiply-adds behind each output value; `None` for operations that the cost convention does not count.
    fn products(&self, _input: Shape) -> Option<u64> {
        None
    }

    /// The operation in a few words, without its width: `conv 3x3/2 g32`, `max pool 3x3/2`, `ReLU`.
    fn describe(&self) -> String;

    /// The text of its box in a diagram: with the width where there is one.
    fn label(&self) -> String {
        self.describe()
    }

    /// What it is drawn as.
    fn style(&self) -> LayerStyle;

    /// Whether a diagram draws it as a strip attached to its neighbour.
    fn is_attached(&self) -> bool {
        matches!(self.style(), LayerStyle::Norm | LayerStyle::Act | LayerStyle::Dropout)
    }

    /// Blocks of equal signatures share one panel of a diagram. Widths, strides and rates are left out, because the table of
    /// rows lists them.
    fn signature(&self) -> String {
        format!("{};", self.describe())
    }

    /// An operation and an input that it accepts, for tests of all operations.
    #[cfg(test)]
    fn example() -> (Self, Shape)
    where
        Self: Sized;
}

/// Kinds of layers that diagrams distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerStyle {
    Conv,
    /// Grouped and depthwise convolutions.
    GroupedConv,
    Linear,
    Pool,
    Norm,
    Act,
    Dropout,
    /// Operations without parameters that fit nowhere else.
    Other,
}

macro_rules! operations {
    ($($op:ident,)*) => {
        /// What a layer computes.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Op {
            $($op($op),)*
        }

        impl std::ops::Deref for Op {
            type Target = dyn Operation;

            fn deref(&self) -> &Self::Target {
                match self { $(Op::$op(op) => op,)* }
            }
        }

        $(impl From<$op> for Op {
            fn from(op: $op) -> Op {
                Op::$op(op)
            }
        })*

        #[cfg(test)]
        impl Op {
            /// An example of every operation.
            pub fn examples() -> Vec<(Op, Shape)> {
                vec![$({ let (op, input) = $op::example(); (op.into(), input) }),*]
            }
        }
    };
}

operations! {
    Conv,
    Linear,
    BatchNorm,
    Act,
    MaxPool,
    AvgPool,
    GlobalAvgPool,
    AdaptiveAvgPool,
    Lrn,
    Dropout,
    Flatten,
    PadShortcut,
    Scale,
}
