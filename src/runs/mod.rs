//! Runs as values: the record of a run, its folder, its table of epochs, and CSV.
//!
//! Training writes a run here; everything that compares, draws or reports runs reads them here.

mod choice;
mod clock;
pub(crate) mod environment;
pub(crate) mod epochs;
mod error;
mod find;
pub(crate) mod folder;
pub(crate) mod format;
mod git;
mod process;
pub(crate) mod record;
pub(crate) mod roles;
mod status;
mod store;
pub(crate) mod sweep_folder;
pub(crate) mod table;

pub use choice::Choice;
pub use clock::utc_now;
pub use environment::RunInfo;
pub use epochs::{EPOCH_COLUMNS, EpochRow, first_epochs, parse_epochs, read_epochs};
pub use error::{RunError, TableError};
pub use find::{FindError, NO_RUN};
pub use folder::{RunFolder, locked_by};
pub use format::{accuracy, counted, csv_cell, grouped, markdown_cell, significant};
pub use record::{Record, Summary};
pub use status::Status;
pub use store::{Found, Store, loose_files, walk};
pub use sweep_folder::{SweepSource, claim_sweep_folder, sweep_folder};
pub use table::Table;
