//! How weights start. Each tensor is drawn from (seed, its name) alone, so that nothing changes when a network gains layers.

use crate::arch::params::{Param, Role};
use crate::arch::style::{Init, Scheme};
use crate::random;
use tch::Tensor;

pub fn initialise(params: &[(Param, Tensor)], init: &Init, seed: u64) {
    let _no_grad = tch::no_grad_guard();
    for (param, tensor) in params {
        let mut tensor = tensor.shallow_clone();
        tch::manual_seed(random::key(seed, &format!("init {}", param.name), &[]) as i64);
        match param.role {
            Role::ConvWeight { groups } => draw(&mut tensor, init.conv, init.conv_std, fans(&param.shape, groups)),
            Role::LinearWeight => draw(&mut tensor, init.linear, init.linear_std, fans(&param.shape, 1)),
            Role::ConvBias(own) => constant(&mut tensor, own.unwrap_or(init.bias)),
            Role::LinearBias(value) | Role::Gamma(value) => constant(&mut tensor, value),
            Role::Beta | Role::RunningMean => constant(&mut tensor, 0.0),
            Role::RunningVar => constant(&mut tensor, 1.0),
        }
    }
}

/// Inputs that one output sums over, and outputs that one input reaches.
fn fans(shape: &[i64], groups: usize) -> (f64, f64) {
    let area: i64 = shape.iter().skip(2).product();
    let at = |index: usize| shape.get(index).copied().unwrap_or(1);
    ((at(1) * area) as f64, (at(0) * area) as f64 / groups as f64)
}

fn draw(tensor: &mut Tensor, scheme: Scheme, std: f64, (fan_in, fan_out): (f64, f64)) {
    let uniform = |tensor: &mut Tensor, bound: f64| {
        let _ = tensor.uniform_(-bound, bound);
    };
    let normal = |tensor: &mut Tensor, std: f64| {
        let _ = tensor.normal_(0.0, std);
    };
    match scheme {
        Scheme::HeFanOut => normal(tensor, (2.0 / fan_out).sqrt()),
        Scheme::HeFanIn => normal(tensor, (2.0 / fan_in).sqrt()),
        Scheme::GlorotUniform => uniform(tensor, (6.0 / (fan_in + fan_out)).sqrt()),
        Scheme::UniformFanIn => uniform(tensor, 1.0 / fan_in.sqrt()),
        Scheme::UniformFanOut => uniform(tensor, 1.0 / fan_out.sqrt()),
        Scheme::Normal => normal(tensor, std),
    }
}

fn constant(tensor: &mut Tensor, value: f64) {
    let _ = tensor.fill_(value);
}
