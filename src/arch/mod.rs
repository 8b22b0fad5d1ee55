//! A network as plain data: no tensor in it, and no libtorch.
//!
//! A [`Plan`] is a table of [`rows`], like the tables in the papers. [`Network::new`] expands it into layers with every shape
//! known; everything else (cost, parameter names, the diagram, the graph that runs) is a fold over that one value.

pub mod activations;
pub mod cost;
pub mod describe;
pub mod layer;
pub mod multipliers;
pub mod name;
pub mod network;
pub mod node;
pub mod ops;
pub mod params;
mod positions;
pub mod presets;
pub mod rewrite;
pub mod rows;
pub mod scaling;
pub mod shape;
pub mod style;
pub mod window;

pub use cost::Cost;
pub use network::{Network, NetworkError, Plan};
pub use positions::Position;
pub use scaling::Scaling;
pub use shape::Shape;
pub use style::Style;

#[cfg(test)]
pub mod golden;
