//! What a run leaves behind: its folder, its tables, its curves; the charts and tables that compare networks; the page of all
//! results.

pub mod collect;
pub mod compare;
pub mod curves;
pub mod diff;
mod epochs;
mod format;
mod git;
mod kept;
mod kinds;
pub mod plot;
mod process;
pub mod report;
mod run_folder;
mod run_info;
mod stats;
mod summary;
mod sweep_folder;
mod sweep_table;
mod table;
pub mod tables;

pub use epochs::{EPOCH_COLUMNS, EpochRow, first_epochs, parse_epochs, read_epochs};
pub use format::{accuracy, counted, csv_cell, grouped, markdown_cell, significant};
pub use kept::has_ended;
pub use run_folder::{RunError, RunFolder};
pub use run_info::{RunInfo, utc_now};
pub use stats::Spread;
pub use summary::{Cells, Status, Summary, is_of, read_summary};
pub use sweep_folder::{SweepSource, claim_sweep_folder, sweep_folder};
pub use sweep_table::{SweepTables, point_folder, point_summary, status, write_tables};
pub use table::Table;
