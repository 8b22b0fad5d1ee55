//! Tensors and windows at random, most of which fit together, and the comparison with libtorch.

use crate::torch::fused::WindowGeometry;
use crate::torch::{Result, TorchError, catch};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tch::{Device, Kind, Tensor};

/// How the elements lie in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Layout {
    RowMajor,
    ChannelsLast,
    Turned,
    EverySecond,
    Expanded,
    Sparse,
    /// A view whose signs are still to be changed.
    Negative,
    Undefined,
}

#[derive(Clone, Debug)]
pub(super) struct Any {
    pub shape: Vec<i64>,
    pub kind: Kind,
    pub layout: Layout,
    pub salt: f64,
}

impl Any {
    fn values(&self, shape: &[i64]) -> Tensor {
        let count: i64 = shape.iter().product();
        let values = (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 0.7 + self.salt).sin() + 0.01;
        values.view(shape).to_kind(self.kind)
    }

    pub(super) fn tensor(&self) -> Tensor {
        match self.layout {
            Layout::RowMajor => self.values(&self.shape),
            Layout::ChannelsLast if self.shape.len() == 4 => {
                crate::torch::channels_last(&self.values(&self.shape)).unwrap()
            }
            Layout::Turned | Layout::ChannelsLast => {
                let turned: Vec<i64> = self.shape.iter().rev().copied().collect();
                let axes: Vec<i64> = (0..self.shape.len() as i64).rev().collect();
                self.values(&turned).permute(axes)
            }
            Layout::EverySecond => match self.shape.split_last() {
                Some((&last, rest)) => {
                    self.values(&[rest, &[2 * last]].concat()).slice(rest.len() as i64, None, None, 2)
                }
                None => self.values(&[]),
            },
            Layout::Expanded => self.values(&[]).expand(&self.shape, false),
            Layout::Sparse if !self.shape.is_empty() => self.values(&self.shape).to_sparse_sparse_dim(1),
            Layout::Negative if self.kind == Kind::Double => {
                let values = self.values(&self.shape);
                Tensor::complex(&values, &values).conj().imag()
            }
            Layout::Sparse | Layout::Negative => self.values(&self.shape),
            Layout::Undefined => Tensor::new(),
        }
    }
}

/// A tensor of that shape and kind, one in ten of another, in any layout.
pub(super) fn near(shape: Vec<i64>, kind: Kind) -> impl Strategy<Value = Any> {
    let shape = prop_oneof![15 => Just(shape), 1 => vec(0..4i64, 0..6)];
    let other = [Kind::Float, Kind::Double, Kind::BFloat16, Kind::Half, Kind::Int64, Kind::Bool, Kind::ComplexFloat];
    let kind = prop_oneof![15 => Just(kind), 1 => select(other.to_vec())];
    let rare = [Layout::Sparse, Layout::Negative, Layout::Undefined];
    let layout = prop_oneof![
        20 => select(vec![Layout::RowMajor, Layout::ChannelsLast, Layout::Turned, Layout::EverySecond, Layout::Expanded]),
        1 => select(rare.to_vec()),
    ];
    (shape, kind, layout, 0.0..9.0f64).prop_map(|(shape, kind, layout, salt)| Any { shape, kind, layout, salt })
}

pub(super) fn maybe(of: impl Strategy<Value = Any>) -> impl Strategy<Value = Option<Any>> {
    proptest::option::of(of)
}

pub(super) fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![5 => Just(Kind::Double), 2 => Just(Kind::Float), 1 => Just(Kind::BFloat16)]
}

/// The kind of parameters beside activations of that kind.
pub(super) fn of_sums(kind: Kind) -> Kind {
    if kind == Kind::Double { Kind::Double } else { Kind::Float }
}

/// A number that some C++ would multiply, narrow or divide by.
pub(super) fn extreme() -> impl Strategy<Value = i64> {
    select(vec![-1, 0, i64::MIN, i64::MAX, 1 << 31, 1 << 32, (1 << 32) + 1, 1 << 62, -(1 << 62), 255, 257, 65536])
}

pub(super) fn number(usual: std::ops::Range<i64>) -> impl Strategy<Value = i64> {
    prop_oneof![30 => usual, 1 => extreme()]
}

/// Along one side of a map: kernel, stride, padding before, outputs.
pub(super) fn moves_of_a_side(size: i64) -> impl Strategy<Value = [i64; 4]> {
    (1..4i64, number(1..4), number(0..3), 0..3i64, number(1..6), 0..3).prop_map(
        move |(kernel, stride, before, after, out, exact)| {
            let steps = (size + before.clamp(0, 9) + after - kernel).max(0) / stride.clamp(1, 9);
            [kernel, stride, before, if exact > 0 { steps + 1 } else { out }]
        },
    )
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub kernel: [i64; 2],
    pub window: WindowGeometry,
    /// The map, the weight, the bias, gamma, beta, the mean, the variance, the shortcut.
    pub tensors: Vec<Option<Any>>,
}

