//! Rows of single layers.

use super::columns::{default_true, half, is_half, is_one, is_square_one, is_true, one, square_one};
use super::{Context, Expand};
use crate::arch::multipliers::Multipliers;
use crate::arch::name::Name;
use crate::arch::node::Chain;
use crate::arch::ops::{Act, AdaptiveAvgPool, Conv, Dropout, GlobalAvgPool, Linear, Lrn};
use crate::arch::shape::ShapeError;
use crate::arch::style::{Norm, Style};
use crate::arch::window::{Padding, Pair, Window};
use crate::named::is_default;
use serde::{Deserialize, Serialize};

type Built = Result<(), ShapeError>;

/// Convolution, normalisation, non-linearity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvRow {
    pub kernel: Pair,
    pub width: usize,
    #[serde(default = "square_one", skip_serializing_if = "is_square_one")]
    pub stride: Pair,
    #[serde(default = "half", skip_serializing_if = "is_half")]
    pub padding: Padding,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: usize,
    /// Without this column: a bias where there is no normalisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias: Option<bool>,
    /// Initial value of the bias; without this column, that of the network's `init`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_init: Option<f64>,
    /// Without this column: as the network's `norm` and `act` say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm: Option<Norm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

impl ConvRow {
    pub fn new(kernel: usize, width: usize) -> ConvRow {
        ConvRow {
            kernel: Pair::square(kernel),
            width,
            stride: square_one(),
            padding: Padding::Half,
            groups: 1,
            bias: None,
            bias_init: None,
            norm: None,
            act: None,
            name: Name::default(),
        }
    }

    pub fn stride(mut self, stride: usize) -> ConvRow {
        self.stride = Pair::square(stride);
        self
    }

    pub fn padding(mut self, padding: Padding) -> ConvRow {
        self.padding = padding;
        self
    }

    pub fn groups(mut self, groups: usize) -> ConvRow {
        self.groups = groups;
        self
    }

    /// A bias even where normalisation follows.
    pub(crate) fn biased(mut self) -> ConvRow {
        self.bias = Some(true);
        self
    }

    /// No bias even where no normalisation follows.
    pub(crate) fn unbiased(mut self) -> ConvRow {
        self.bias = Some(false);
        self
    }

    pub(crate) fn bias_init(mut self, value: f64) -> ConvRow {
        self.bias_init = Some(value);
        self
    }

    pub fn norm(mut self, norm: Norm) -> ConvRow {
        self.norm = Some(norm);
        self
    }

    pub fn act(mut self, act: Act) -> ConvRow {
        self.act = Some(act);
        self
    }

    pub fn name(mut self, name: &str) -> ConvRow {
        self.name = Name::new(name);
        self
    }

    pub fn names(mut self, names: &[&str]) -> ConvRow {
        self.name = Name::list(names);
        self
    }
}

impl Expand for ConvRow {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Built {
        let Style { norm, act, .. } = *chain.style();
        let (norm, act) = (self.norm.unwrap_or(norm), self.act.unwrap_or(act));
        let conv = Conv {
            width: self.width,
            window: Window { kernel: self.kernel, stride: self.stride, padding: self.padding, ceil: false },
            groups: self.groups,
            bias: self.bias.unwrap_or(norm == Norm::None),
            bias_init: self.bias_init,
        };
        let mut name = |index, part| context.namer.layer(&self.name, index, part);
        chain.conv(name(0, "conv"), conv)?;
        if norm == Norm::Batch {
            chain.norm(name(1, "bn"))?;
        }
        if act != Act::None {
            name(2, "act");
        }
        chain.act(act)
    }

    fn scale(&mut self, by: &Multipliers) {
        let depthwise = self.groups == self.width && self.groups > 1;
        self.width = if depthwise { by.width(self.width) } else { by.width_in_groups(self.width, self.groups) };
        if depthwise {
            self.groups = self.width;
        }
    }

    fn name(&self) -> &Name {
        &self.name
    }
}

/// Fully connected layer and non-linearity; a map is flattened first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearRow {
    pub width: usize,
    #[serde(default = "default_true", skip_serializing_if = "is_true")]
    pub bias: bool,
    /// Initial value of the bias; 0 without this column.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bias_init: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

