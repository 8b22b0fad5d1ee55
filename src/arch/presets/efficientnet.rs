//! EfficientNet B0 to B7 (Tan & Le 2019, table 1 and the released coefficients).

use super::{ExpandPreset, KeyError, PresetRows, is_half};
use crate::arch::activations::Act;
use crate::arch::multipliers::Multipliers;
use crate::arch::name::Name;
use crate::arch::network::{Decay, StochasticDepth};
use crate::arch::node::SurvivalGate;
use crate::arch::rows::{ClassifierRow, ConvRow, DropoutRow, GlobalAvgPoolRow, MbconvRow, Row};
use crate::arch::style::{Init, Scheme, Style};
use crate::arch::window::Padding;
use serde::{Deserialize, Serialize};

/// The released networks. Their coefficients do not follow the compound rule exactly; the table is what counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EfficientnetVariant {
    #[default]
    B0,
    B1,
    B2,
    B3,
    B4,
    B5,
    B6,
    B7,
}

impl EfficientnetVariant {
    /// Width, depth and dropout; the input sides are 224, 240, 260, 300, 380, 456, 528, 600.
    fn coefficients(self) -> (f64, f64, f64) {
        match self {
            EfficientnetVariant::B0 => (1.0, 1.0, 0.2),
            EfficientnetVariant::B1 => (1.0, 1.1, 0.2),
            EfficientnetVariant::B2 => (1.1, 1.2, 0.3),
            EfficientnetVariant::B3 => (1.2, 1.4, 0.3),
            EfficientnetVariant::B4 => (1.4, 1.8, 0.4),
            EfficientnetVariant::B5 => (1.6, 2.2, 0.4),
            EfficientnetVariant::B6 => (1.8, 2.6, 0.5),
            EfficientnetVariant::B7 => (2.0, 3.1, 0.5),
        }
    }
}

/// Keys of the preset `efficientnet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Efficientnet {
    pub variant: EfficientnetVariant,
    /// Stride of the first convolution: 2 for ImageNet, 1 for small images.
    pub stem_stride: usize,
    /// Padding of the stem and the depthwise convolutions: `half` is torchvision's, `same` TensorFlow's and Keras's.
    #[serde(skip_serializing_if = "is_half")]
    pub padding: Padding,
    /// Hidden channels of squeeze-and-excitation as a fraction of a block's input; 0 leaves it out.
    pub se: f64,
}

impl Default for Efficientnet {
    fn default() -> Efficientnet {
        Efficientnet { variant: EfficientnetVariant::B0, stem_stride: 2, padding: Padding::Half, se: 0.25 }
    }
}

/// Kernel, expansion, width, repeats, stride of B0 (table 1).
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (3, 1, 16, 1, 1),
    (3, 6, 24, 2, 2),
    (5, 6, 40, 2, 2),
    (3, 6, 80, 3, 2),
    (5, 6, 112, 3, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
];

impl ExpandPreset for Efficientnet {
    fn expand(&self, _classes: usize) -> Result<PresetRows, KeyError> {
        let (width, depth, dropout) = self.variant.coefficients();
        let by = Multipliers { depth, width, round: 8 };
        let padding = self.padding;
        let stem = ConvRow::new(3, by.width(32)).stride(self.stem_stride).padding(padding);
        let mut rows: Vec<Row> = vec![stem.names(&["features.0.0", "features.0.1"]).into()];
        for (index, (kernel, expand, channels, repeat, stride)) in STAGES.into_iter().enumerate() {
            let name = Name::new(&format!("features.{}", index + 1));
            let (width, repeat) = (by.width(channels), by.repeat(repeat));
            rows.push(MbconvRow { kernel, expand, width, repeat, stride, se: self.se, padding, name }.into());
        }
        rows.push(ConvRow::new(1, by.width(1280)).names(&["features.8.0", "features.8.1"]).into());
        rows.push(GlobalAvgPoolRow::default().into());
        rows.push(DropoutRow { rate: dropout, name: Name::new("classifier.{}") }.into());
        rows.push(ClassifierRow::named("classifier.{}").into());
        // B5 to B7 have TensorFlow's normalisation in torchvision, the smaller ones PyTorch's; TensorFlow has it everywhere.
        let (bn_eps, bn_momentum) = match self.variant {
            EfficientnetVariant::B5 | EfficientnetVariant::B6 | EfficientnetVariant::B7 => (1e-3, 0.01),
            _ => (1e-5, 0.1),
        };
        let init = Init { conv: Scheme::HeFanOutGrouped, linear: Scheme::UniformFanOut, ..Init::default() };
        let mut recipe = PresetRows::new(Style { act: Act::Silu, bn_eps, bn_momentum, init, ..Style::default() }, rows);
        recipe.stochastic_depth =
            StochasticDepth { survival: 0.8, decay: Decay::LinearFromZero, gate: SurvivalGate::Sample };
        Ok(recipe)
    }
}
