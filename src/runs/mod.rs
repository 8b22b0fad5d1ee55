//! Runs as values: records and epochs, the folders they are stored in, and CSV.

mod choice;
mod clock;
mod columns;
pub(crate) mod environment;
pub(crate) mod epochs;
mod error;
mod find;
pub(crate) mod folder;
pub(crate) mod format;
mod git;
mod process;
pub(crate) mod read;
pub(crate) mod record;
mod records;
pub(crate) mod roles;
mod status;
mod steps;
mod store;
pub(crate) mod sweep_folder;
pub(crate) mod table;

pub use choice::Choice;
pub use clock::utc_now;
pub use columns::{Column, ColumnFormat, ColumnRole};
pub use environment::Environment;
pub use epochs::{EpochRow, Epochs};
pub use error::{RunError, TableError};
pub use find::{FindError, NO_RUN};
pub use folder::{RunFolder, locked_by};
pub use format::{accuracy, counted, csv_cell, cut, cut_apart, grouped, markdown_cell, significant};
pub use record::{Record, RunResult};
pub use records::{Origin, Records, group_by};
pub use status::Status;
pub use steps::{STEP_COLUMNS, StepLog, StepRow};
pub use store::{Found, Store, folders, loose_files, walk};
pub use sweep_folder::{SweepSource, claim_sweep_folder, sweep_folder};
pub use table::Table;
