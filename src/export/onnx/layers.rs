//! Single layers as nodes.

use super::OnnxError;
use super::graph::{GraphBuilder, float, int, ints};
use crate::arch::activations::Act;
use crate::arch::layer::Layer;
use crate::arch::ops::{BatchNorm, Conv, Linear, Lrn, Op, PadShortcut};

type Result<T> = std::result::Result<T, OnnxError>;

impl GraphBuilder<'_> {
    /// The layer's nodes; gives the name of their output.
    pub(super) fn layer(&mut self, layer: &Layer, x: String) -> Result<String> {
        Ok(match &layer.op {
            Op::Conv(conv) => self.conv(layer, conv, x)?,
            Op::Linear(linear) => self.linear(layer, linear, x)?,
            Op::BatchNorm(norm) => self.batch_norm(layer, norm, x)?,
            Op::Act(act) => self.act(*act, x),
            Op::MaxPool(pool) => self.max_pool(layer, &pool.0, x),
            Op::AvgPool(pool) => self.avg_pool(layer, &pool.0, x),
            Op::GlobalAvgPool(_) => {
                let mean = self.op("GlobalAveragePool", vec![x], Vec::new());
                self.op("Flatten", vec![mean], vec![int("axis", 1)])
            }
            Op::AdaptiveAvgPool(pool) => self.adaptive_avg_pool(layer, pool.size, x),
            Op::Lrn(lrn) => self.lrn(layer, lrn, x),
            Op::Dropout(_) => x,
            Op::Flatten(_) => self.op("Flatten", vec![x], vec![int("axis", 1)]),
            Op::PadShortcut(shortcut) => self.pad_shortcut(layer, shortcut, x),
            Op::Scale(scale) => self.times(x, scale.factor),
        })
    }

    fn conv(&mut self, layer: &Layer, conv: &Conv, x: String) -> Result<String> {
        let (h, w) = layer.input.sides();
        let (window, pad) = (&conv.window, conv.window.pad(h, w));
        let mut inputs = vec![x, self.param(&format!("{}.weight", layer.name))?];
        if conv.bias {
            inputs.push(self.param(&format!("{}.bias", layer.name))?);
        }
        let attributes = vec![
            ints("kernel_shape", &[window.kernel.h, window.kernel.w]),
            ints("strides", &[window.stride.h, window.stride.w]),
            ints("pads", &[pad.top, pad.left, pad.bottom, pad.right]),
            int("group", conv.groups as i64),
        ];
        Ok(self.named_op("Conv", &layer.name, inputs, attributes))
    }

    fn linear(&mut self, layer: &Layer, linear: &Linear, x: String) -> Result<String> {
        let mut inputs = vec![x, self.param(&format!("{}.weight", layer.name))?];
        if linear.bias {
            inputs.push(self.param(&format!("{}.bias", layer.name))?);
        }
        Ok(self.named_op("Gemm", &layer.name, inputs, vec![int("transB", 1)]))
    }

    fn batch_norm(&mut self, layer: &Layer, norm: &BatchNorm, x: String) -> Result<String> {
        let gamma = match norm.gamma {
            Some(_) => self.param(&format!("{}.weight", layer.name))?,
            None => {
                let channels = layer.input.channels();
                self.floats(&[channels as i64], &vec![1.0; channels])
            }
        };
        let mut inputs = vec![x, gamma];
        for tensor in ["bias", "running_mean", "running_var"] {
            inputs.push(self.param(&format!("{}.{tensor}", layer.name))?);
        }
        Ok(self.named_op("BatchNormalization", &layer.name, inputs, vec![float("epsilon", norm.eps)]))
    }

    fn act(&mut self, act: Act, x: String) -> String {
        match act {
            Act::None => x,
            Act::Relu => self.op("Relu", vec![x], Vec::new()),
            Act::Relu6 => {
                let (low, high) = (self.scalar(0.0), self.scalar(6.0));
                self.op("Clip", vec![x, low, high], Vec::new())
            }
            Act::Silu => {
                let gate = self.op("Sigmoid", vec![x.clone()], Vec::new());
                self.op("Mul", vec![x, gate], Vec::new())
            }
            Act::Sigmoid => self.op("Sigmoid", vec![x], Vec::new()),
        }
    }

    fn lrn(&mut self, layer: &Layer, lrn: &Lrn, x: String) -> String {
        let Lrn { size, alpha, beta, k } = *lrn;
        if size % 2 == 1 {
            let attributes =
                vec![int("size", size as i64), float("alpha", alpha), float("beta", beta), float("bias", k)];
            return self.op("LRN", vec![x], attributes);
        }
        // For an even size, ONNX takes the longer half after the channel, PyTorch before it. The sum over neighbours is a 1x1
        // convolution with a band of ones.
        let channels = layer.input.channels();
        let near = |out: usize, channel: usize| channel + size / 2 >= out && channel <= out + (size - 1) / 2;
        let band: Vec<f32> = (0..channels * channels)
            .map(|index| if near(index / channels, index % channels) { alpha as f32 / size as f32 } else { 0.0 })
            .collect();
        let band = self.floats(&[channels as i64, channels as i64, 1, 1], &band);
        let squares = self.op("Mul", vec![x.clone(), x.clone()], Vec::new());
        let mean = self.op("Conv", vec![squares, band], vec![ints("kernel_shape", &[1, 1])]);
        let (k, beta) = (self.scalar(k), self.scalar(beta));
        let sum = self.op("Add", vec![mean, k], Vec::new());
        let power = self.op("Pow", vec![sum, beta], Vec::new());
        self.op("Div", vec![x, power], Vec::new())
    }

    fn pad_shortcut(&mut self, layer: &Layer, shortcut: &PadShortcut, x: String) -> String {
        let PadShortcut { width, stride, average } = *shortcut;
        let small = match (stride, average) {
            (1, _) => x,
            (_, true) => self.mean_of_cells(layer, stride, x),
            (_, false) => {
                let parts = [[0, 0], [i64::MAX, i64::MAX], [2, 3], [stride as i64; 2]].map(|part| self.integers(&part));
                self.op("Slice", std::iter::once(x).chain(parts).collect(), Vec::new())
            }
        };
        let missing = (width - layer.input.channels()) as i64;
        if missing == 0 {
            return small;
        }
        let pads = self.integers(&[0, 0, 0, 0, 0, missing, 0, 0]);
        self.op("Pad", vec![small, pads], Vec::new())
    }
}
