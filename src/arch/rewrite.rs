//! Rewrites: the same function of the same parameters, computed faster. Which taps of a kernel matter depends on the size of
//! the map, which the value knows.

use super::layer::Layer;
use super::node::{Merge, Node, Residual, SurvivalGate};
use super::ops::{Act, BatchNorm, Conv, Op};
use super::shape::Shape;
use super::window::{Pad, Pair};

/// How a convolution is computed on a map of known size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvPlan {
    /// First row and column of the kernel that can touch the map.
    pub first: Pair,
    /// Rows and columns of the kernel that can touch it.
    pub taps: Pair,
    /// Padding that the remaining taps need.
    pub pad: Pad,
    /// Whether it is one tap at every pixel: a matrix product over pixels.
    pub dense: bool,
}

impl ConvPlan {
    /// The convolution as it is written.
    pub fn plain(conv: &Conv, input: Shape) -> ConvPlan {
        let (h, w) = input.sides();
        ConvPlan { first: Pair { h: 0, w: 0 }, taps: conv.window.kernel, pad: conv.window.pad(h, w), dense: false }
    }

    /// Cuts off taps that only ever meet padding (a 5x5 on a 2x2 map uses 3x3 of them, a 3x3 on a 1x1 map one), and finds
    /// convolutions that are matrix products.
    pub fn rewritten(conv: &Conv, input: Shape, output: Shape) -> ConvPlan {
        let ((h, w), (out_h, out_w)) = (input.sides(), output.sides());
        let plain = ConvPlan::plain(conv, input);
        let (stride, kernel) = (conv.window.stride, conv.window.kernel);
        let (top, taps_h, before_h, after_h) = cropped(h, out_h, kernel.h, stride.h, plain.pad.top);
        let (left, taps_w, before_w, after_w) = cropped(w, out_w, kernel.w, stride.w, plain.pad.left);
        let pad = Pad { top: before_h, bottom: after_h, left: before_w, right: after_w };
        let taps = Pair { h: taps_h, w: taps_w };
        let one = Pair::square(1);
        let bare = pad == Pad { top: 0, bottom: 0, left: 0, right: 0 };
        // On a map of one pixel the stride does not matter.
        let still = stride == one || (out_h, out_w) == (1, 1) && (h, w) == (1, 1);
        let dense = taps == one && still && bare && conv.groups == 1;
        ConvPlan { first: Pair { h: top, w: left }, taps, pad, dense }
    }
}

/// One module of the graph that runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step<'n> {
    Node(&'n Node),
    ConvNormAct(ConvNormActLayers<'n>),
}

/// Layers that run as one module: a convolution, its normalisation and its activation.
/// At least one of convolution and normalisation is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvNormActLayers<'n> {
    pub conv: Option<(&'n Layer, &'n Conv)>,
    pub norm: Option<(&'n Layer, &'n BatchNorm)>,
    pub act: Act,
}

/// Splits a chain into modules. With `fuse`, normalisations and non-linearities join the convolution in front of them.
pub fn steps<'n>(nodes: &[&'n Node], fuse: bool) -> Vec<Step<'n>> {
    let mut steps: Vec<Step> = Vec::new();
    for &node in nodes {
        let Node::Layer(layer) = node else {
            steps.push(Step::Node(node));
            continue;
        };
        let last = match steps.last_mut() {
            Some(Step::ConvNormAct(last)) if fuse && last.act == Act::None => Some(last),
            _ => None,
        };
        let alone = ConvNormActLayers { conv: None, norm: None, act: Act::None };
        match (&layer.op, last) {
            (Op::Conv(conv), _) => {
                steps.push(Step::ConvNormAct(ConvNormActLayers { conv: Some((layer, conv)), ..alone }))
            }
            (Op::BatchNorm(norm), Some(last)) if last.norm.is_none() => last.norm = Some((layer, norm)),
            (Op::BatchNorm(norm), _) => {
                steps.push(Step::ConvNormAct(ConvNormActLayers { norm: Some((layer, norm)), ..alone }));
            }
            (Op::Act(act), Some(last)) if act.fused() => last.act = *act,
            _ => steps.push(Step::Node(node)),
        }
    }
    steps
}

