//! Every entry of the lists of operations and activations has all its parts; a failure names what an entry lacks.

use super::activations;
use super::batch_norm::BatchNorm;
use super::conv_norm_act::ConvNormAct;
use super::tensors::Tensors;
use super::{Builder, Model, Segment};
use crate::arch::activations::Act;
use crate::arch::layer::Layer;
use crate::arch::node::Node;
use crate::arch::ops::{self, Op};
use crate::arch::shape::Shape;
use crate::arch::style::Init;
use crate::torch::catch;
use std::collections::{BTreeSet, HashMap};
use tch::nn::ModuleT as _;
use tch::{Device, Kind, Tensor, nn};

/// A model of one layer, in float64.
fn model_of(layer: &Layer, rewrite: bool) -> Model {
    let store = nn::VarStore::new(Device::Cpu);
    let mut builder = Builder::new(store.root(), rewrite, None, Default::default());
    let trunk = builder.chain(&[Node::Layer(layer.clone())]).unwrap();
    let params = builder.params;
    super::init::initialise(&params, &Init::default(), 1);
    let segments = vec![Segment { trunk, head: None, frozen: false }];
    let (absent_heads, sync) = (Vec::new(), None);
    let mut model = Model { store, segments, params, absent_heads, channels_last: false, sync };
    model.to_kind(Kind::Double);
    model
}

fn sizes(batch: i64, shape: Shape) -> Vec<i64> {
    let sides = match shape {
        Shape::Map { c, h, w } => vec![c, h, w],
        Shape::Vector { n } => vec![n],
    };
    std::iter::once(batch).chain(sides.into_iter().map(|side| side as i64)).collect()
}

/// Numbers from -8 to 8.
fn wide(shape: &[i64]) -> Tensor {
    let count: i64 = shape.iter().product();
    (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 0.7).sin().view(shape) * 8.0
}

fn differ(a: &Tensor, b: &Tensor) -> bool {
    a.size() != b.size() || (a - b).abs().max().double_value(&[]) > 1e-9
}

/// What an operation lacks in its text and in its module.
fn lacks_of_operation(op: &Op, input: Shape) -> BTreeSet<String> {
    let mut lacks = BTreeSet::new();
    for (what, text) in [("description", op.describe()), ("label", op.label())] {
        if text.trim().is_empty() {
            lacks.insert(format!("a {what}"));
        }
    }
    let output = match op.output(input) {
        Ok(output) => output,
        Err(error) => return BTreeSet::from([format!("an example that it accepts: {error}")]),
    };
    let layer = Layer { name: "layer".to_owned(), op: op.clone(), input, output };
    if layer.cost().macs > 0 && !layer.params().iter().any(|param| param.role.is_weight()) {
        lacks.insert("a weight behind its multiply-adds".to_owned());
    }
    let x = wide(&sizes(3, input));
    let [fast, plain] = [true, false].map(|rewrite| model_of(&layer, rewrite));
    for model in [&fast, &plain] {
        let built: HashMap<String, Vec<i64>> =
            model.variables().into_iter().map(|(name, tensor)| (name, tensor.size())).collect();
        let listed: HashMap<String, Vec<i64>> = layer.params().into_iter().map(|p| (p.name, p.shape)).collect();
        if built != listed {
            lacks.insert(format!("the tensors that it lists: {listed:?}, but its module has {built:?}"));
        }
        for train in [false, true] {
            let got = model.forward(&x, train).logits.size();
            if got != sizes(3, output) {
                lacks.insert(format!("the output that it states: {output}, but its module gives {got:?}"));
            }
        }
    }
    if differ(&fast.forward(&x, false).logits, &plain.forward(&x, false).logits) {
        lacks.insert("a rewritten form that computes the same".to_owned());
    }
    lacks
}

