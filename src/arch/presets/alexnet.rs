//! AlexNet (Krizhevsky et al. 2012).

use super::{ExpandPreset, KeyError, PresetRows};
use crate::arch::name::Name;
use crate::arch::rows::{AdaptiveAvgPoolRow, ClassifierRow, ConvRow, DropoutRow, LinearRow, LrnRow, PoolRow, Row};
use crate::arch::style::{Init, Norm, Scheme, Style};
use crate::arch::window::{Padding, Pair};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlexnetVariant {
    /// Two towers (groups), local response normalisation, 227x227 input.
    Paper,
    /// One tower, torchvision's widths and names.
    #[default]
    Torchvision,
}

/// Keys of the preset `alexnet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alexnet {
    #[serde(alias = "variant")]
    pub form: AlexnetVariant,
    /// Width of the two hidden linear layers.
    pub hidden: usize,
    pub dropout: f64,
}

impl Default for Alexnet {
    fn default() -> Alexnet {
        Alexnet { form: AlexnetVariant::Torchvision, hidden: 4096, dropout: 0.5 }
    }
}

impl ExpandPreset for Alexnet {
    fn expand(&self, _classes: usize) -> Result<PresetRows, KeyError> {
        Ok(match self.form {
            AlexnetVariant::Paper => self.paper(),
            AlexnetVariant::Torchvision => self.torchvision(),
        })
    }
}

impl Alexnet {
    fn torchvision(&self) -> PresetRows {
        let features = "features.{}";
        let conv = |kernel, width| ConvRow::new(kernel, width).name(features);
        let pool = || PoolRow::max(3, 2).name(features);
        let dropout = || DropoutRow { rate: self.dropout, name: Name::new("classifier.{}") };
        let linear = || LinearRow::named(self.hidden, "classifier.{}");
        let rows: Vec<Row> = vec![
            conv(11, 64).stride(4).padding(Padding::Fixed(Pair::square(2))).into(),
            pool().into(),
            conv(5, 192).into(),
            pool().into(),
            conv(3, 384).into(),
            conv(3, 256).into(),
            conv(3, 256).into(),
            pool().into(),
            AdaptiveAvgPoolRow { size: 6, name: Name::default() }.into(),
            dropout().into(),
            linear().into(),
            dropout().into(),
            linear().into(),
            ClassifierRow::named("classifier.{}").into(),
        ];
        let init = Init { conv: Scheme::UniformFanIn, ..Init::default() };
        PresetRows::new(Style { norm: Norm::None, init, ..Style::default() }, rows)
    }

    /// Biases start at 1 in the second, fourth and fifth convolution and in the hidden linear layers (section 5).
    fn paper(&self) -> PresetRows {
        // The paper's α = 1e-4 multiplies a sum over 5 channels; the row's multiplies their mean.
        let lrn = || LrnRow { size: 5, alpha: 5e-4, beta: 0.75, k: 2.0, name: Name::default() };
        let dropout = || DropoutRow { rate: self.dropout, name: Name::default() };
        let linear = |name| LinearRow { bias_init: 1.0, ..LinearRow::named(self.hidden, name) };
        let rows: Vec<Row> = vec![
            ConvRow::new(11, 96).stride(4).padding(Padding::Valid).name("conv1").into(),
            lrn().into(),
            PoolRow::max(3, 2).into(),
            ConvRow::new(5, 256).groups(2).bias_init(1.0).name("conv2").into(),
            lrn().into(),
            PoolRow::max(3, 2).into(),
            ConvRow::new(3, 384).name("conv3").into(),
            ConvRow::new(3, 384).groups(2).bias_init(1.0).name("conv4").into(),
            ConvRow::new(3, 256).groups(2).bias_init(1.0).name("conv5").into(),
            PoolRow::max(3, 2).into(),
            linear("fc6").into(),
            dropout().into(),
            linear("fc7").into(),
            dropout().into(),
            ClassifierRow::named("fc8").into(),
        ];
        let init = Init { conv: Scheme::Normal, linear: Scheme::Normal, ..Init::default() };
        PresetRows::new(Style { norm: Norm::None, init, ..Style::default() }, rows)
    }
}
