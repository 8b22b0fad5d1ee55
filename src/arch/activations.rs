//! The point-wise non-linearities that a row's `act` column can name.
//!
//! Adding one takes a line in the list below, an arm in `src/model/activations.rs`, which says how libtorch computes it, and one in
//! `src/export/onnx/layers.rs`, which says how ONNX does.

macro_rules! activations {
    ($($(#[$doc:meta])* $name:literal => $variant:ident { label: $label:literal, fused: $fused:literal, joins_sum: $joins_sum:literal },)*) => {
        /// A point-wise non-linearity, or none.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum Act {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Act {
            pub const ALL: &'static [Act] = &[$(Act::$variant),*];

            /// The value of an `act` column.
            pub fn name(self) -> &'static str {
                match self { $(Act::$variant => $name,)* }
            }

            /// What tables and diagrams call it.
            pub fn label(self) -> &'static str {
                match self { $(Act::$variant => $label,)* }
            }

            /// Whether a kernel computes it in one pass with the convolution or normalisation in front of it.
            pub fn fused(self) -> bool {
                match self { $(Act::$variant => $fused,)* }
            }

            /// Whether that pass can include the sum with a shortcut as well. The backward pass has only the output then, so
            /// the output has to determine the derivative: true for ReLU, false for ReLU6 (unclear at 6) and SiLU.
            pub fn joins_sum(self) -> bool {
                match self { $(Act::$variant => $joins_sum,)* }
            }
        }
    };
}

activations! {
    "none" => None { label: "identity", fused: true, joins_sum: true },
    "relu" => Relu { label: "ReLU", fused: true, joins_sum: true },
    /// min(max(x, 0), 6) (MobileNet)
    "relu6" => Relu6 { label: "ReLU6", fused: true, joins_sum: false },
    /// x · sigmoid(x), "swish" in the EfficientNet paper
    "silu" => Silu { label: "SiLU", fused: true, joins_sum: false },
    "sigmoid" => Sigmoid { label: "sigmoid", fused: false, joins_sum: false },
}
