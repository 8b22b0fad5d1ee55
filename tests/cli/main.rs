//! The program as a user meets it: every test runs the real binary in a folder of its own, on images made by formula.

mod bench;
mod broken;
mod cluster;
mod compare;
mod corpus;
mod data;
mod determinism;
mod ends;
mod errors;
mod export;
mod foreign;
mod golden;
mod networks;
mod pictures;
mod place;
mod pretrained;
mod pytorch;
mod recipe;
mod report;
mod resume;
mod sweep;
mod torture;
mod train;
