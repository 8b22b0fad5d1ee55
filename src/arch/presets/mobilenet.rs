//! MobileNets: depthwise separable convolutions (Howard et al. 2017), inverted residuals (Sandler et al. 2018).

use super::{ExpandPreset, KeyError, PresetRows, is_half};
use crate::arch::activations::Act;
use crate::arch::multipliers::Multipliers;
use crate::arch::name::Name;
use crate::arch::rows::{ClassifierRow, ConvRow, DropoutRow, GlobalAvgPoolRow, InvertedResidualRow, Row, SeparableRow};
use crate::arch::style::{Init, Scheme, Style};
use crate::arch::window::Padding;
use serde::{Deserialize, Serialize};

/// Keys of the preset `mobilenet_v1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MobilenetV1 {
    /// Width multiplier; every width is multiplied and cut to a whole number.
    pub alpha: f64,
    /// Stride of the first convolution: 2 for ImageNet, 1 for small images.
    pub stem_stride: usize,
    /// Padding of the 3x3 convolutions: `half` is PyTorch's, `same` TensorFlow's and Keras's, which adds the odd pixel of a stride of
    /// 2 at the bottom and right.
    #[serde(skip_serializing_if = "is_half")]
    pub padding: Padding,
    pub dropout: f64,
}

impl Default for MobilenetV1 {
    fn default() -> MobilenetV1 {
        MobilenetV1 { alpha: 1.0, stem_stride: 2, padding: Padding::Half, dropout: 0.001 }
    }
}

impl ExpandPreset for MobilenetV1 {
    fn expand(&self, _classes: usize) -> Result<PresetRows, KeyError> {
        let alpha = multiplier(self.alpha)?;
        let width = |width: usize| ((width as f64 * alpha) as usize).max(1);
        let stem = ConvRow::new(3, width(32)).stride(self.stem_stride).padding(self.padding).name("conv1");
        let mut rows: Vec<Row> = vec![stem.into()];
        // table 1, its blocks grouped by width
        let stages = [(64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2)];
        for (index, (channels, repeat, stride)) in stages.into_iter().enumerate() {
            let name = Name::new(&format!("stage{}", index + 1));
            let padding = self.padding;
            rows.push(SeparableRow { width: width(channels), repeat, stride, padding, name }.into());
        }
        rows.push(GlobalAvgPoolRow::default().into());
        rows.push(DropoutRow { rate: self.dropout, name: Name::default() }.into());
        rows.push(ClassifierRow::named("fc").into());
        let init = Init { conv: Scheme::GlorotUniform, linear: Scheme::GlorotUniform, ..Init::default() };
        Ok(PresetRows::new(Style { act: Act::Relu6, bn_eps: 1e-3, bn_momentum: 0.01, init, ..Style::default() }, rows))
    }
}

/// The width multiplier of either version.
fn multiplier(alpha: f64) -> Result<f64, KeyError> {
    if (0.001..=1000.0).contains(&alpha) {
        return Ok(alpha);
    }
    Err(KeyError::new("alpha", format!("the width multiplier is between 0.001 and 1000, not {alpha}")))
}

/// Keys of the preset `mobilenet_v2`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MobilenetV2 {
    /// Width multiplier; widths become multiples of 8, the last convolution never falls below 1280.
    pub alpha: f64,
    /// Stride of the first convolution: 2 for ImageNet, 1 for small images.
    pub stem_stride: usize,
    /// Padding of the 3x3 convolutions: `half` is PyTorch's, `same` TensorFlow's and Keras's, which adds the odd pixel of a stride of
    /// 2 at the bottom and right.
    #[serde(skip_serializing_if = "is_half")]
    pub padding: Padding,
    pub dropout: f64,
}

impl Default for MobilenetV2 {
    fn default() -> MobilenetV2 {
        MobilenetV2 { alpha: 1.0, stem_stride: 2, padding: Padding::Half, dropout: 0.2 }
    }
}

/// Expansion, width, repeats, stride of table 2.
const STAGES: [(usize, usize, usize, usize); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

impl ExpandPreset for MobilenetV2 {
    fn expand(&self, _classes: usize) -> Result<PresetRows, KeyError> {
        let by = Multipliers { depth: 1.0, width: multiplier(self.alpha)?, round: 8 };
        let conv = |kernel, width| ConvRow::new(kernel, width).names(&["features.{}.0", "features.{=}.1"]);
        let padding = self.padding;
        let mut rows: Vec<Row> = vec![conv(3, by.width(32)).stride(self.stem_stride).padding(padding).into()];
        for (expand, width, repeat, stride) in STAGES {
            let (width, name) = (by.width(width), Name::new("features.{}"));
            rows.push(InvertedResidualRow { expand, width, repeat, stride, padding, name }.into());
        }
        rows.push(conv(1, by.width(1280).max(1280)).into());
        rows.push(GlobalAvgPoolRow::default().into());
        rows.push(DropoutRow { rate: self.dropout, name: Name::new("classifier.{}") }.into());
        rows.push(ClassifierRow::named("classifier.{}").into());
        let init = Init { linear: Scheme::Normal, ..Init::default() };
        Ok(PresetRows::new(Style { act: Act::Relu6, init, ..Style::default() }, rows))
    }
}
