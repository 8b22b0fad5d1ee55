//! Pictures as SVG: charts, curves of runs and sweeps, accuracy against operations, intervals, confusion matrices, network diagrams,
//! augmented images.

mod augmentation;
mod bubbles;
pub mod chart;
mod confusion;
pub mod curves;
pub mod diagram;
pub mod heatmap;
mod interval;
pub mod picture;
pub mod ramp;
mod surface;
pub mod svg;
pub mod thumbnails;

pub use augmentation::AugmentationGrid;
pub use bubbles::accuracy_against_operations;
pub use confusion::confusion;
pub use interval::interval;
