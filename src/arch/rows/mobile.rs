//! Depthwise separable convolutions and inverted residuals (MobileNets, EfficientNet).

use super::columns::{Se, half, is_half, is_one, one};
use super::{Context, Expand};
use crate::arch::multipliers::Multipliers;
use crate::arch::name::Name;
use crate::arch::node::{Chain, Merge, Node, Residual};
use crate::arch::ops::{Act, Conv};
use crate::arch::shape::ShapeError;
use crate::arch::window::Padding;
use serde::{Deserialize, Serialize};

type Built = Result<(), ShapeError>;

/// Depthwise 3x3, then 1x1, each with normalisation and non-linearity (MobileNet v1, table 1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeparableRow {
    pub width: usize,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub repeat: usize,
    /// Stride of the first block.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub stride: usize,
    /// Padding of the depthwise convolutions: `half` as in PyTorch, `same` as in TensorFlow and Keras.
    #[serde(default = "half", skip_serializing_if = "is_half")]
    pub padding: Padding,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

impl Expand for SeparableRow {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Built {
        let (norm, act) = (chain.style().norm, chain.style().act);
        for index in context.repeats(self.repeat)? {
            let name = context.namer.block(&self.name, index);
            let input = chain.shape.channels();
            let stride = if index == 0 { self.stride } else { 1 };
            let depthwise = Conv::new(input, 3).stride(stride).groups(input).padding(self.padding);
            chain.conv_norm_act(&format!("{name}.dw"), depthwise, norm, act)?;
            chain.conv_norm_act(&format!("{name}.pw"), Conv::new(self.width, 1), norm, act)?;
        }
        Ok(())
    }

    fn scale(&mut self, by: &Multipliers) {
        self.width = by.width(self.width);
        self.repeat = by.repeat(self.repeat);
    }

    fn name(&self) -> &Name {
        &self.name
    }
}

/// Expansion, depthwise convolution, linear projection; a shortcut where sizes allow (MobileNet v2, table 2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvertedResidualRow {
    pub expand: usize,
    pub width: usize,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub repeat: usize,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub stride: usize,
    /// Padding of the depthwise convolutions: `half` as in PyTorch, `same` as in TensorFlow and Keras.
    #[serde(default = "half", skip_serializing_if = "is_half")]
    pub padding: Padding,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

impl Expand for InvertedResidualRow {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Built {
        for index in context.repeats(self.repeat)? {
            let name = context.namer.block(&self.name, index);
            let stride = if index == 0 { self.stride } else { 1 };
            let names = Names::Flat(format!("{name}.conv"));
            let InvertedResidualRow { expand, width, padding, .. } = *self;
            Inverted { kernel: 3, expand, width, stride, padding, se: 0.0 }.append(names, chain)?;
        }
        Ok(())
    }

    fn scale(&mut self, by: &Multipliers) {
        self.width = by.width(self.width);
        self.repeat = by.repeat(self.repeat);
    }

    fn name(&self) -> &Name {
        &self.name
    }
}

/// An inverted residual block with squeeze-and-excitation (EfficientNet, table 1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MbconvRow {
    pub kernel: usize,
    pub expand: usize,
    pub width: usize,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub repeat: usize,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub stride: usize,
    /// Hidden channels of squeeze-and-excitation, as a fraction of the block's input channels (not of the expanded ones); 0 for
    /// none. Always written out, because the default is not 0.
    #[serde(default = "MbconvRow::default_se")]
    pub se: f64,
    /// Padding of the depthwise convolutions: `half` as in PyTorch, `same` as in TensorFlow and Keras.
    #[serde(default = "half", skip_serializing_if = "is_half")]
    pub padding: Padding,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

impl MbconvRow {
    fn default_se() -> f64 {
        0.25
    }
}

impl Expand for MbconvRow {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Built {
        for index in context.repeats(self.repeat)? {
            let name = context.namer.block(&self.name, index);
            let stride = if index == 0 { self.stride } else { 1 };
            let MbconvRow { kernel, expand, width, padding, se, .. } = *self;
            let block = Inverted { kernel, expand, width, stride, padding, se };
            block.append(Names::Nested(format!("{name}.block")), chain)?;
        }
        Ok(())
    }

    fn scale(&mut self, by: &Multipliers) {
        self.width = by.width(self.width);
        self.repeat = by.repeat(self.repeat);
    }

    fn name(&self) -> &Name {
        &self.name
    }
}

/// How torchvision names the parts of a block.
enum Names {
    /// MobileNet v2: `conv.0.0` and `conv.0.1`, …, the projection `conv.2` and `conv.3`
    Flat(String),
    /// EfficientNet: `block.0.0` and `block.0.1`, …
    Nested(String),
}

impl Names {
    fn part(&self, index: usize, last: bool) -> (String, String) {
        match self {
            Names::Flat(prefix) if last => (format!("{prefix}.{index}"), format!("{prefix}.{}", index + 1)),
            Names::Flat(prefix) | Names::Nested(prefix) => {
                (format!("{prefix}.{index}.0"), format!("{prefix}.{index}.1"))
            }
        }
    }

    fn excitation(&self, index: usize) -> String {
        match self {
            Names::Flat(prefix) | Names::Nested(prefix) => format!("{prefix}.{index}"),
        }
    }
}

struct Inverted {
    kernel: usize,
    expand: usize,
    width: usize,
    stride: usize,
    padding: Padding,
    se: f64,
}

impl Inverted {
    fn check(&self) -> Built {
        if self.expand == 0 || self.expand > 1000 {
            return Err(ShapeError::new(format!("expand is between 1 and 1000, not {}", self.expand)));
        }
        if !(0.0..=1.0).contains(&self.se) {
            return Err(ShapeError::new(format!("se is a part of the input channels, 0 to 1, not {}", self.se)));
        }
        Ok(())
    }

    fn append(&self, names: Names, chain: &mut Chain) -> Built {
        self.check()?;
        let (norm, act) = (chain.style().norm, chain.style().act);
        let input = chain.shape.channels();
        let hidden = input * self.expand;
        let mut body = chain.fork();
        let layers = |body: &mut Chain, index: usize, conv: Conv, act: Act, last: bool| {
            let (conv_name, norm_name) = names.part(index, last);
            body.conv_norm_act_named(&conv_name, &norm_name, conv, norm, act)
        };
        let mut index = 0;
        if self.expand > 1 {
            layers(&mut body, index, Conv::new(hidden, 1), act, false)?;
            index += 1;
        }
        let depthwise = Conv::new(hidden, self.kernel).stride(self.stride).groups(hidden).padding(self.padding);
        layers(&mut body, index, depthwise, act, false)?;
        index += 1;
        if self.se > 0.0 {
            let squeezed = ((input as f64 * self.se) as usize).max(1);
            Se { hidden: squeezed, bias: true, act }.append(&names.excitation(index), &mut body)?;
            index += 1;
        }
        layers(&mut body, index, Conv::new(self.width, 1), Act::None, true)?;
        // A block without a shortcut counts for stochastic depth too, as in EfficientNet's own code.
        let output = body.shape;
        let merge = if output == chain.shape { Merge::Sum { scale: 1.0 } } else { Merge::Body };
        let residual = Residual::new(body.nodes, merge);
        chain.push(Node::Residual(residual), output);
        Ok(())
    }
}
