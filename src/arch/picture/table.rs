//! The layers of a network as a table of plain text.

use super::describe::describe;
use crate::arch::Network;

/// What the columns of [`table`] are.
pub const COLUMNS: [&str; 7] = ["layer", "op", "input", "output", "params", "macs", "activations"];

/// One row a layer in the order of the forward pass, auxiliary heads among them (their `op` ends in `(aux)`). Layers
/// without parameters have no name. Counts are whole numbers, for one image.
pub fn table(network: &Network) -> Vec<[String; 7]> {
    network
        .layers()
        .into_iter()
        .map(|(layer, aux)| {
            let cost = layer.cost();
            let named = !layer.params().is_empty();
            [
                if named { layer.name.clone() } else { String::new() },
                format!("{}{}", describe(&layer.op), if aux { " (aux)" } else { "" }),
                layer.input.to_string(),
                layer.output.to_string(),
                cost.params.to_string(),
                cost.macs.to_string(),
                cost.activations.to_string(),
            ]
        })
        .collect()
}
