//! Strata: experiments on deep convolutional architectures, on libtorch.
//!
//! An experiment file describes a network, data and a recipe ([`config`]); the network is plain data ([`arch`]); from it a
//! tch graph is built ([`model`]), trained ([`train`]) on a dataset ([`data`]), and its tables are written ([`results`]). A
//! sweep runs many ([`sweep`]).

pub mod arch;
pub mod config;
pub mod data;
pub mod fault;
pub mod files;
pub mod interrupt;
pub mod model;
pub mod random;
pub mod results;
mod say;
pub mod sweep;
pub mod torch;
pub mod train;
pub mod watchdog;

pub use say::say;
