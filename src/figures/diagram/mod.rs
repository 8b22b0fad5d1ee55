//! A network as an SVG diagram for a slide.
//!
//! A diagram is laid out first, as a scene of boxes and arrows with their places, and then written. The main path runs
//! from top to bottom, a band for each row of the table; the kinds of blocks it refers to are next to it, each in a
//! panel of its own.

mod bands;
mod block;
mod example;
mod flow;
mod page;
mod palette;
mod panel;
mod scene;
mod structure;
mod write;

pub use example::{ExampleError, example};

use crate::arch::Network;
use crate::arch::network::RowNodes;

/// A self-contained SVG of the network: 16:9, or higher where a slide would leave the print illegible.
pub fn diagram(network: &Network, title: &str) -> String {
    write::write(&page::scene(network, title), title)
}

/// What a diagram calls a row: its label, with the number that a counter in it gave its first layer.
pub fn row_name(row: &RowNodes) -> String {
    structure::name_in(row, &row.nodes)
}

/// The blocks of one row, counted from 0, by themselves: a self-contained SVG as large as they need. Without a title it is
/// called what papers call the block.
pub fn block_diagram(network: &Network, row: usize, title: Option<&str>) -> String {
    let scene = page::row_scene(network, row, title);
    write::write(&scene, title.unwrap_or("block"))
}

#[cfg(test)]
mod tests;
