//! Analyses of records: joining, comparing, the differences between two runs, statistics over seeds.

mod architectures;
pub mod claims;
pub mod collect;
pub mod compare;
mod confusion;
pub mod diff;
pub mod settings;
mod statistics;

pub use architectures::architectures;
pub use confusion::Confusion;
pub use statistics::Spread;
