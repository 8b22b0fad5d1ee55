//! Columns that several operations share.

use crate::arch::node::{Chain, Node};
use crate::arch::ops::{Act, AdaptiveAvgPool, Conv};
use crate::arch::shape::ShapeError;
use crate::arch::window::{Padding, Pair};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

pub(super) const MAX_REPEAT: usize = 10_000;

pub(super) fn one() -> usize {
    1
}

pub(super) fn is_one(n: &usize) -> bool {
    *n == 1
}

pub(super) fn one_f64() -> f64 {
    1.0
}

pub(super) fn is_one_f64(x: &f64) -> bool {
    *x == 1.0
}

pub(super) fn default_true() -> bool {
    true
}

pub(super) fn is_true(flag: &bool) -> bool {
    *flag
}

pub(super) fn half() -> Padding {
    Padding::Half
}

pub(super) fn is_half(padding: &Padding) -> bool {
    *padding == Padding::Half
}

pub(super) fn square_one() -> Pair {
    Pair::square(1)
}

pub(super) fn is_square_one(pair: &Pair) -> bool {
    *pair == Pair::square(1)
}

/// The indices of a row's blocks.
///
/// # Errors
/// When `repeat` is out of range.
pub(super) fn repeats(repeat: usize) -> Result<std::ops::Range<usize>, ShapeError> {
    if (1..=MAX_REPEAT).contains(&repeat) {
        return Ok(0..repeat);
    }
    Err(ShapeError::new(format!("repeat is between 1 and {MAX_REPEAT}, not {repeat}")))
}

/// Checks columns that are factors or biases: below a million in magnitude, and not NaN.
pub(super) fn finite(columns: &[(&str, f64)]) -> Result<(), ShapeError> {
    match columns.iter().find(|(_, value)| value.abs() >= 1e6 || value.is_nan()) {
        Some((column, value)) => Err(ShapeError::new(format!("`{column}` is a number below a million, not {value}"))),
        None => Ok(()),
    }
}

/// A branch of an Inception module: `[96, 128]` reduces to 96 channels by a 1x1 convolution first, `128` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// 0: no reduction
    pub reduce: usize,
    pub width: usize,
}

impl Serialize for Branch {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.reduce {
            0 => s.serialize_u64(self.width as u64),
            reduce => [reduce, self.width].serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Branch {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Branch, D::Error> {
        struct BranchVisitor;
        impl<'de> Visitor<'de> for BranchVisitor {
            type Value = Branch;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a width, or a list [width of the 1x1 reduction, width]")
            }

            fn visit_i64<E: Error>(self, n: i64) -> Result<Branch, E> {
                let width = usize::try_from(n).map_err(|_| E::custom(format!("{n} is negative")))?;
                Ok(Branch { reduce: 0, width })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Branch, A::Error> {
                let reduce = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
                let width = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
                match seq.next_element::<usize>()? {
                    None => Ok(Branch { reduce, width }),
                    Some(_) => Err(A::Error::invalid_length(3, &self)),
                }
            }
        }
        d.deserialize_any(BranchVisitor)
    }
}

/// Squeeze-and-excitation (Hu et al. 2017): mean over the map, 1x1 to `hidden` channels, back, sigmoid, times the map.
pub struct Se {
    pub hidden: usize,
    pub bias: bool,
    pub act: Act,
}

impl Se {
    /// Appends the module; its two convolutions are named `prefix.fc1` and `prefix.fc2`.
    pub fn append(&self, prefix: &str, chain: &mut Chain) -> Result<(), ShapeError> {
        let mut gate = chain.fork();
        gate.op("", AdaptiveAvgPool { size: 1 })?;
        gate.conv(format!("{prefix}.fc1"), Conv::new(self.hidden, 1).bias(self.bias))?;
        gate.act(self.act)?;
        gate.conv(format!("{prefix}.fc2"), Conv::new(chain.shape.channels(), 1).bias(self.bias))?;
        gate.act(Act::Sigmoid)?;
        let shape = chain.shape;
        chain.push(Node::Excite { gate: gate.nodes }, shape);
        Ok(())
    }
}
