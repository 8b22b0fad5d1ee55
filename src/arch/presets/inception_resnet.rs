//! Inception-ResNet v1 (Szegedy et al. 2016), as facenet has it, with a classifier instead of the embedding.

use super::{ExpandPreset, KeyError, PresetRows};
use crate::arch::activations::Act;
use crate::arch::name::Name;
use crate::arch::rows::{
    ClassifierRow, ConvRow, DropoutRow, GlobalAvgPoolRow, InceptionBlock, InceptionResnetRow, PoolRow, ReductionRow,
    Row,
};
use crate::arch::style::{Init, Scheme, Style};
use crate::arch::window::Padding;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InceptionResnetVariant {
    /// 299x299 input, 5/10/5 blocks.
    #[default]
    Full,
    /// The full form with one more block C at the end, scale 1 and linear, and facenet's normalisation and initialisation. The
    /// weights of facenet-pytorch, which has a factor γ, need `bn_scale = true`.
    Facenet,
    /// A 3x3 stem without stride, quarter widths and padded reductions, for images of 28 to 64 pixels.
    Small,
}

/// Keys of the preset `inception_resnet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InceptionResnet {
    #[serde(alias = "variant")]
    pub form: InceptionResnetVariant,
    /// Blocks A, B and C; zeros: 5, 10, 5, or 2, 3, 2 in the small form.
    pub blocks: [usize; 3],
    /// Factors on the residual branches of A, B and C.
    pub scale: [f64; 3],
    /// Non-linearity of the filter expansion; the paper has none.
    pub expansion_act: Act,
    pub dropout: f64,
}

impl Default for InceptionResnet {
    fn default() -> InceptionResnet {
        InceptionResnet {
            form: InceptionResnetVariant::Full,
            blocks: [0; 3],
            scale: [0.17, 0.10, 0.20],
            expansion_act: Act::None,
            dropout: 0.2,
        }
    }
}

impl ExpandPreset for InceptionResnet {
    fn expand(&self, _classes: usize) -> Result<PresetRows, KeyError> {
        let small = self.form == InceptionResnetVariant::Small;
        let defaults = if small { [2, 3, 2] } else { [5, 10, 5] };
        let [a, b, c] = std::array::from_fn(|i| if self.blocks[i] == 0 { defaults[i] } else { self.blocks[i] });
        let divide = |width: usize| if small { width / 4 } else { width };
        let padding = if small { Padding::Half } else { Padding::Valid };
        let block = |kind, width, repeat, index: usize, name| InceptionResnetRow {
            expansion_act: self.expansion_act,
            ..InceptionResnetRow::new(kind, divide(width), repeat, self.scale[index], name)
        };
        let reduction = |kind, [k, l, m, n]: [usize; 4], name| ReductionRow {
            kind,
            k: divide(k),
            l: divide(l),
            m: divide(m),
            n: divide(n),
            padding,
            name: Name::new(name),
        };
        let mut rows = self.stem();
        rows.push(block(InceptionBlock::A, 32, a, 0, "repeat_1").into());
        rows.push(reduction(InceptionBlock::A, [192, 192, 256, 384], "mixed_6a").into());
        rows.push(block(InceptionBlock::B, 128, b, 1, "repeat_2").into());
        rows.push(reduction(InceptionBlock::B, [256, 256, 256, 384], "mixed_7a").into());
        rows.push(block(InceptionBlock::C, 192, c, 2, "repeat_3").into());
        if self.form == InceptionResnetVariant::Facenet {
            let last = InceptionResnetRow::new(InceptionBlock::C, 192, 1, 1.0, "block8");
            rows.push(InceptionResnetRow { act: Some(Act::None), ..last }.into());
        }
        rows.push(GlobalAvgPoolRow::default().into());
        rows.push(DropoutRow { rate: self.dropout, name: Name::default() }.into());
        rows.push(ClassifierRow::named("logits").into());
        Ok(PresetRows::new(self.style(), rows))
    }
}

impl InceptionResnet {
    fn style(&self) -> Style {
        match self.form {
            // facenet's arguments of TF-Slim: decay 0.995, no factor γ, a truncated normal of deviation 0.1; its
            // classifier has Glorot's uniform weights.
            InceptionResnetVariant::Facenet => {
                let (conv, linear) = (Scheme::TruncatedNormal, Scheme::GlorotUniform);
                let init = Init { conv, conv_std: 0.1, linear, ..Init::default() };
                Style { bn_eps: 1e-3, bn_momentum: 0.005, bn_scale: false, init, ..Style::default() }
            }
            InceptionResnetVariant::Full | InceptionResnetVariant::Small => {
                let init = Init { conv: Scheme::HeFanIn, ..Init::default() };
                Style { bn_eps: 1e-3, bn_momentum: 0.1, init, ..Style::default() }
            }
        }
    }

    fn stem(&self) -> Vec<Row> {
        if self.form == InceptionResnetVariant::Small {
            return vec![ConvRow::new(3, 32).name("conv2d_1a").into(), ConvRow::new(3, 64).name("conv2d_2a").into()];
        }
        let valid = |kernel, width, name| ConvRow::new(kernel, width).padding(Padding::Valid).name(name);
        vec![
            valid(3, 32, "conv2d_1a").stride(2).into(),
            valid(3, 32, "conv2d_2a").into(),
            ConvRow::new(3, 64).name("conv2d_2b").into(),
            PoolRow::max(3, 2).into(),
            valid(1, 80, "conv2d_3b").into(),
            valid(3, 192, "conv2d_4a").into(),
            valid(3, 256, "conv2d_4b").stride(2).into(),
        ]
    }
}
