//! Structs that cross to C++, laid out as in `cpp/abi.h`.

/// How a window moves over a map, height then width: `StrataWindow` in `cpp/abi.h`. Every window must reach the map or the
/// pixel beside it: `before` is at most the kernel, and the last window begins at most one pixel after the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct WindowGeometry {
    pub stride: [i64; 2],
    /// Padding above and to the left; below and to the right it follows from the output.
    pub before: [i64; 2],
    /// Size of the output map.
    pub out: [i64; 2],
}

/// Numbers of a step, of which each kind reads its own: `StrataStep` in `cpp/abi.h`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C)]
pub struct StepNumbers {
    pub lr: f64,
    pub weight_decay: f64,
    pub momentum: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub alpha: f64,
    pub eps: f64,
    /// Counted from 1; for Adam's kinds and LAMB.
    pub step: i64,
    /// 1 for Nesterov's form of momentum, else 0.
    pub nesterov: i32,
    /// 1 at the first step, else 0; for SGD.
    pub first: i32,
    /// 1 for LAMB's trust ratio, else 0.
    pub adapt: i32,
}
