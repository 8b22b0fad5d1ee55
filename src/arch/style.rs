//! Settings of a whole network, which rows can override.

use super::activations::Act;
use serde::{Deserialize, Serialize};

/// Whether convolutions are followed by batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    Batch,
    None,
}

/// Normalisation, non-linearity and weight initialisation of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Style {
    pub norm: Norm,
    pub act: Act,
    pub bn_eps: f64,
    /// Weight of the new batch in the running statistics, as in PyTorch (Keras's 0.99 is 0.01 here).
    pub bn_momentum: f64,
    /// Whether batch normalisation learns a factor γ a channel; `false` is `scale=False` of TF-Slim and Keras.
    pub bn_scale: bool,
    pub init: Init,
}

impl Default for Style {
    fn default() -> Style {
        Style {
            norm: Norm::Batch,
            act: Act::Relu,
            bn_eps: 1e-5,
            bn_momentum: 0.1,
            bn_scale: true,
            init: Init::default(),
        }
    }
}

/// Weight initialisation. Normalisations start at γ = 1, β = 0 unless a row says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Init {
    pub conv: Scheme,
    pub linear: Scheme,
    /// Standard deviation where the scheme is `normal` or `truncated_normal`.
    pub conv_std: f64,
    pub linear_std: f64,
    /// Starting value of convolution biases; linear biases start at 0.
    pub bias: f64,
}

impl Default for Init {
    fn default() -> Init {
        Init { conv: Scheme::HeFanOut, linear: Scheme::UniformFanIn, conv_std: 0.01, linear_std: 0.01, bias: 0.0 }
    }
}

/// A rule that draws weights from their fans: fan_in = kernel area × inputs / groups,
/// fan_out = kernel area × outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// N(0, 2/fan_out) with fan_out = kernel area × all outputs, whatever the groups (fb.resnet.torch, torchvision)
    HeFanOut,
    /// N(0, 2/fan_out) with the outputs of one group (TensorFlow's EfficientNet)
    HeFanOutGrouped,
    /// N(0, 2/fan_in) (He et al. 2015)
    HeFanIn,
    /// U(±√(6/(fan_in + fan_out))), Keras's default (Glorot & Bengio 2010)
    GlorotUniform,
    /// U(±√(3/fan_in)), Keras's name for it; Caffe's `xavier` filler
    LecunUniform,
    /// U(±1/√fan_in), PyTorch's default for linear layers
    UniformFanIn,
    /// U(±1/√fan_out), EfficientNet's classifier
    UniformFanOut,
    /// N(0, std²) with the `conv_std` or `linear_std` of the network's `init`
    Normal,
    /// N(0, std²), with values beyond two standard deviations drawn again (TensorFlow's `truncated_normal_initializer`)
    TruncatedNormal,
}
