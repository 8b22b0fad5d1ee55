//! Kernels that slide: size, stride and padding of convolutions and poolings.

use super::shape::ShapeError;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Height and width; in TOML a number for both or a list of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    pub h: usize,
    pub w: usize,
}

impl Pair {
    pub fn square(n: usize) -> Pair {
        Pair { h: n, w: n }
    }
}

/// How a map is padded before a kernel slides over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// ⌊kernel/2⌋ on every side: torchvision's usual choice.
    Half,
    /// None.
    Valid,
    /// TensorFlow's and Keras's "same": output = ⌈input/stride⌉, the odd pixel at the bottom and right.
    Same,
    /// This many pixels above and below, left and right.
    Fixed(Pair),
}

/// Pixels added on each side of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pad {
    pub top: usize,
    pub bottom: usize,
    pub left: usize,
    pub right: usize,
}

impl Pad {
    /// Whether opposite sides have equal padding, as libtorch's operations require.
    pub fn symmetric(self) -> bool {
        self.top == self.bottom && self.left == self.right
    }
}

/// A sliding kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    pub kernel: Pair,
    pub stride: Pair,
    pub padding: Padding,
    /// Round the output size up (Caffe's pooling) instead of down.
    pub ceil: bool,
}

impl Window {
    pub fn new(kernel: usize, stride: usize, padding: Padding) -> Window {
        Window { kernel: Pair::square(kernel), stride: Pair::square(stride), padding, ceil: false }
    }

    /// Padding around a map of height `h` and width `w`.
    pub fn pad(&self, h: usize, w: usize) -> Pad {
        let side = |size, kernel, stride, fixed| match self.padding {
            Padding::Half => (kernel / 2, kernel / 2),
            Padding::Valid => (0, 0),
            Padding::Fixed(_) => (fixed, fixed),
            Padding::Same => {
                let total = same_total(size, kernel, stride);
                (total / 2, total - total / 2)
            }
        };
        let fixed = if let Padding::Fixed(pair) = self.padding { pair } else { Pair::square(0) };
        let (top, bottom) = side(h, self.kernel.h, self.stride.h, fixed.h);
        let (left, right) = side(w, self.kernel.w, self.stride.w, fixed.w);
        Pad { top, bottom, left, right }
    }

    /// Output height and width for a map of height `h` and width `w`.
    ///
    /// # Errors
    /// When the kernel is larger than the padded map, or kernel, stride or padding is out of range.
    pub fn output(&self, h: usize, w: usize) -> Result<(usize, usize), ShapeError> {
        for (what, pair, limit) in [("kernel", self.kernel, 1024), ("stride", self.stride, 1024)] {
            if pair.h == 0 || pair.w == 0 || pair.h > limit || pair.w > limit {
                return Err(ShapeError::new(format!("a {what} is between 1 and {limit}, not {}x{}", pair.h, pair.w)));
            }
        }
        if let Padding::Fixed(pair) = self.padding
            && (pair.h >= self.kernel.h.max(2) || pair.w >= self.kernel.w.max(2))
        {
            return Err(ShapeError::new(format!(
                "padding {}x{} is not smaller than the kernel {}x{}",
                pair.h, pair.w, self.kernel.h, self.kernel.w
            )));
        }
        let pad = self.pad(h, w);
        let side = |size: usize, before: usize, after: usize, kernel: usize, stride: usize| {
            let free = (size + before + after).checked_sub(kernel)?;
            let mut steps = if self.ceil { free.div_ceil(stride) } else { free / stride };
            // A window that would start in the padding after the map is dropped (Caffe and PyTorch do the same).
            if self.ceil && steps * stride >= size + before {
                steps -= 1;
            }
            Some(steps + 1)
        };
        match (
            side(h, pad.top, pad.bottom, self.kernel.h, self.stride.h),
            side(w, pad.left, pad.right, self.kernel.w, self.stride.w),
        ) {
            (Some(h), Some(w)) => Ok((h, w)),
            _ => Err(ShapeError::new(format!(
                "a {}x{} kernel does not fit a {h}x{w} map with padding {}",
                self.kernel.h, self.kernel.w, pad.top
            ))),
        }
    }
}

