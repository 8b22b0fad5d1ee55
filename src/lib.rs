//! Strata: experiments on deep convolutional architectures, on libtorch.
//!
//! An experiment file describes a network, data and a recipe ([`config`]); the network is plain data ([`arch`]); from it a
//! tch graph is built ([`model`]) and trained ([`train`]) on a dataset ([`data`]). A run is a value, too: its record and its
//! tables ([`runs`]) are compared ([`analysis`]), drawn ([`figures`]) and put on a page ([`report`]). A sweep runs many ([`sweep`]).

pub mod analysis;
pub mod arch;
pub mod config;
pub mod data;
pub mod export;
pub mod fault;
pub mod figures;
pub mod files;
pub mod interrupt;
pub mod model;
pub mod named;
pub mod random;
pub mod recipe;
pub mod report;
pub mod runs;
mod say;
pub mod sweep;
pub mod torch;
pub mod train;
pub mod watchdog;

pub use say::say;
