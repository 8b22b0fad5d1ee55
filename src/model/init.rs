//! Weight initialisation. Each tensor is drawn from the seed and its name alone, so that adding layers to a network changes no
//! other weight.

use crate::arch::params::{Param, Role};
use crate::arch::style::{Init, Scheme};
use crate::random;
use crate::workers;
use std::convert::Infallible;
use tch::Tensor;

pub(super) fn initialise(params: &[(Param, Tensor)], init: &Init, seed: u64) {
    let _no_grad = tch::no_grad_guard();
    for (param, tensor) in params {
        let mut tensor = tensor.shallow_clone();
        let key = random::key(seed, &format!("init {}", param.name), &[]);
        let draw = |tensor: &mut Tensor, law: Law| {
            let values = law.draw(key, tensor.numel());
            tensor.copy_(&Tensor::from_slice(&values).view(param.shape.as_slice()));
        };
        match param.role {
            Role::ConvWeight { groups } => {
                draw(&mut tensor, Law::new(init.conv, init.conv_std, fans(&param.shape, groups)));
            }
            Role::LinearWeight => draw(&mut tensor, Law::new(init.linear, init.linear_std, fans(&param.shape, 1))),
            Role::ConvBias(own) => constant(&mut tensor, own.unwrap_or(init.bias)),
            Role::LinearBias(value) | Role::Gamma(value) => constant(&mut tensor, value),
            Role::Beta | Role::RunningMean => constant(&mut tensor, 0.0),
            Role::RunningVar => constant(&mut tensor, 1.0),
        }
    }
}

struct Fans {
    fan_in: f64,
    fan_out: f64,
    groups: f64,
}

/// fan_in: values that one output sums over. fan_out: outputs of the whole layer, times the kernel area.
fn fans(shape: &[i64], groups: usize) -> Fans {
    let area: i64 = shape.iter().skip(2).product();
    let at = |index: usize| shape.get(index).copied().unwrap_or(1);
    Fans { fan_in: (at(1) * area) as f64, fan_out: (at(0) * area) as f64, groups: groups as f64 }
}

/// A distribution around zero.
#[derive(Clone, Copy)]
enum Law {
    Normal {
        std: f32,
    },
    /// Nothing beyond two standard deviations.
    TruncatedNormal {
        std: f32,
    },
    Uniform {
        bound: f32,
    },
}

impl Law {
    fn new(scheme: Scheme, std: f64, Fans { fan_in, fan_out, groups }: Fans) -> Law {
        let normal = |std: f64| Law::Normal { std: std as f32 };
        let uniform = |bound: f64| Law::Uniform { bound: bound as f32 };
        match scheme {
            Scheme::HeFanOut => normal((2.0 / fan_out).sqrt()),
            Scheme::HeFanOutGrouped => normal((2.0 * groups / fan_out).sqrt()),
            Scheme::HeFanIn => normal((2.0 / fan_in).sqrt()),
            Scheme::GlorotUniform => uniform((6.0 / (fan_in + fan_out)).sqrt()),
            Scheme::LecunUniform => uniform((3.0 / fan_in).sqrt()),
            Scheme::UniformFanIn => uniform(1.0 / fan_in.sqrt()),
            Scheme::UniformFanOut => uniform(1.0 / fan_out.sqrt()),
            Scheme::Normal => normal(std),
            Scheme::TruncatedNormal => Law::TruncatedNormal { std: std as f32 },
        }
    }

    /// `count` values, each from (key, its index) alone: the same on every device and for every number of threads.
    fn draw(self, key: u64, count: usize) -> Vec<f32> {
        let mut values = vec![0.0; count];
        let threads = workers::threads();
        let piece = count.div_ceil(threads).next_multiple_of(2).max(1 << 16);
        let fill = |(number, values): (usize, &mut [f32])| {
            self.fill(key, (number * piece / 2) as u64, values);
            Ok(())
        };
        let Ok(()) = workers::share::<_, Infallible>(threads, values.chunks_mut(piece).enumerate(), fill);
        values
    }