#[test]
fn every_operation_is_whole() {
    let mut lacks = Vec::new();
    let mut described: HashMap<String, Op> = HashMap::new();
    for (op, input) in Op::examples() {
        lacks.extend(lacks_of_operation(&op, input).into_iter().map(|what| format!("{op:?} lacks {what}")));
        if let Some(other) = described.insert(op.describe(), op.clone()) {
            lacks.push(format!("{op:?} lacks a description of its own: {other:?} has it too"));
        }
    }
    assert!(lacks.is_empty(), "{}", lacks.join("\n"));
}

/// Normalisation and activation by the kernel or by libtorch's operations: the output and the gradients of the input, of
/// γ and of the shortcut.
fn normalised(act: Act, fused: bool, add: bool) -> Vec<Tensor> {
    let shape = [3, 4, 5, 6];
    let leaf = |values: Tensor| values.set_requires_grad(true);
    let (x, shortcut) = (leaf(wide(&shape)), leaf(wide(&shape).flip([0])));
    let channels = || Tensor::linspace(0.5, 2.0, 4, (Kind::Double, Device::Cpu));
    let gamma = leaf(channels() * 4.0);
    let tensors = [
        ("weight", gamma.shallow_clone()),
        ("bias", leaf(channels())),
        ("running_mean", channels()),
        ("running_var", channels()),
    ];
    let tensors = Tensors::new("norm", tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into());
    let norm = ops::BatchNorm { eps: 1e-5, momentum: 0.1, gamma: Some(1.0) };
    let module = ConvNormAct { conv: None, norm: Some(BatchNorm::new(&norm, fused, None, tensors).unwrap()), act };
    let y = if add { module.forward_sum(&x, 1.0, &shortcut, true) } else { module.forward_t(&x, true) };
    (&y * y.cos()).sum(Kind::Double).backward();
    let mut results = vec![y, x.grad(), gamma.grad()];
    if add {
        results.push(shortcut.grad());
    }
    results
}

fn lacks_of_activation(act: Act) -> Vec<&'static str> {
    let mut lacks = Vec::new();
    let written = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(act.name());
    if <Act as serde::Deserialize>::deserialize(written) != Ok(act) {
        lacks.push("a name that reads back as itself");
    }
    if act.fused() != activations::kernel(act).is_some() {
        lacks.push("agreement between `fused` and whether there is a kernel");
    }
    if act.joins_sum() && !act.fused() {
        lacks.push("a kernel, which `joins_sum` needs");
    }
    for add in [false, true] {
        let autograd = normalised(act, false, add);
        // A kernel that does not know the activation throws.
        let agrees = catch(|| normalised(act, true, add))
            .is_ok_and(|fused| !fused.iter().zip(&autograd).any(|(a, b)| differ(a, b)));
        if !agrees {
            lacks.push(match add {
                true => "a kernel behind a sum with libtorch's gradients",
                false => "a kernel with libtorch's outputs and gradients",
            });
        }
    }
    // The derivative by differences, away from corners.
    let x = (Tensor::arange(33, (Kind::Double, Device::Cpu)) * 0.5 - 8.0 + 0.1).set_requires_grad(true);
    activations::apply(act, &x).sum(Kind::Double).backward();
    let step = 1e-5;
    let slope =
        tch::no_grad(|| (activations::apply(act, &(&x + step)) - activations::apply(act, &(&x - step))) / (2.0 * step));
    if (x.grad() - slope).abs().max().double_value(&[]) > 1e-6 {
        lacks.push("a gradient that is its derivative");
    }
    lacks
}

#[test]
fn every_activation_is_whole() {
    let mut lacks = Vec::new();
    let mut labels: HashMap<&str, Act> = HashMap::new();
    for &act in Act::ALL {
        lacks.extend(lacks_of_activation(act).into_iter().map(|what| format!("{act:?} lacks {what}")));
        if let Some(other) = labels.insert(act.label(), act) {
            lacks.push(format!("{act:?} lacks a label of its own: {other:?} has it too"));
        }
    }
    assert!(lacks.is_empty(), "{}", lacks.join("\n"));
}
