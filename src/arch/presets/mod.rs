//! Presets: generators of rows, one file per family of networks.
//!
//! A preset is the struct of its keys in `[model]`, which expands into rows. To add one, write such a file and name
//! it in the list below.

mod alexnet;
mod efficientnet;
mod googlenet;
mod highway;
mod inception_resnet;
mod mobilenet;
mod nin;
mod resnet;
mod stages;
mod vgg;
mod wide;

pub use alexnet::Alexnet;
pub use efficientnet::Efficientnet;
pub use googlenet::Googlenet;
pub use highway::Highway;
pub use inception_resnet::InceptionResnet;
pub use mobilenet::{MobilenetV1, MobilenetV2};
pub use nin::Nin;
pub use resnet::{Resnet, Resnext};
pub use vgg::Vgg;
pub use wide::WideResnet;

use super::network::StochasticDepth;
use super::rows::Row;
use super::style::Style;
use super::window::Padding;
use crate::named::{KeyError, named};

/// What a preset gives: the rows and what they share.
#[derive(Clone, Debug, PartialEq)]
pub struct PresetRows {
    pub rows: Vec<Row>,
    pub style: Style,
    pub stochastic_depth: StochasticDepth,
}

impl PresetRows {
    fn new(style: Style, rows: Vec<Row>) -> PresetRows {
        PresetRows { rows, style, stochastic_depth: StochasticDepth::default() }
    }
}

/// A flag that is not written down.
fn is_no(flag: &bool) -> bool {
    !*flag
}

/// A padding that is not written down.
fn is_half(padding: &Padding) -> bool {
    *padding == Padding::Half
}

/// The keys of a preset, which expand into rows.
pub trait ExpandPreset {
    /// The table of rows for a number of classes.
    ///
    /// # Errors
    /// When the keys contradict one another, or a depth does not exist.
    fn expand(&self, classes: usize) -> Result<PresetRows, KeyError>;
}

named! {
    /// A preset with all its keys.
    #[serde(tag = "preset")]
    Preset: ExpandPreset,
    /// The name of a preset, as in `model.preset`.
    PresetName {
        "alexnet" => Alexnet(Alexnet),
        "nin" => Nin(Nin),
        "vgg" => Vgg(Vgg),
        "googlenet" => Googlenet(Googlenet),
        "resnet" => Resnet(Resnet),
        "resnext" => Resnext(Resnext),
        "wide_resnet" => WideResnet(WideResnet),
        "highway" => Highway(Highway),
        "inception_resnet" => InceptionResnet(InceptionResnet),
        "mobilenet_v1" => MobilenetV1(MobilenetV1),
        "mobilenet_v2" => MobilenetV2(MobilenetV2),
        "efficientnet" => Efficientnet(Efficientnet),
    }
}
