//! Layers as tch modules. Every argument is explicit: tch's defaults are not PyTorch's.

use super::activations;
use super::pool::{avg_pool, max_pool};
use super::tensors::{Tensors, or_panic};
use crate::arch::activations::Act;
use crate::arch::layer::Layer;
use crate::arch::ops::{Lrn, Op, PadShortcut};
use crate::torch::TorchError;
use crate::torch::fused;
use tch::nn::{ModuleT, SequentialT};
use tch::{Device, Kind, Tensor};

/// Appends the module of a layer to a chain. With `fused` it may run in a kernel of [`fused`].
///
/// # Errors
/// For convolutions and normalisations, which are built as [`ConvNormAct`](super::conv_norm_act::ConvNormAct), and for a layer
/// without a tensor that its module needs.
pub(super) fn add(
    chain: SequentialT,
    layer: &Layer,
    mut tensors: Tensors,
    fused: bool,
) -> Result<SequentialT, TorchError> {
    Ok(match &layer.op {
        Op::Conv(_) | Op::BatchNorm(_) => {
            return Err(TorchError(format!("layer {} has to be built as a ConvNormAct", layer.name)));
        }
        Op::Linear(_) => chain.add(Linear { weight: tensors.take("weight")?, bias: tensors.take_optional("bias") }),
        Op::Act(Act::None) => chain,
        Op::Act(act) => {
            let act = *act;
            chain.add_fn(move |x| activations::apply(act, x))
        }
        Op::MaxPool(pool) => max_pool(chain, layer, &pool.0, fused),
        Op::AvgPool(pool) => avg_pool(chain, layer, &pool.0),
        Op::GlobalAvgPool(_) => chain.add_fn(|x| x.mean_dim([2i64, 3].as_slice(), false, None)),
        Op::AdaptiveAvgPool(pool) => {
            let size = pool.size as i64;
            chain.add_fn(move |x| x.adaptive_avg_pool2d([size, size]))
        }
        Op::Lrn(norm) => lrn(chain, *norm, fused),
        Op::Dropout(dropout) => {
            let rate = dropout.rate;
            chain.add_fn_t(move |x, train| {
                match train && rate > 0.0 && rate < 1.0 && fused && fused::supports_numbers(x) {
                    true => or_panic(fused::dropout(x, rate, random_key())),
                    false => x.dropout(rate, train),
                }
            })
        }
        Op::Flatten(_) => chain.add_fn(|x| x.flatten(1, -1)),
        Op::PadShortcut(shortcut) => pad_shortcut(chain, layer, *shortcut, fused),
        Op::Scale(scale) => {
            let factor = scale.factor;
            chain.add_fn(move |x| x * factor)
        }
    })
}

/// From the generator that the training loop seeds at every step.
fn random_key() -> u64 {
    Tensor::randint(i64::MAX, [1], (Kind::Int64, Device::Cpu)).int64_value(&[0]).cast_unsigned()
}

fn lrn(chain: SequentialT, Lrn { size, alpha, beta, k }: Lrn, fused: bool) -> SequentialT {
    let size = size as i64;
    chain.add_fn(move |x| match fused && fused::supports(x) {
        true => or_panic(fused::lrn(x, size, alpha, beta, k)),
        false => fused::plain_lrn(x, size, alpha, beta, k),
    })
}

fn pad_shortcut(chain: SequentialT, layer: &Layer, shortcut: PadShortcut, fused: bool) -> SequentialT {
    let (channels, stride, average) = (shortcut.width as i64, shortcut.stride as i64, shortcut.average);
    let missing = channels - layer.input.channels() as i64;
    chain.add_fn(move |x| {
        if fused && !average && fused::supports(x) {
            return or_panic(fused::subsample(x, channels, stride));
        }
        let small = match (stride, average) {
            (1, _) => x.shallow_clone(),
            (_, true) => x.avg_pool2d([stride, stride], [stride, stride], [0, 0], true, false, None::<i64>),
            (_, false) => x.slice(2, None, None, stride).slice(3, None, None, stride),
        };
        small.constant_pad_nd([0, 0, 0, 0, 0, missing])
    })
}

#[derive(Debug)]
struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl ModuleT for Linear {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        x.linear(&self.weight, self.bias.as_ref())
    }
}
