//! Network in Network (Lin et al. 2013), the authors' CIFAR-10 form.

use super::{ExpandPreset, KeyError, PresetRows};
use crate::arch::name::Name;
use crate::arch::rows::{ClassifierRow, ConvRow, DropoutRow, GlobalAvgPoolRow, PoolRow, Row};
use crate::arch::style::{Init, Norm, Scheme, Style};
use serde::{Deserialize, Serialize};

/// Keys of the preset `nin`: three mlpconv blocks, each a convolution and two 1x1 convolutions, and no linear layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nin {
    /// Channels of the three layers of each block; the last layer of the third has one a class.
    pub block1: [usize; 3],
    pub block2: [usize; 3],
    pub block3: [usize; 2],
    pub dropout: f64,
}

impl Default for Nin {
    fn default() -> Nin {
        Nin { block1: [192, 160, 96], block2: [192, 192, 192], block3: [192, 192], dropout: 0.5 }
    }
}

impl ExpandPreset for Nin {
    fn expand(&self, _classes: usize) -> Result<PresetRows, KeyError> {
        let mut rows: Vec<Row> = Vec::new();
        let mut mlpconv = |number: usize, kernel: usize, widths: &[usize]| {
            for (index, &width) in widths.iter().enumerate() {
                let kernel = if index == 0 { kernel } else { 1 };
                let name = if index == 0 { format!("conv{number}") } else { format!("cccp{number}_{index}") };
                rows.push(ConvRow::new(kernel, width).name(&name).into());
            }
            if number < 3 {
                rows.push(PoolRow::max(3, 2).ceil().into());
                rows.push(DropoutRow { rate: self.dropout, name: Name::default() }.into());
            }
        };
        mlpconv(1, 5, &self.block1);
        mlpconv(2, 5, &self.block2);
        let [first, second] = self.block3;
        mlpconv(3, 3, &[first, second]);
        rows.push(ClassifierRow { conv: true, ..ClassifierRow::named("cccp3_2") }.into());
        rows.push(GlobalAvgPoolRow::default().into());
        let init = Init { conv: Scheme::Normal, conv_std: 0.05, ..Init::default() };
        Ok(PresetRows::new(Style { norm: Norm::None, init, ..Style::default() }, rows))
    }
}
