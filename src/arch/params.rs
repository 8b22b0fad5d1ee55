//! The tensors of a layer: names as a PyTorch state_dict has them, shapes, and what is learned.

use super::layer::{Layer, Op};

/// What a tensor of a network is, which says how it starts and whether weight decay applies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    ConvWeight {
        groups: usize,
    },
    LinearWeight,
    /// Starting value where the row sets its own (a gate's bias), else the network's `init`.
    ConvBias(Option<f64>),
    LinearBias(f64),
    Gamma(f64),
    Beta,
    RunningMean,
    RunningVar,
}

impl Role {
    /// Running statistics are kept, not learned.
    pub fn trainable(self) -> bool {
        !matches!(self, Role::RunningMean | Role::RunningVar)
    }

    /// A weight matrix or kernel, as opposed to a bias or a normalisation's parameter.
    pub fn is_weight(self) -> bool {
        matches!(self, Role::ConvWeight { .. } | Role::LinearWeight)
    }
}

/// One tensor of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    pub name: String,
    /// PyTorch's order: `[out, in / groups, height, width]`, `[out, in]`, `[n]`.
    pub shape: Vec<i64>,
    pub role: Role,
}

impl Param {
    /// Number of values.
    pub fn count(&self) -> u64 {
        self.shape.iter().fold(1u64, |n, &side| n.saturating_mul(side as u64))
    }
}

impl Layer {
    /// The layer's tensors, learned and kept.
    pub fn params(&self) -> Vec<Param> {
        let tensor = |what: &str, shape: &[usize], role| Param {
            name: format!("{}.{what}", self.name),
            shape: shape.iter().map(|&n| n as i64).collect(),
            role,
        };
        let inputs = self.input.channels();
        match &self.op {
            Op::Conv(conv) => {
                let kernel = [conv.width, inputs / conv.groups, conv.window.kernel.h, conv.window.kernel.w];
                let mut params = vec![tensor("weight", &kernel, Role::ConvWeight { groups: conv.groups })];
                if conv.bias {
                    params.push(tensor("bias", &[conv.width], Role::ConvBias(conv.bias_init)));
                }
                params
            }
            Op::Linear { width, bias, bias_init } => {
                let mut params = vec![tensor("weight", &[*width, inputs], Role::LinearWeight)];
                if *bias {
                    params.push(tensor("bias", &[*width], Role::LinearBias(*bias_init)));
                }
                params
            }
            Op::BatchNorm { gamma, .. } => {
                let gamma = gamma.map(|start| tensor("weight", &[inputs], Role::Gamma(start)));
                gamma
                    .into_iter()
                    .chain([
                        tensor("bias", &[inputs], Role::Beta),
                        tensor("running_mean", &[inputs], Role::RunningMean),
                        tensor("running_var", &[inputs], Role::RunningVar),
                    ])
                    .collect()
            }
            _ => Vec::new(),
        }
    }
}
