//! Descriptions of tensors: names as in a PyTorch state_dict, shapes, and what is learned.

/// The role of a tensor in its layer, which decides its initialisation and whether weight decay applies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    ConvWeight {
        groups: usize,
    },
    LinearWeight,
    /// With its initial value where the row sets one (a gate's bias), instead of the network's `init.bias`.
    ConvBias(Option<f64>),
    LinearBias(f64),
    Gamma(f64),
    Beta,
    RunningMean,
    RunningVar,
}

impl Role {
    /// Whether the optimizer updates it: all but running statistics.
    pub fn trainable(self) -> bool {
        !matches!(self, Role::RunningMean | Role::RunningVar)
    }

    /// Whether it is a weight matrix or kernel, as opposed to a bias or a normalisation's parameter.
    pub fn is_weight(self) -> bool {
        matches!(self, Role::ConvWeight { .. } | Role::LinearWeight)
    }
}

/// One tensor of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Under its layer's prefix: `layer1.0.conv1.weight`.
    pub name: String,
    /// PyTorch's order: `[out, in / groups, height, width]`, `[out, in]`, `[n]`.
    pub shape: Vec<i64>,
    pub role: Role,
}

impl Param {
    pub fn new(name: &str, shape: &[usize], role: Role) -> Param {
        Param { name: name.to_owned(), shape: shape.iter().map(|&side| side as i64).collect(), role }
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.shape.iter().fold(1u64, |n, &side| n.saturating_mul(side as u64))
    }
}
