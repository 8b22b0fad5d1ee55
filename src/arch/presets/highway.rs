//! Highway networks for small images (Srivastava et al. 2015, section 4).

use super::{ExpandPreset, KeyError, PresetRows};
use crate::arch::name::Name;
use crate::arch::rows::{ClassifierRow, GlobalAvgPoolRow, HighwayRow, PoolRow, Row};
use crate::arch::style::{Init, Norm, Scheme, Style};
use serde::{Deserialize, Serialize};

/// Keys of the preset `highway`: three stages of gated 3x3 convolutions, pooled in between; the first layer of a stage is
/// plain where the width changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Highway {
    /// Layers of all stages with the classifier: 3n+1.
    pub depth: usize,
    /// Channels of each stage.
    pub widths: [usize; 3],
    /// Where the gates' biases start.
    pub gate_bias: f64,
}

impl Default for Highway {
    fn default() -> Highway {
        Highway { depth: 19, widths: [32, 64, 96], gate_bias: -2.0 }
    }
}

impl ExpandPreset for Highway {
    fn expand(&self, _classes: usize) -> Result<PresetRows, KeyError> {
        let repeat = match self.depth.checked_sub(1) {
            Some(rest) if rest > 0 && rest.is_multiple_of(3) => rest / 3,
            _ => return Err(KeyError::new("depth", format!("a Highway net has depth 3n+1, not {}", self.depth))),
        };
        let mut rows: Vec<Row> = Vec::new();
        for (stage, width) in self.widths.into_iter().enumerate() {
            if stage > 0 {
                rows.push(PoolRow::max(3, 2).ceil().into());
            }
            let name = Name::new(&format!("stage{}", stage + 1));
            rows.push(HighwayRow { kernel: 3, width, repeat, gate_bias: self.gate_bias, name }.into());
        }
        rows.push(GlobalAvgPoolRow::default().into());
        rows.push(ClassifierRow::named("fc").into());
        let init = Init { conv: Scheme::HeFanIn, ..Init::default() };
        Ok(PresetRows::new(Style { norm: Norm::None, init, ..Style::default() }, rows))
    }
}
