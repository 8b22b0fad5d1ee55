//! Pictures as SVG: charts, curves of runs and sweeps, accuracy against operations.

mod bubbles;
pub mod chart;
pub mod curves;

pub use bubbles::accuracy_against_operations;
