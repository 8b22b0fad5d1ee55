//! Adam and AdamW, `torch.optim.Adam` and `torch.optim.AdamW`.

use super::{Group, Step, UpdateRule};
use crate::named::{KeyError, check_range};
use crate::torch::{StepKind, StepNumbers, TorchError};
use serde::{Deserialize, Serialize};

macro_rules! adam {
    ($(#[$doc:meta])* $name:ident, $kind:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            /// Decay of the mean of gradients.
            pub beta1: f64,
            /// Decay of the mean of squared gradients.
            pub beta2: f64,
            /// Added to the root of the second moment.
            pub eps: f64,
        }

        impl Default for $name {
            fn default() -> $name {
                $name { beta1: 0.9, beta2: 0.999, eps: 1e-8 }
            }
        }

        impl UpdateRule for $name {
            fn default_lr(&self) -> f64 {
                1e-3
            }

            fn check(&self) -> Result<(), KeyError> {
                check_range("beta1", self.beta1, 0.0, 0.9999)?;
                check_range("beta2", self.beta2, 0.0, 0.999_999)?;
                check_range("eps", self.eps, 1e-30, 1.0)
            }

            fn buffers(&self) -> &'static [&'static str] {
                &["exp_avg", "exp_avg_sq"]
            }

            fn step(&self, group: &Group, step: Step) -> Result<(), TorchError> {
                let $name { beta1, beta2, eps } = *self;
                group.update($kind, &StepNumbers { beta1, beta2, eps, ..group.numbers(step) })
            }
        }
    };
}

adam! {
    /// Keys of `optimizer = "adam"` (Kingma & Ba 2014): weight decay is added to the gradient.
    Adam, StepKind::Adam
}

adam! {
    /// Keys of `optimizer = "adamw"` (Loshchilov & Hutter 2017): weight decay shrinks the weights themselves.
    Adamw, StepKind::Adamw
}
