//! What `[train]` chooses by name: optimizers, schedules of the learning rate, losses.
//!
//! Each is a struct of its own keys with what it does, in a file of its own. To add one, write such a file and name it in the
//! list of its folder.

pub mod losses;
pub mod optimizers;
pub mod schedules;

pub use losses::LossSpec;
pub use optimizers::OptimizerSpec;
pub use schedules::ScheduleSpec;
