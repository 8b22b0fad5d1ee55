//! ResNet, its plain twin, pre-activation, gated and excited forms (He et al. 2015, 2016; Hu et al. 2017), and ResNeXt
//! (Xie et al. 2016).

use super::stages::{Stem, cifar, head, imagenet};
use super::{Family, PresetError, Recipe};
use crate::arch::rows::{BasicRow, BlockRow, BottleneckRow, Gating, Order, Row, Shortcut, StrideIn};
use crate::arch::style::Style;
use serde::{Deserialize, Serialize};

/// Four stages for ImageNet, three for CIFAR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Depth 18 to 200; widths 64, 128, 256, 512 (times four behind bottlenecks).
    #[default]
    Imagenet,
    /// Depth 6n+2 (9n+2 with bottlenecks); widths 16, 32, 64 (times four behind bottlenecks).
    Cifar,
}

/// Keys of the preset `resnet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resnet {
    pub depth: usize,
    pub layout: Layout,
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
    pub se: usize,
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
            layout: Layout::Imagenet,
            stem: Stem::Imagenet,
            width: 0,
            bottleneck: false,
            groups: 1,
            base_width: 64,
            shortcut: Shortcut::B,
            stride_in: StrideIn::Middle,
            order: Order::Original,
            se: 0,
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

impl Family for Resnet {
    fn recipe(&self, _classes: usize) -> Result<Recipe, PresetError> {
        let (repeats, bottleneck) = match self.layout {
            Layout::Imagenet => {
                if self.bottleneck {
                    return Err(PresetError::new("bottleneck", "an ImageNet layout has bottlenecks from depth 50 on"));
                }
                let (repeats, bottleneck) = imagenet(self.depth)?;
                (repeats.to_vec(), bottleneck)
            }
            Layout::Cifar => {
                let n = cifar(self.depth, if self.bottleneck { 3 } else { 2 })?;
                (vec![n; 3], self.bottleneck)
            }
        };
        if !bottleneck && (self.groups != 1 || self.base_width != 64) {
            return Err(PresetError::new(
                "groups",
                "groups and base_width are those of bottlenecks; this depth has none",
            ));
        }
        let preact = matches!(self.order, Order::Preact | Order::ReluOnlyPreact);
        let (stem, default_width) = match self.layout {
            Layout::Imagenet => (self.stem, 64),
            Layout::Cifar => (Stem::Small, 16),
        };
        let width = if self.width == 0 { default_width } else { self.width };
        let bare_stem = self.order == Order::Preact;
        let mut rows = stem.rows(width, bare_stem);
        for (stage, repeat) in repeats.into_iter().enumerate() {
            // Behind the ImageNet stem the first block finds its input normalised already.
            let preact_first = !(preact && stage == 0 && (stem == Stem::Imagenet || !bare_stem));
            rows.push(self.stage(stage, repeat, width << stage, bottleneck, preact_first));
        }
        rows.extend(head(self.order == Order::Preact));
        Ok(Recipe::new(Style::default(), rows))
    }
}

impl Resnet {
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
    pub layout: Layout,
    pub stem: Stem,
    pub cardinality: usize,
    pub base_width: usize,
    pub shortcut: Shortcut,
    pub se: usize,
}

impl Default for Resnext {
    fn default() -> Resnext {
        Resnext {
            depth: 50,
            layout: Layout::Imagenet,
            stem: Stem::Imagenet,
            cardinality: 32,
            base_width: 4,
            shortcut: Shortcut::B,
            se: 0,
        }
    }
}

impl Family for Resnext {
    fn recipe(&self, classes: usize) -> Result<Recipe, PresetError> {
        if self.layout == Layout::Imagenet && self.depth < 50 {
            return Err(PresetError::new("depth", "cardinality needs bottlenecks: depth 50, 101, 152 or 200"));
        }
        Resnet {
            depth: self.depth,
            layout: self.layout,
            stem: self.stem,
            width: 64,
            bottleneck: self.layout == Layout::Cifar,
            groups: self.cardinality,
            base_width: self.base_width,
            shortcut: self.shortcut,
            se: self.se,
            ..Resnet::default()
        }
        .recipe(classes)
    }
}
