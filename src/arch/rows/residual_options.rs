//! Options of residual blocks: shortcut, order of the layers, position of the stride, gate.

use serde::{Deserialize, Serialize};

/// What goes around the block (He et al. 2015, section 3.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shortcut {
    /// Identity; where sizes change, every second pixel and zeros for new channels. No parameters.
    A,
    /// Identity; where sizes change, an average pool and zeros for new channels (the stochastic-depth paper).
    #[serde(rename = "A_pool")]
    APool,
    /// Identity; where sizes change, a 1x1 convolution.
    #[default]
    B,
    /// A 1x1 convolution around every block.
    C,
    /// None: the plain network that the residual one is compared with.
    #[serde(rename = "none")]
    None,
}

/// Positions of normalisation and ReLU (He et al. 2016, figure 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    #[default]
    Original,
    BnAfterAdd,
    ReluBeforeAdd,
    ReluOnlyPreact,
    /// Full pre-activation: nothing after the sum.
    Preact,
}

/// Which convolution of a bottleneck has the stride: the first 1x1 (the paper, "v1") or the 3x3 (torchvision, "v1.5").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StrideIn {
    #[serde(rename = "1x1")]
    First,
    #[default]
    #[serde(rename = "3x3")]
    Middle,
}

/// Gates on the sum (He et al. 2016, figure 2); a Highway network is a net of `exclusive` ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gating {
    #[default]
    None,
    /// T·F + (1 − T)·x
    Exclusive,
    /// F + (1 − T)·x
    ShortcutOnly,
}