/// `3x3`, and `3x3/2` with stride 2.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.kernel.h, self.kernel.w)?;
        match self.stride {
            Pair { h: 1, w: 1 } => Ok(()),
            Pair { h, w } if h == w => write!(f, "/{h}"),
            Pair { h, w } => write!(f, "/{h}x{w}"),
        }
    }
}

fn same_total(size: usize, kernel: usize, stride: usize) -> usize {
    let out = size.div_ceil(stride.max(1));
    ((out.max(1) - 1) * stride + kernel).saturating_sub(size)
}

impl Serialize for Pair {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.h == self.w { s.serialize_u64(self.h as u64) } else { [self.h, self.w].serialize(s) }
    }
}

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Pair, D::Error> {
        d.deserialize_any(PairVisitor)
    }
}

struct PairVisitor;

impl<'de> Visitor<'de> for PairVisitor {
    type Value = Pair;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a whole number, or a list [height, width]")
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<Pair, E> {
        usize::try_from(n).map(Pair::square).map_err(|_| E::custom(format!("{n} is negative")))
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<Pair, E> {
        Ok(Pair::square(n as usize))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Pair, A::Error> {
        let h = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let w = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
        match seq.next_element::<usize>()? {
            None => Ok(Pair { h, w }),
            Some(_) => Err(A::Error::invalid_length(3, &self)),
        }
    }
}

impl Serialize for Padding {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Padding::Half => s.serialize_str("half"),
            Padding::Valid => s.serialize_str("valid"),
            Padding::Same => s.serialize_str("same"),
            Padding::Fixed(pair) => pair.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Padding {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Padding, D::Error> {
        struct PaddingVisitor;
        impl<'de> Visitor<'de> for PaddingVisitor {
            type Value = Padding;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("\"half\", \"same\", \"valid\", a whole number, or a list [height, width]")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Padding, E> {
                match text {
                    "half" => Ok(Padding::Half),
                    "same" => Ok(Padding::Same),
                    "valid" => Ok(Padding::Valid),
                    _ => Err(E::unknown_variant(text, &["half", "same", "valid"])),
                }
            }

            fn visit_i64<E: Error>(self, n: i64) -> Result<Padding, E> {
                PairVisitor.visit_i64(n).map(Padding::Fixed)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Padding, A::Error> {
                PairVisitor.visit_seq(seq).map(Padding::Fixed)
            }
        }
        d.deserialize_any(PaddingVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_frameworks() {
        let pool = |padding, ceil| Window { ceil, ..Window::new(3, 2, padding) };
        // GoogLeNet's pools on 112, 56, 28: floor gives 55, 27, 13 and ceil 56, 28, 14 (Caffe)
        for (size, floor, ceil) in [(112, 55, 56), (56, 27, 28), (28, 13, 14)] {
            assert_eq!(pool(Padding::Valid, false).output(size, size), Ok((floor, floor)));
            assert_eq!(pool(Padding::Valid, true).output(size, size), Ok((ceil, ceil)));
        }
        // TensorFlow's "same": 224 by 3/2 pads nothing above and one below
        let same = pool(Padding::Same, false);
        assert_eq!(same.output(224, 224), Ok((112, 112)));
        assert_eq!(same.pad(224, 224), Pad { top: 0, bottom: 1, left: 0, right: 1 });
        assert_eq!(Window::new(7, 2, Padding::Same).pad(28, 28), Pad { top: 2, bottom: 3, left: 2, right: 3 });
        // A last window that lies wholly in the padding is dropped
        let edge = Window { ceil: true, ..Window::new(2, 2, Padding::Fixed(Pair::square(1))) };
        assert_eq!(edge.output(3, 3), Ok((2, 2)));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let error = Window::new(7, 1, Padding::Valid).output(4, 4).unwrap_err();
        assert_eq!(error.0, "a 7x7 kernel does not fit a 4x4 map with padding 0");
        assert!(Window::new(0, 1, Padding::Valid).output(4, 4).is_err());
        assert!(Window::new(3, 0, Padding::Half).output(4, 4).is_err());
    }
}
