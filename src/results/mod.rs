//! What a run leaves behind: its folder, its tables.

mod format;
mod run_folder;
mod run_info;
mod summary;

pub use format::{accuracy, significant};
pub use run_folder::{EPOCH_COLUMNS, EpochRow, RunError, RunFolder};
pub use run_info::{RunInfo, utc_now};
pub use summary::{Status, Summary, read_summary};
