//! GoogLeNet, or Inception v1 (Szegedy et al. 2014, table 1).

use super::{ExpandPreset, KeyError, PresetRows};
use crate::arch::activations::Act;
use crate::arch::name::Name;
use crate::arch::rows::{
    AuxPool, AuxRow, Branch, ClassifierRow, ConvRow, DropoutRow, GlobalAvgPoolRow, InceptionRow, LrnRow, PoolRow, Row,
};
use crate::arch::style::{Init, Norm, Scheme, Style};
use crate::arch::window::Padding;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GooglenetVariant {
    /// As the paper and its Caffe model have it: biases and no batch normalisation, LRN, 5x5 branches, pools that round up.
    #[default]
    Paper,
    /// Batch normalisation everywhere, 3x3 instead of 5x5, torchvision's names.
    Torchvision,
    /// The deck's Keras network for 28x28 images: batch normalisation in the stem alone, "same" padding, no auxiliary heads.
    Keras,
}

/// Keys of the preset `googlenet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Googlenet {
    #[serde(alias = "variant")]
    pub form: GooglenetVariant,
    /// Auxiliary heads on 4a and 4d; the Keras form has none.
    pub aux: bool,
    /// Weight of each auxiliary loss.
    pub aux_weight: f64,
    pub dropout: f64,
}

impl Default for Googlenet {
    fn default() -> Googlenet {
        Googlenet { form: GooglenetVariant::Paper, aux: false, aux_weight: 0.3, dropout: 0.4 }
    }
}

/// `#1x1`, `#3x3 reduce`, `#3x3`, `#5x5 reduce`, `#5x5`, `pool proj` of table 1.
const MODULES: [(&str, [usize; 6]); 9] = [
    ("3a", [64, 96, 128, 16, 32, 32]),
    ("3b", [128, 128, 192, 32, 96, 64]),
    ("4a", [192, 96, 208, 16, 48, 64]),
    ("4b", [160, 112, 224, 24, 64, 64]),
    ("4c", [128, 128, 256, 24, 64, 64]),
    ("4d", [112, 144, 288, 32, 64, 64]),
    ("4e", [256, 160, 320, 32, 128, 128]),
    ("5a", [256, 160, 320, 32, 128, 128]),
    ("5b", [384, 192, 384, 48, 128, 128]),
];

/// Where biases start in Caffe's model: those of convolutions and of the hidden layer of each auxiliary head. Classifiers
/// start at 0.
const CAFFE_BIAS: f64 = 0.2;

impl ExpandPreset for Googlenet {
    fn expand(&self, _classes: usize) -> Result<PresetRows, KeyError> {
        if self.form == GooglenetVariant::Keras && self.aux {
            return Err(KeyError::new("aux", "the Keras variant has no auxiliary heads: its maps at 4a are 2x2"));
        }
        let mut rows = self.stem();
        let (b5_kernel, aux_pool) = match self.form {
            GooglenetVariant::Torchvision => (3, AuxPool::Adaptive),
            GooglenetVariant::Paper | GooglenetVariant::Keras => (5, AuxPool::Strided),
        };
        for (name, [b1, r3, w3, r5, w5, pool]) in MODULES {
            if name == "4a" {
                rows.push(self.pool(3).into());
            } else if name == "5a" {
                // torchvision's fourth pool is 2x2; the paper's is 3x3 like the others.
                rows.push(self.pool(if self.form == GooglenetVariant::Torchvision { 2 } else { 3 }).into());
            }
            let (b3, b5) = (Branch { reduce: r3, width: w3 }, Branch { reduce: r5, width: w5 });
            rows.push(
                InceptionRow { b1, b3, b5, pool, b5_kernel, name: Name::new(&format!("inception{name}")) }.into(),
            );
            if self.aux && matches!(name, "4a" | "4d") {
                let head = if name == "4a" { "aux1" } else { "aux2" };
                let bias_init = if self.form == GooglenetVariant::Paper { CAFFE_BIAS } else { 0.0 };
                rows.push(AuxRow { weight: self.aux_weight, bias_init, ..AuxRow::new(head, aux_pool) }.into());
            }
        }
        rows.push(GlobalAvgPoolRow::default().into());
        rows.push(DropoutRow { rate: self.dropout, name: Name::default() }.into());
        rows.push(ClassifierRow::named("fc").into());
        Ok(PresetRows::new(self.style(), rows))
    }
}

impl Googlenet {
    fn pool(&self, kernel: usize) -> PoolRow {
        let pool = PoolRow::max(kernel, 2);
        if self.form == GooglenetVariant::Keras { pool.padding(Padding::Same) } else { pool.ceil() }
    }

    fn stem(&self) -> Vec<Row> {
        let lrn = || LrnRow { size: 5, alpha: 1e-4, beta: 0.75, k: 1.0, name: Name::default() };
        let (first, reduce, second) = (ConvRow::new(7, 64), ConvRow::new(1, 64), ConvRow::new(3, 192));
        let first = first.stride(2).name("conv1");
        let (reduce, second) = (reduce.name("conv2"), second.name("conv3"));
        match self.form {
            GooglenetVariant::Torchvision => {
                vec![first.into(), self.pool(3).into(), reduce.into(), second.into(), self.pool(3).into()]
            }
            GooglenetVariant::Paper => vec![
                first.into(),
                self.pool(3).into(),
                lrn().into(),
                reduce.into(),
                second.into(),
                lrn().into(),
                self.pool(3).into(),
            ],
            GooglenetVariant::Keras => vec![
                first.padding(Padding::Same).norm(Norm::Batch).biased().into(),
                self.pool(3).into(),
                reduce.act(Act::None).into(),
                second.norm(Norm::Batch).biased().into(),
                self.pool(3).into(),
            ],
        }
    }

    fn style(&self) -> Style {
        let both = |scheme, bias| Init { conv: scheme, linear: scheme, bias, ..Init::default() };
        match self.form {
            // Caffe's `xavier` filler looks at the inputs alone, unlike Glorot's and Keras's.
            GooglenetVariant::Paper => {
                Style { norm: Norm::None, init: both(Scheme::LecunUniform, CAFFE_BIAS), ..Style::default() }
            }
            GooglenetVariant::Torchvision => {
                let init = Init { conv: Scheme::Normal, linear: Scheme::Normal, ..Init::default() };
                Style { bn_eps: 1e-3, init, ..Style::default() }
            }
            // Keras's defaults: momentum 0.99 there is 0.01 here.
            GooglenetVariant::Keras => {
                let init = both(Scheme::GlorotUniform, 0.0);
                Style { norm: Norm::None, bn_eps: 1e-3, bn_momentum: 0.01, init, ..Style::default() }
            }
        }
    }
}
