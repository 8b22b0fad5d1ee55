//! Wide ResNet for CIFAR (Zagoruyko & Komodakis 2016): depth 6n+4, pre-activation, widened. The ImageNet form is `resnet`
//! with `base_width = 128`.

use super::stages::{Stem, head};
use super::{ExpandPreset, KeyError, PresetRows};
use crate::arch::rows::{BasicRow, Order, Row};
use crate::arch::style::{Init, Scheme, Style};
use serde::{Deserialize, Serialize};

/// Keys of the preset `wide_resnet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WideResnet {
    pub depth: usize,
    pub widen: usize,
    /// Between the two convolutions of a block.
    pub dropout: f64,
}

impl Default for WideResnet {
    fn default() -> WideResnet {
        WideResnet { depth: 28, widen: 10, dropout: 0.0 }
    }
}

impl ExpandPreset for WideResnet {
    fn expand(&self, _classes: usize) -> Result<PresetRows, KeyError> {
        let n = match self.depth.checked_sub(4) {
            Some(rest) if rest > 0 && rest.is_multiple_of(6) => rest / 6,
            _ => {
                let message = format!("a Wide ResNet has depth 6n+4 (10, 16, 22, 28, 40), not {}", self.depth);
                return Err(KeyError::new("depth", message));
            }
        };
        let mut rows = Stem::without_activation(16, Order::Preact);
        for stage in 0..3 {
            let stride = if stage == 0 { 1 } else { 2 };
            let row = BasicRow::new((16 << stage) * self.widen, n, stride, &format!("layer{}", stage + 1));
            rows.push(Row::from(BasicRow { order: Order::Preact, dropout: self.dropout, ..row }));
        }
        rows.extend(head(Order::Preact));
        let init = Init { conv: Scheme::HeFanIn, ..Init::default() };
        Ok(PresetRows::new(Style { init, ..Style::default() }, rows))
    }
}
