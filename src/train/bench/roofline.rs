//! The machine's roofline, measured: peak arithmetic and memory bandwidth, which a step's time is compared with.

use crate::torch::{TorchError, catch, channels_last, synchronize};
use serde::Serialize;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// Side of the square matrices: 17 GFLOP a product, enough to hide every start-up cost.
const SIDE: i64 = 2048;
/// Images, channels and pixels along a side of a 1x1 convolution, 9 GFLOP.
const MAP: [i64; 3] = [16, 1024, 16];
/// Side of the first product, which decides whether the larger one would take too long: libtorch computes bfloat16 by scalar
/// code on processors that lack it, at less than 1 GFLOP/s.
const SMALL_SIDE: i64 = 256;
/// Operations a second from which on the larger product takes less than a second.
const FAST: f64 = 2e10;
/// Bytes of the block that is copied: far more than any cache holds.
const COPIED_BYTES: i64 = 256 << 20;
const TRIES: usize = 4;

/// Peak rates, the best of a few tries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Roofline {
    /// Billions of floating-point operations a second, a multiply-add being two, in a product of large matrices or in a 1x1
    /// convolution of as many operations, whichever is faster: libtorch's products in float are MKL's, which on an AMD processor with
    /// AVX-512 reach half of what oneDNN's convolutions do.
    pub fp32_gflops: f64,
    pub bf16_gflops: f64,
    /// Billions of bytes a second, read and written together, in a copy of a large block.
    pub copy_gigabytes: f64,
}

impl Roofline {
    /// Takes about a second.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub fn measure(device: Device) -> Result<Roofline, TorchError> {
        let rate = |side: i64, kind| -> Result<f64, TorchError> {
            let a = Tensor::rand([side, side], (Kind::Float, device)).to_kind(kind);
            let b = Tensor::rand([side, side], (Kind::Float, device)).to_kind(kind);
            Ok(2.0 * (side as f64).powi(3) / fastest(device, || drop(a.matmul(&b)))?)
        };
        let product = |kind| match rate(SMALL_SIDE, kind)? {
            small if small < FAST => Ok::<_, TorchError>(small),
            _ => Ok(rate(SIDE, kind)?.max(convolution(device, kind)?)),
        };
        catch(|| {
            let _no_grad = tch::no_grad_guard();
            let (fp32_gflops, bf16_gflops) = (product(Kind::Float)? / 1e9, product(Kind::BFloat16)? / 1e9);
            let from = Tensor::ones([COPIED_BYTES / 4], (Kind::Float, device));
            let mut to = Tensor::zeros_like(&from);
            let seconds = fastest(device, || to.copy_(&from))?;
            Ok(Roofline { fp32_gflops, bf16_gflops, copy_gigabytes: 2.0 * COPIED_BYTES as f64 / seconds / 1e9 })
        })?
    }
}

/// Operations a second of a 1x1 convolution.
fn convolution(device: Device, kind: Kind) -> Result<f64, TorchError> {
    let [images, channels, side] = MAP;
    let random = |shape: [i64; 4]| channels_last(&Tensor::rand(shape, (Kind::Float, device)).to_kind(kind));
    let (x, weight) = (random([images, channels, side, side])?, random([channels, channels, 1, 1])?);
    let convolve = || drop(x.conv2d(&weight, None::<Tensor>, [1, 1], [0, 0], [1, 1], 1));
    let operations = 2 * images * side * side * channels * channels;
    Ok(operations as f64 / fastest(device, convolve)?)
}

/// Seconds of the fastest try, the first not counted.
fn fastest(device: Device, mut work: impl FnMut()) -> Result<f64, TorchError> {
    work();
    let mut best = f64::INFINITY;
    for _ in 0..TRIES {
        synchronize(device)?;
        let start = Instant::now();
        work();
        synchronize(device)?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}