/// The non-linearity after a block's sum, where the last module of its body can compute both: act(factor · norm(conv(…)) + shortcut). The
/// factor is the sum's scale, times the survival probability in evaluation. Blocks that skip single images do not join.
pub fn joins_sum(residual: &Residual, last: Option<&Step>) -> Option<Act> {
    let Some(Step::ConvNormAct(ConvNormActLayers { act: Act::None, .. })) = last else { return None };
    let skips_images = residual.survival.probability < 1.0 && residual.survival.gate == SurvivalGate::Sample;
    if !matches!(residual.merge, Merge::Sum { .. }) || skips_images {
        return None;
    }
    match residual.after.as_slice() {
        [] => Some(Act::None),
        [Node::Layer(Layer { op: Op::Act(act), .. })] => Some(*act).filter(|act| act.joins_sum()),
        _ => None,
    }
}

/// Along one side: the first tap that meets the map, how many do, and the padding before and after that they need.
fn cropped(size: usize, out: usize, kernel: usize, stride: usize, before: usize) -> (usize, usize, usize, usize) {
    // Tap t of output o reads pixel o·stride + t − before.
    let reads = |o: usize, t: usize| (o * stride + t).checked_sub(before).is_some_and(|pixel| pixel < size);
    let useful = |&t: &usize| (0..out).any(|o| reads(o, t));
    let first = (0..kernel).find(useful).unwrap_or(0);
    let last = (0..kernel).rev().find(useful).unwrap_or(0);
    let taps = last - first + 1;
    let pad_before = before.saturating_sub(first);
    // Cutting more taps than there is padding in front would move the map; keep the whole kernel then.
    if first > before {
        let after = ((out - 1) * stride + kernel).saturating_sub(size + before);
        return (0, kernel, before, after);
    }
    let pad_after = ((out - 1) * stride + taps).saturating_sub(size + pad_before);
    (first, taps, pad_before, pad_after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::ops::Operation as _;
    use crate::arch::window::Padding;

    fn plan(kernel: usize, stride: usize, side: usize) -> ConvPlan {
        let conv = Conv::new(8, kernel).stride(stride);
        let input = Shape::Map { c: 4, h: side, w: side };
        let output = conv.output(input).unwrap();
        ConvPlan::rewritten(&conv, input, output)
    }

    #[test]
    fn taps_that_meet_only_padding_are_cut() {
        let five_on_two = plan(5, 1, 2);
        assert_eq!((five_on_two.first, five_on_two.taps), (Pair::square(1), Pair::square(3)));
        assert_eq!((five_on_two.pad.top, five_on_two.pad.bottom), (1, 1));
        for kernel in [3, 5, 7] {
            let on_one = plan(kernel, 1, 1);
            assert_eq!((on_one.first, on_one.taps), (Pair::square(kernel / 2), Pair::square(1)));
            assert!(on_one.dense);
        }
        assert_eq!(plan(5, 1, 4).taps, Pair::square(5));
    }

    #[test]
    fn a_one_by_one_without_stride_is_a_matrix_product() {
        assert!(plan(1, 1, 14).dense);
        assert!(!plan(1, 2, 14).dense && !plan(3, 1, 14).dense);
    }

    #[test]
    fn what_is_needed_stays() {
        let conv = Conv::new(8, 7).stride(2).padding(Padding::Same);
        let input = Shape::Map { c: 1, h: 28, w: 28 };
        let rewritten = ConvPlan::rewritten(&conv, input, Shape::Map { c: 8, h: 14, w: 14 });
        assert_eq!(rewritten, ConvPlan::plain(&conv, input));
    }
}
