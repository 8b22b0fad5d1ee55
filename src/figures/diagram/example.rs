//! A block of each kind with the widths of the paper it comes from, for a picture of the block alone.

use crate::arch::activations::Act;
use crate::arch::network::{NetworkError, StochasticDepth};
use crate::arch::rows::{ClassifierRow, GlobalAvgPoolRow, Row};
use crate::arch::{Network, Plan, Style};

/// An operation, its columns, the map it gets and the non-linearity of its network.
const EXAMPLES: [(&str, &str, [usize; 3], Act); 9] = [
    ("basic", "width = 64", [64, 56, 56], Act::Relu),
    ("bottleneck", "width = 256", [256, 56, 56], Act::Relu),
    ("highway", "kernel = 3\nwidth = 16\ngate_bias = -2.0", [16, 28, 28], Act::Relu),
    ("inception", "b1 = 64\nb3 = [96, 128]\nb5 = [16, 32]\npool = 32", [192, 28, 28], Act::Relu),
    ("inception_resnet", "kind = 'a'\nwidth = 32\nscale = 0.17", [256, 35, 35], Act::Relu),
    ("reduction", "kind = 'a'\nk = 192\nl = 192\nm = 256\nn = 384", [256, 35, 35], Act::Relu),
    ("separable", "width = 128", [64, 112, 112], Act::Relu),
    ("inverted_residual", "expand = 6\nwidth = 24", [24, 56, 56], Act::Relu6),
    ("mbconv", "kernel = 3\nexpand = 6\nwidth = 24", [24, 56, 56], Act::Silu),
];

#[derive(Debug, thiserror::Error)]
pub enum ExampleError {
    #[error("there is no kind of block `{op}`; the kinds are {}", EXAMPLES.map(|(op, ..)| op).join(", "))]
    Unknown { op: String },
    #[error("the example of `{op}` cannot be read: {source}")]
    Columns { op: String, source: toml::de::Error },
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// A network whose first row is one block of an operation.
///
/// # Errors
/// For an operation that makes no block.
pub fn example(op: &str) -> Result<Network, ExampleError> {
    let Some((_, columns, input, act)) = EXAMPLES.into_iter().find(|(known, ..)| *known == op) else {
        return Err(ExampleError::Unknown { op: op.to_owned() });
    };
    let row: Row = toml::from_str(&format!("op = '{op}'\n{columns}"))
        .map_err(|source| ExampleError::Columns { op: op.to_owned(), source })?;
    // The rows after it make it a network; they are not drawn.
    let rows = vec![row, GlobalAvgPoolRow::default().into(), ClassifierRow::named("fc").into()];
    let style = Style { act, ..Style::default() };
    Ok(Network::new(Plan { rows, style, stochastic_depth: StochasticDepth::default(), input, classes: 10 })?)
}
