//! Presets: generators of rows, one file per family of networks.
//!
//! A preset is the struct of its keys in `[model]` and a function that gives the rows. To add one, write such a file and name
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
use serde::{Deserialize, Deserializer, Serialize};

/// What a preset gives: the rows and what they share.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    pub rows: Vec<Row>,
    pub style: Style,
    pub stochastic_depth: StochasticDepth,
}

impl Recipe {
    fn new(style: Style, rows: Vec<Row>) -> Recipe {
        Recipe { rows, style, stochastic_depth: StochasticDepth::default() }
    }
}

/// Why the keys of a preset do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PresetError {
    /// The key that should be changed.
    pub key: &'static str,
    pub message: String,
}

impl PresetError {
    fn new(key: &'static str, message: impl Into<String>) -> PresetError {
        PresetError { key, message: message.into() }
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

/// A family of networks.
pub trait Family {
    /// The table of rows for a number of classes.
    ///
    /// # Errors
    /// When the keys contradict one another, or a depth does not exist.
    fn recipe(&self, classes: usize) -> Result<Recipe, PresetError>;
}

macro_rules! presets {
    ($($name:literal => $variant:ident($keys:ty),)*) => {
        /// A preset with all its keys.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(tag = "preset")]
        pub enum Preset {
            $(#[serde(rename = $name)] $variant($keys),)*
        }

        /// The names that `preset` can have.
        pub const PRESETS: &[&str] = &[$($name),*];

        impl Preset {
            /// Reads the keys of preset `name`; `None` where there is no such preset.
            pub fn read<'de, D: Deserializer<'de>>(name: &str, keys: D) -> Option<Result<Preset, D::Error>> {
                match name {
                    $($name => Some(<$keys>::deserialize(keys).map(Preset::$variant)),)*
                    _ => None,
                }
            }

            /// # Errors
            /// As [`Family::recipe`].
            pub fn recipe(&self, classes: usize) -> Result<Recipe, PresetError> {
                match self { $(Preset::$variant(keys) => keys.recipe(classes),)* }
            }
        }
    };
}

presets! {
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