/// A convolution, perhaps in groups, or a depthwise one, with what may follow it.
pub(super) fn case(depthwise: bool) -> impl Strategy<Value = Case> {
    let sizes = (1..4i64, 1..8i64, 1..7i64, 1..7i64, 1..5i64, 1..4i64, kind());
    let windows = sizes.prop_flat_map(|sizes| (Just(sizes), moves_of_a_side(sizes.2), moves_of_a_side(sizes.3)));
    windows.prop_flat_map(move |((n, c, h, w, k, groups, kind), [kh, sh, top, oh], [kw, sw, left, ow])| {
        let groups = if c % groups == 0 { groups } else { 1 };
        let (k, inputs) = if depthwise { (c, 1) } else { (2 * k * groups, c / groups) };
        let parameter = of_sums(kind);
        let column = || near(vec![k], parameter);
        let out = |side: i64| side.clamp(1, 9);
        let tensors = (
            near(vec![n, c, h, w], kind),
            near(vec![k, inputs, kh, kw], parameter),
            (maybe(column()), maybe(column()), maybe(column())),
            (column(), column(), maybe(near(vec![n, k, out(oh), out(ow)], kind))),
        );
        // One in twelve asks for another kernel than the weight's.
        let kernel = prop_oneof![11 => Just([kh, kw]), 1 => [number(1..6), number(1..6)]];
        (kernel, tensors).prop_map(move |(kernel, (x, weight, (bias, gamma, beta), (mean, var, add)))| Case {
            kernel,
            window: WindowGeometry { stride: [sh, sw], before: [top, left], out: [oh, ow] },
            tensors: vec![Some(x), Some(weight), bias, gamma, beta, Some(mean), Some(var), add],
        })
    })
}

pub(super) type List = Vec<Option<Tensor>>;

pub(super) fn some(list: &List, index: usize) -> &Tensor {
    list[index].as_ref().unwrap()
}

pub(super) fn far(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (a.to_kind(Kind::Double), b.to_kind(Kind::Double));
    if a.numel() == 0 { 0.0 } else { ((&a - &b).abs().max() / (b.abs().max() + 1.0)).double_value(&[]) }
}

/// Runs ours on the tensors and libtorch's on the same numbers in double: an error of ours, or equal results and, for the
/// first `learned`, equal gradients.
pub(super) fn check(
    tensors: &[Option<Any>],
    learned: usize,
    ours: impl Fn(&List) -> Result<Tensor>,
    theirs: impl Fn(&List) -> Tensor,
) -> std::result::Result<(), TestCaseError> {
    let leaves = || -> List {
        let leaf = |(index, any): (usize, &Option<Any>)| {
            let tensor = any.as_ref()?.tensor();
            let learns = index < learned && tensor.defined() && tensor.is_floating_point();
            Some(if learns { tensor.detach().set_requires_grad(true) } else { tensor })
        };
        tensors.iter().enumerate().map(leaf).collect()
    };
    let (mine, others) = (leaves(), leaves());
    let y = match catch(|| ours(&mine)) {
        Ok(Ok(y)) => y,
        Ok(Err(TorchError(message))) | Err(TorchError(message)) => {
            prop_assert!(!message.is_empty());
            return Ok(());
        }
    };
    // An undefined tensor is none to libtorch. Row by row, for libtorch 2.13 has wrong gradients of the batch normalisation of
    // a map one pixel wide that lies channels last, where the gradient that comes in does not.
    let double = |t: &Option<Tensor>| t.as_ref().filter(|t| t.defined()).map(|t| t.to_kind(Kind::Double).contiguous());
    let doubles: List = others.iter().map(double).collect();
    let expected = catch(|| theirs(&doubles));
    prop_assert!(expected.is_ok(), "libtorch refuses: {expected:?}");
    let expected = expected.unwrap();
    prop_assert_eq!(y.size(), expected.size());
    let tolerance = match some(&mine, 0).kind() {
        Kind::Double => 1e-8,
        Kind::Float => 1e-3,
        _ => 0.1,
    };
    prop_assert!(far(&y, &expected) < tolerance, "off by {}", far(&y, &expected));
    if !y.requires_grad() {
        return Ok(());
    }
    let pull = |y: &Tensor| {
        let salt = Any { shape: y.size(), kind: Kind::Double, layout: Layout::RowMajor, salt: 0.3 };
        catch(|| (y.to_kind(Kind::Double) * salt.tensor()).sum(Kind::Double).backward())
    };
    prop_assert!(pull(&y).is_ok() && pull(&expected).is_ok());
    // Equal numbers have no one maximum, nor one side of a corner.
    let equal = tensors.iter().flatten().any(|any| any.layout == Layout::Expanded);
    for (a, b) in mine.iter().zip(&others).take(if equal || tolerance > 1e-3 { 0 } else { learned }) {
        if let (Some(a), Some(b)) = (a, b) {
            let grad = |tensor: &Tensor| if tensor.defined() { tensor.grad() } else { Tensor::new() };
            let (a, b) = (grad(a), grad(b));
            prop_assert_eq!(a.defined(), b.defined());
            let bound = tolerance * 100.0;
            prop_assert!(!a.defined() || far(&a, &b) < bound, "a gradient is off by {}", far(&a, &b));
        }
    }
    Ok(())
}

/// The map with the padding that the window asks for, or without what it does not reach.
pub(super) fn padded(x: &Tensor, kernel: &[i64], window: &WindowGeometry, fill: f64) -> Tensor {
    let size = x.size();
    let after = |axis: usize| {
        (window.out[axis] - 1) * window.stride[axis] + kernel[axis] - window.before[axis] - size[axis + 2]
    };
    x.pad([window.before[1], after(1), window.before[0], after(0)], "constant", fill)
}

/// The groups of a convolution that the sizes of its map and weight allow, 1 where they allow none.
pub(super) fn groups_of(l: &List) -> i64 {
    let inputs = |index: usize| some(l, index).size().get(1).copied().unwrap_or(1).max(1);
    (inputs(0) / inputs(1)).max(1)
}

pub(super) fn plain_conv(l: &List, window: &WindowGeometry, groups: i64) -> Tensor {
    let x = padded(some(l, 0), &some(l, 1).size()[2..], window, 0.0);
    x.conv2d(some(l, 1), l[2].as_ref(), window.stride, [0, 0], [1, 1], groups)
}