    /// Values two by two; the first pair has number `first`.
    fn fill(self, key: u64, first: u64, values: &mut [f32]) {
        for (pair, number) in values.chunks_mut(2).zip(first..) {
            let (u, v) = two_uniform(random::word(key, number));
            let drawn = match self {
                Law::Uniform { bound } => [bound * (2.0 * u - 1.0), bound * (2.0 * v - 1.0)],
                Law::Normal { std } => two_normal(std, u, v),
                Law::TruncatedNormal { std } => {
                    let again = random::key(key, "truncated", &[number]);
                    let pairs = (0..).map(|attempt| two_uniform(random::word(again, attempt)));
                    let mut kept = pairs.flat_map(|(u, v)| two_normal(1.0, u, v)).filter(|z| z.abs() <= 2.0);
                    std::array::from_fn(|_| std * kept.next().unwrap_or(0.0))
                }
            };
            pair.copy_from_slice(&drawn[..pair.len()]);
        }
    }
}

/// Two numbers in (0, 1] and [0, 1) of 24 bits each.
fn two_uniform(word: u64) -> (f32, f32) {
    const UNIT: f32 = 1.0 / (1u64 << 24) as f32;
    (((word >> 40) + 1) as f32 * UNIT, ((word >> 8) & 0xFF_FFFF) as f32 * UNIT)
}

/// Box and Muller's pair of normal numbers.
fn two_normal(std: f32, u: f32, v: f32) -> [f32; 2] {
    let (sin, cos) = (std::f32::consts::TAU * v).sin_cos();
    let radius = std * (-2.0 * u.ln()).sqrt();
    [radius * cos, radius * sin]
}

fn constant(tensor: &mut Tensor, value: f64) {
    let _ = tensor.fill_(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f32]) -> (f64, f64) {
        let count = values.len() as f64;
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        (mean, (values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count).sqrt())
    }

    #[test]
    fn draws_have_the_moments_they_should() {
        let (mean, std) = moments(&Law::Normal { std: 0.1 }.draw(1, 400_001));
        assert!(mean.abs() < 1e-3 && (std - 0.1).abs() < 1e-3, "{mean} {std}");
        let uniform = Law::Uniform { bound: 0.3 }.draw(2, 400_000);
        let (mean, std) = moments(&uniform);
        assert!(mean.abs() < 2e-3 && (std - 0.3 / 3f64.sqrt()).abs() < 1e-3, "{mean} {std}");
        assert!(uniform.iter().all(|x| x.abs() <= 0.3));
    }

    /// TensorFlow's truncated normal: cut at two standard deviations, which leaves 0.8796 of the deviation.
    #[test]
    fn truncated_normal_stays_within_two_deviations() {
        let law = Law::new(Scheme::TruncatedNormal, 0.1, fans(&[1, 1, 1, 1], 1));
        let values = law.draw(3, 400_001);
        let (mean, std) = moments(&values);
        assert!(values.iter().all(|x| x.abs() <= 0.2));
        assert!(mean.abs() < 1e-3 && (std - 0.087_96).abs() < 1e-3, "{mean} {std}");
        assert_eq!(values[..1000], law.draw(3, 1000), "a value depends on its index alone");
    }

    /// Caffe's `xavier` filler with its default, FAN_IN: U(±√(3/fan_in)).
    #[test]
    fn caffes_xavier_looks_at_the_inputs_alone() {
        let Law::Uniform { bound } = Law::new(Scheme::LecunUniform, 0.0, fans(&[64, 3, 7, 7], 1)) else { panic!() };
        assert!((f64::from(bound) - (3.0f64 / 147.0).sqrt()).abs() < 1e-7);
    }

    #[test]
    fn a_value_depends_on_its_index_alone() {
        let law = Law::Normal { std: 1.0 };
        let whole = law.draw(7, 300_000);
        assert_eq!(whole[..1000], law.draw(7, 1000));
        let mut tail = vec![0.0; 10];
        law.fill(7, 149_995, &mut tail);
        assert_eq!(whole[299_990..], tail);
    }

    #[test]
    fn he_initialisation_follows_the_fans() {
        // 3x3, 64 to 128 channels in 2 groups: fan_in = 32 · 9, fan_out = 128 · 9, 64 · 9 within a group
        for (scheme, fan) in [(Scheme::HeFanIn, 288.0), (Scheme::HeFanOut, 1152.0), (Scheme::HeFanOutGrouped, 576.0)] {
            let Law::Normal { std } = Law::new(scheme, 0.0, fans(&[128, 32, 3, 3], 2)) else { panic!() };
            assert!((f64::from(std) - (2.0f64 / fan).sqrt()).abs() < 1e-7);
        }
    }
}