impl LinearRow {
    pub fn named(width: usize, name: &str) -> LinearRow {
        LinearRow { width, bias: true, bias_init: 0.0, act: None, name: Name::new(name) }
    }
}

impl Expand for LinearRow {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Built {
        let act = self.act.unwrap_or(chain.style().act);
        let mut name = |index, part| context.namer.layer(&self.name, index, part);
        chain.flatten()?;
        chain.op(name(0, ""), Linear { width: self.width, bias: self.bias, bias_init: self.bias_init })?;
        if act != Act::None {
            name(1, "act");
        }
        chain.act(act)
    }

    fn scale(&mut self, by: &Multipliers) {
        self.width = by.width(self.width);
    }

    fn name(&self) -> &Name {
        &self.name
    }
}

/// The last linear layer: as many outputs as there are classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierRow {
    #[serde(default = "default_true", skip_serializing_if = "is_true")]
    pub bias: bool,
    /// A 1x1 convolution with a map a class, and the network's non-linearity, followed by a global average pool (Network
    /// in Network).
    #[serde(default, skip_serializing_if = "is_default")]
    pub conv: bool,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

impl ClassifierRow {
    pub fn named(name: &str) -> ClassifierRow {
        ClassifierRow { bias: true, conv: false, name: Name::new(name) }
    }
}

impl Expand for ClassifierRow {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Built {
        if self.conv {
            chain.conv(context.namer.layer(&self.name, 0, "conv"), Conv::new(context.classes, 1).bias(self.bias))?;
            return chain.act(chain.style().act);
        }
        chain.flatten()?;
        let name = context.namer.layer(&self.name, 0, "");
        chain.op(name, Linear { width: context.classes, bias: self.bias, bias_init: 0.0 })
    }

    fn name(&self) -> &Name {
        &self.name
    }
}

/// Declares a row that is one layer without widths.
macro_rules! layer_row {
    ($(#[$doc:meta])* $row:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }, $part:literal, |$self:ident| $op:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $row {
            $($(#[$field_doc])* pub $field: $type,)*
            #[serde(default, skip_serializing_if = "Name::is_empty")]
            pub name: Name,
        }

        impl Expand for $row {
            fn expand(&self, context: &mut Context, chain: &mut Chain) -> Built {
                let $self = self;
                let name = context.namer.layer(&self.name, 0, $part);
                chain.op(name, $op)
            }

            fn name(&self) -> &Name {
                &self.name
            }
        }
    };
}

layer_row!(
    /// Mean over the map: one value a channel.
    #[derive(Default)]
    GlobalAvgPoolRow {}, "", |_row| GlobalAvgPool
);
layer_row!(
    /// Mean over a grid of `size`×`size` cells, so that what follows does not depend on the input's size.
    AdaptiveAvgPoolRow { size: usize, }, "", |row| AdaptiveAvgPool { size: row.size }
);
layer_row!(
    /// Zeroes values with probability `rate` in training.
    DropoutRow { rate: f64, }, "", |row| Dropout { rate: row.rate }
);
layer_row!(
    /// Local response normalisation across `size` channels (AlexNet, section 3.3).
    LrnRow { size: usize, alpha: f64, beta: f64, k: f64, }, "", |row| Lrn {
        size: row.size, alpha: row.alpha, beta: row.beta, k: row.k
    }
);
/// A non-linearity by itself, as after the last sum of a ReLU-only pre-activation network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActRow {
    /// Without this column: the network's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

impl Expand for ActRow {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Built {
        context.namer.layer(&self.name, 0, "");
        chain.op("", self.act.unwrap_or(chain.style().act))
    }

    fn name(&self) -> &Name {
        &self.name
    }
}

/// Batch normalisation and non-linearity, as at the end of a pre-activation network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

impl Expand for NormRow {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Built {
        let act = self.act.unwrap_or(chain.style().act);
        chain.norm(context.namer.layer(&self.name, 0, ""))?;
        chain.act(act)
    }

    fn name(&self) -> &Name {
        &self.name
    }
}
