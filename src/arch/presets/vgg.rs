//! VGG (Simonyan & Zisserman 2014, table 1).

use super::{ExpandPreset, KeyError, PresetRows};
use crate::arch::name::Name;
use crate::arch::rows::{AdaptiveAvgPoolRow, ClassifierRow, ConvRow, DropoutRow, LinearRow, PoolRow, Row};
use crate::arch::style::{Init, Norm, Scheme, Style};
use serde::{Deserialize, Serialize};

/// The columns of the paper's table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum VggVariant {
    A,
    B,
    C,
    #[default]
    D,
    E,
}

impl VggVariant {
    /// Convolutions in each of the five stages; the paper's C has a 1x1 as the third of its stages 3 to 5.
    fn stages(self) -> [usize; 5] {
        match self {
            VggVariant::A => [1, 1, 2, 2, 2],
            VggVariant::B => [2, 2, 2, 2, 2],
            VggVariant::C | VggVariant::D => [2, 2, 3, 3, 3],
            VggVariant::E => [2, 2, 4, 4, 4],
        }
    }
}

/// Keys of the preset `vgg`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vgg {
    /// A: 11 layers, B: 13, C and D: 16, E: 19
    #[serde(alias = "variant")]
    pub column: VggVariant,
    /// Channels of the first stage; they double up to eightfold.
    pub width: usize,
    /// Width of the two hidden linear layers.
    pub hidden: usize,
    /// Grid that the last map is averaged to: 7 for ImageNet; small images have 1.
    pub grid: usize,
    pub dropout: f64,
}

impl Default for Vgg {
    fn default() -> Vgg {
        Vgg { column: VggVariant::D, width: 64, hidden: 4096, grid: 7, dropout: 0.5 }
    }
}

impl ExpandPreset for Vgg {
    fn expand(&self, _classes: usize) -> Result<PresetRows, KeyError> {
        let mut rows: Vec<Row> = Vec::new();
        for (stage, convolutions) in self.column.stages().into_iter().enumerate() {
            let width = self.width << stage.min(3);
            for index in 0..convolutions {
                let kernel = if self.column == VggVariant::C && index == 2 { 1 } else { 3 };
                rows.push(ConvRow::new(kernel, width).biased().name("features.{}").into());
            }
            rows.push(PoolRow::max(2, 2).name("features.{}").into());
        }
        rows.push(AdaptiveAvgPoolRow { size: self.grid, name: Name::default() }.into());
        for _ in 0..2 {
            rows.push(LinearRow::named(self.hidden, "classifier.{}").into());
            rows.push(DropoutRow { rate: self.dropout, name: Name::new("classifier.{}") }.into());
        }
        rows.push(ClassifierRow::named("classifier.{}").into());
        // The paper's N(0, 0.01²) does not train the deeper columns from scratch; section 2.3 uses trained shallower ones.
        let init = Init { conv: Scheme::HeFanOut, linear: Scheme::Normal, ..Init::default() };
        Ok(PresetRows::new(Style { norm: Norm::None, init, ..Style::default() }, rows))
    }
}
