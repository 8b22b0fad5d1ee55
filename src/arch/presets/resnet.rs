//! ResNet, its plain twin, pre-activation, gated and excited forms (He et al. 2015, 2016; Hu et al. 2017), and ResNeXt
//! (Xie et al. 2016).

use super::stages::{Stem, cifar, head, imagenet};
use super::{ExpandPreset, KeyError, PresetRows, is_no};
use crate::arch::rows::{BasicRow, BlockRow, BottleneckRow, Gating, Order, Row, Shortcut, StrideIn};
use crate::arch::style::Style;
use serde::{Deserialize, Serialize};

/// Four stages for ImageNet, three for CIFAR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResnetVariant {
    /// Depth 18 to 200; widths 64, 128, 256, 512 (times four after bottlenecks).
    #[default]
    Imagenet,
    /// Depth 6n+2 (9n+2 with bottlenecks); widths 16, 32, 64 (times four after bottlenecks).
    Cifar,
}

/// Keys of the preset `resnet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resnet {
    pub depth: usize,
    #[serde(alias = "variant")]
    pub layout: ResnetVariant,
    /// In front of the stages of an ImageNet layout; a CIFAR layout always has the small one.
    pub stem: Stem,
    /// Channels of the first stage; 0: 64 for ImageNet, 16 for CIFAR.
    pub width: usize,
    /// Bottleneck blocks in a CIFAR layout (ResNet-164, 1001); an ImageNet layout has them from depth 50.
    pub bottleneck: bool,
    /// Groups of the 3x3 of bottlenecks.
    pub groups: usize,
    /// Channels of a group where the first stage has 64: 128 makes Wide ResNet-50-2.
    pub base_width: usize,
    pub shortcut: Shortcut,
    pub stride_in: StrideIn,
    pub order: Order,
    /// The position of the first activation of a pre-activation network with a small stem. `false`: right after the first
    /// convolution, before the paths split (identity mappings, appendix). `true`: in the first block, like every other
    /// (resnet-1k-layers). Without this key `false` for basic blocks and `true` for bottlenecks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preact_first: Option<bool>,
    pub se: usize,
    /// Biases in squeeze-and-excitation, as in the authors' Caffe models.
    #[serde(skip_serializing_if = "is_no")]
    pub se_bias: bool,
    pub gate: Gating,
    pub gate_kernel: usize,
    pub gate_bias: f64,
    /// Constant on the residual branch and on the shortcut.
    pub scale: f64,
    pub shortcut_scale: f64,
    pub shortcut_dropout: f64,
    pub zero_init: bool,
}

impl Default for Resnet {
    fn default() -> Resnet {
        Resnet {
            depth: 50,
            layout: ResnetVariant::Imagenet,
            stem: Stem::Imagenet,
            width: 0,
            bottleneck: false,
            groups: 1,
            base_width: 64,
            shortcut: Shortcut::B,
            stride_in: StrideIn::Middle,
            order: Order::Original,
            preact_first: None,
            se: 0,
            se_bias: false,
            gate: Gating::None,
            gate_kernel: 1,
            gate_bias: -6.0,
            scale: 1.0,
            shortcut_scale: 1.0,
            shortcut_dropout: 0.0,
            zero_init: false,
        }
    }
}

impl ExpandPreset for Resnet {
    fn expand(&self, _classes: usize) -> Result<PresetRows, KeyError> {
        let (repeats, bottleneck) = match self.layout {
            ResnetVariant::Imagenet => {
                if self.bottleneck {
                    return Err(KeyError::new("bottleneck", "an ImageNet layout has bottlenecks from depth 50 on"));
                }
                let (repeats, bottleneck) = imagenet(self.depth)?;
                (repeats.to_vec(), bottleneck)
            }
            ResnetVariant::Cifar => {
                let n = cifar(self.depth, if self.bottleneck { 3 } else { 2 })?;
                (vec![n; 3], self.bottleneck)
            }
        };
        if !bottleneck && (self.groups != 1 || self.base_width != 64) {
            return Err(KeyError::new("groups", "groups and base_width are those of bottlenecks; this depth has none"));
        }
        self.check_sum()?;
        let (stem, default_width) = match self.layout {
            ResnetVariant::Imagenet => (self.stem, 64),
            ResnetVariant::Cifar => (Stem::Small, 16),
        };
        let width = if self.width == 0 { default_width } else { self.width };
        let preact_first = self.preact_first(stem, bottleneck)?;
        let mut rows =
            if preact_first == Some(true) { Stem::without_activation(width, self.order) } else { stem.rows(width) };
        for (stage, repeat) in repeats.into_iter().enumerate() {
            let preact_first = stage > 0 || preact_first.unwrap_or(true);
            rows.push(self.stage(stage, repeat, width << stage, bottleneck, preact_first));
        }
        rows.extend(head(self.order));
        Ok(PresetRows::new(Style::default(), rows))
    }
}

