//! A network as an SVG diagram for a slide.
//!
//! A diagram is laid out first, as a scene of boxes and arrows with their places, and then written. The main path runs
//! from top to bottom, a band for each row of the table; the kinds of blocks it refers to stand beside it, each in a
//! panel of its own.

mod bands;
mod block;
mod flow;
mod page;
mod palette;
mod panel;
mod scene;
mod structure;
mod write;

use crate::arch::Network;

/// A self-contained SVG of the network, 16:9.
pub fn diagram(network: &Network, title: &str) -> String {
    write::write(&page::scene(network, title), title)
}

#[cfg(test)]
mod tests;
