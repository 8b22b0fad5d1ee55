//! Experiment files: TOML as written, with the place of every key, resolved into an [`Experiment`] that leaves nothing open.

mod architecture;
mod claim;
mod data;
mod description;
mod document;
mod expect;
mod experiment;
mod key;
mod known_keys;
mod machine;
mod model;
mod nearest;
mod nesting;
mod precision;
mod pretrained;
mod problem;
mod serialize;
mod stage;
mod sweep;
mod to_toml;
mod top_level;
mod train;

pub use claim::{Claim, ClaimFile, ClaimTest, Condition, Relation, meets};
pub use data::Data;
pub use description::Description;
pub use expect::Expect;
pub use experiment::Experiment;
pub use key::Key;
pub use known_keys::key_of_word;
pub use machine::{FindRun, FoundRun, Machine};
pub use model::Origin;
pub use nearest::nearest;
pub use nesting::{MAX_LEVELS, too_deep};
pub use precision::Precision;
pub use pretrained::Pretrained;
pub use problem::ConfigError;
pub use stage::Stage;
pub use sweep::{Halving, Point, Sweep};
pub(crate) use train::ASIDE;
pub use train::Train;
#[cfg(test)]
pub(crate) use train::tests::train;