impl Resnet {
    /// Whether the first block activates its own input; `None` for a network without pre-activation.
    fn preact_first(&self, stem: Stem, bottleneck: bool) -> Result<Option<bool>, KeyError> {
        let fail = |message: &str| Err(KeyError::new("preact_first", message));
        let default = match self.order {
            // Only full pre-activation has released code, and only with bottlenecks.
            Order::Preact => stem == Stem::Small && bottleneck,
            Order::ReluOnlyPreact => false,
            _ if self.preact_first.is_some() => {
                return fail("`preact_first` is for order = \"preact\" and \"relu_only_preact\"");
            }
            _ => return Ok(None),
        };
        if stem == Stem::Imagenet && self.preact_first == Some(true) {
            return fail("the ImageNet stem activates its output, so the first block has no activation of its own");
        }
        Ok(Some(self.preact_first.unwrap_or(default)))
    }

    /// Keys that the sum of the two paths would not use.
    fn check_sum(&self) -> Result<(), KeyError> {
        if self.shortcut == Shortcut::None {
            let unused = [
                ("gate", self.gate != Gating::None),
                ("scale", self.scale != 1.0),
                ("shortcut_scale", self.shortcut_scale != 1.0),
                ("shortcut_dropout", self.shortcut_dropout != 0.0),
            ];
            if let Some((key, _)) = unused.into_iter().find(|(_, written)| *written) {
                return Err(KeyError::new(key, format!("`{key}` needs a shortcut, but shortcut = \"none\"")));
            }
        }
        if self.gate != Gating::None && self.scale != 1.0 {
            let message = "`scale` multiplies the block in a plain sum, but here a `gate` weighs it";
            return Err(KeyError::new("scale", message));
        }
        if self.se_bias && self.se == 0 {
            return Err(KeyError::new("se_bias", "`se_bias` is for squeeze-and-excitation, but `se` is 0"));
        }
        Ok(())
    }

    fn stage(&self, stage: usize, repeat: usize, planes: usize, bottleneck: bool, preact_first: bool) -> Row {
        let stride = if stage == 0 { 1 } else { 2 };
        let name = format!("layer{}", stage + 1);
        if bottleneck {
            let row = BottleneckRow::new(planes * 4, repeat, stride, &name);
            let inner = Some(planes * self.base_width / 64 * self.groups);
            let (groups, stride_in) = (self.groups, self.stride_in);
            self.fill(BottleneckRow { inner, groups, stride_in, preact_first, ..row }).into()
        } else {
            let row = BasicRow::new(planes, repeat, stride, &name);
            self.fill(BasicRow { preact_first, ..row }).into()
        }
    }

    fn fill<const BOTTLENECK: bool>(&self, row: BlockRow<BOTTLENECK>) -> BlockRow<BOTTLENECK> {
        BlockRow {
            shortcut: self.shortcut,
            order: self.order,
            se: self.se,
            se_bias: self.se_bias,
            scale: self.scale,
            shortcut_scale: self.shortcut_scale,
            shortcut_dropout: self.shortcut_dropout,
            gate: self.gate,
            gate_kernel: if self.gate == Gating::None { 1 } else { self.gate_kernel },
            gate_bias: if self.gate == Gating::None { 0.0 } else { self.gate_bias },
            zero_init: self.zero_init,
            ..row
        }
    }
}

/// Keys of the preset `resnext`: a ResNet whose 3x3 has `cardinality` groups of `base_width` channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resnext {
    /// 50 or 101 for ImageNet, 9n+2 (29) for CIFAR.
    pub depth: usize,
    #[serde(alias = "variant")]
    pub layout: ResnetVariant,
    pub stem: Stem,
    pub cardinality: usize,
    pub base_width: usize,
    pub shortcut: Shortcut,
    pub se: usize,
    /// Biases in squeeze-and-excitation, as in the authors' Caffe models.
    #[serde(skip_serializing_if = "is_no")]
    pub se_bias: bool,
}

impl Default for Resnext {
    fn default() -> Resnext {
        Resnext {
            depth: 50,
            layout: ResnetVariant::Imagenet,
            stem: Stem::Imagenet,
            cardinality: 32,
            base_width: 4,
            shortcut: Shortcut::B,
            se: 0,
            se_bias: false,
        }
    }
}

impl ExpandPreset for Resnext {
    fn expand(&self, classes: usize) -> Result<PresetRows, KeyError> {
        if self.layout == ResnetVariant::Imagenet && self.depth < 50 {
            return Err(KeyError::new("depth", "cardinality needs bottlenecks: depth 50, 101, 152 or 200"));
        }
        Resnet {
            depth: self.depth,
            layout: self.layout,
            stem: self.stem,
            width: 64,
            bottleneck: self.layout == ResnetVariant::Cifar,
            groups: self.cardinality,
            base_width: self.base_width,
            shortcut: self.shortcut,
            se: self.se,
            se_bias: self.se_bias,
            ..Resnet::default()
        }
        .expand(classes)
    }
}
