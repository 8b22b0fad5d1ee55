//! Poolings as nodes. ONNX's rounding up of sizes has changed between versions, so windows that reach over the end of a map are
//! written as padding of the size that they need.

use super::graph::{GraphBuilder, int, ints};
use super::proto::Attribute;
use crate::arch::layer::Layer;
use crate::arch::window::{Pad, Padding, Pair, Window};

/// How far the windows reach over the map and the padding in front of it, at the bottom and at the right.
fn reach(layer: &Layer, window: &Window, pad: Pad) -> Pair {
    let ((h, w), (out_h, out_w)) = (layer.input.sides(), layer.output.sides());
    let over = |out: usize, stride: usize, kernel: usize, size: usize, before: usize| {
        ((out - 1) * stride + kernel).saturating_sub(size + before)
    };
    Pair {
        h: over(out_h, window.stride.h, window.kernel.h, h, pad.top),
        w: over(out_w, window.stride.w, window.kernel.w, w, pad.left),
    }
}

fn attributes(window: &Window, pad: Pad) -> Vec<Attribute> {
    vec![
        ints("kernel_shape", &[window.kernel.h, window.kernel.w]),
        ints("strides", &[window.stride.h, window.stride.w]),
        ints("pads", &[pad.top, pad.left, pad.bottom, pad.right]),
    ]
}

impl GraphBuilder<'_> {
    pub(super) fn max_pool(&mut self, layer: &Layer, window: &Window, x: String) -> String {
        let (h, w) = layer.input.sides();
        let pad = window.pad(h, w);
        let reach = reach(layer, window, pad);
        self.op("MaxPool", vec![x], attributes(window, Pad { bottom: reach.h, right: reach.w, ..pad }))
    }

    /// The mean of each window. Pixels of the padding count, except with "same" padding; those after the padding, which only
    /// rounding up reaches, never do.
    pub(super) fn avg_pool(&mut self, layer: &Layer, window: &Window, x: String) -> String {
        let (h, w) = layer.input.sides();
        let pad = window.pad(h, w);
        let reach = reach(layer, window, pad);
        let counts = |counts: bool| int("count_include_pad", i64::from(counts));
        if window.padding == Padding::Same {
            let mut attributes = attributes(window, Pad { bottom: reach.h, right: reach.w, ..pad });
            attributes.push(counts(false));
            return self.op("AveragePool", vec![x], attributes);
        }
        // The padding as pixels of a larger map, where it counts.
        let padded = match pad == (Pad { top: 0, bottom: 0, left: 0, right: 0 }) {
            true => x,
            false => {
                let sides = [0, 0, pad.top, pad.left, 0, 0, pad.bottom, pad.right].map(|side| side as i64);
                let sides = self.integers(&sides);
                self.op("Pad", vec![x, sides], Vec::new())
            }
        };
        let over = [reach.h.saturating_sub(pad.bottom), reach.w.saturating_sub(pad.right)];
        let mut attributes = attributes(window, Pad { top: 0, left: 0, bottom: over[0], right: over[1] });
        attributes.push(counts(false));
        self.op("AveragePool", vec![padded], attributes)
    }

    /// The mean of each `side`×`side` cell, of fewer pixels at the edges.
    pub(super) fn mean_of_cells(&mut self, layer: &Layer, side: usize, x: String) -> String {
        let window = Window { ceil: true, ..Window::new(side, side, Padding::Valid) };
        self.avg_pool(layer, &window, x)
    }

    /// The mean of each cell of a grid. Where the grid does not divide the map, cells overlap, and the means are two products
    /// with matrices of weights.
    pub(super) fn adaptive_avg_pool(&mut self, layer: &Layer, size: usize, x: String) -> String {
        let (h, w) = layer.input.sides();
        if size == 1 {
            return self.op("GlobalAveragePool", vec![x], Vec::new());
        }
        if (h, w) == (size, size) {
            return x;
        }
        if h % size == 0 && w % size == 0 {
            let cell = Pair { h: h / size, w: w / size };
            let window = Window { kernel: cell, stride: cell, padding: Padding::Valid, ceil: false };
            return self.avg_pool(layer, &window, x);
        }
        let rows = self.floats(&[size as i64, h as i64], &means(size, h));
        let columns = means(size, w);
        let turned: Vec<f32> = (0..w * size).map(|index| columns[index % size * w + index / size]).collect();
        let columns = self.floats(&[w as i64, size as i64], &turned);
        let y = self.op("MatMul", vec![rows, x], Vec::new());
        self.op("MatMul", vec![y, columns], Vec::new())
    }
}

/// The matrix `[size, side]` of the weights of pixels in the cells along one side: cell i is ⌊i·side/size⌋ to ⌈(i+1)·side/size⌉.
fn means(size: usize, side: usize) -> Vec<f32> {
    let weight = |index: usize| {
        let (cell, pixel) = (index / side, index % side);
        let (start, end) = (cell * side / size, ((cell + 1) * side).div_ceil(size));
        if (start..end).contains(&pixel) { 1.0 / (end - start) as f32 } else { 0.0 }
    };
    (0..size * side).map(weight).collect()
}
