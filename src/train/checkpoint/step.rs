//! The names of checkpoint folders.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The folder of one step below `checkpoint`, such as `step-000000004-epoch-0002`. It is held as two numbers, so that a name
/// read from a file or a link cannot lead out of the folder. Ordered by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StepFolder {
    step: u64,
    epoch: usize,
}

impl StepFolder {
    pub fn new(step: u64, epoch: usize) -> StepFolder {
        StepFolder { step, epoch }
    }

    /// The path of the folder below a run's `checkpoint` folder.
    pub fn within(self, checkpoints: &Path) -> PathBuf {
        checkpoints.join(self.to_string())
    }
}

impl fmt::Display for StepFolder {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "step-{:09}-epoch-{:04}", self.step, self.epoch)
    }
}

/// A text that does not name the folder of a checkpoint.
#[derive(Debug, thiserror::Error)]
#[error("a checkpoint folder has a name such as {}", StepFolder::new(4, 2))]
pub struct NoStepFolder;

impl FromStr for StepFolder {
    type Err = NoStepFolder;

    fn from_str(text: &str) -> Result<StepFolder, NoStepFolder> {
        let numbers = text.strip_prefix("step-").and_then(|rest| rest.split_once("-epoch-")).ok_or(NoStepFolder)?;
        let step = numbers.0.parse().map_err(|_| NoStepFolder)?;
        let epoch = numbers.1.parse().map_err(|_| NoStepFolder)?;
        let folder = StepFolder { step, epoch };
        // Signs and other counts of zeros would be other folders.
        if folder.to_string() == text { Ok(folder) } else { Err(NoStepFolder) }
    }
}

impl TryFrom<String> for StepFolder {
    type Error = NoStepFolder;

    fn try_from(text: String) -> Result<StepFolder, NoStepFolder> {
        text.parse()
    }
}

impl From<StepFolder> for String {
    fn from(folder: StepFolder) -> String {
        folder.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written_and_nothing_else_is_one() {
        for folder in [StepFolder::new(0, 0), StepFolder::new(4, 2), StepFolder::new(u64::MAX, usize::MAX)] {
            assert_eq!(folder.to_string().parse::<StepFolder>().unwrap(), folder);
        }
        for text in [
            "",
            "..",
            "/",
            "../step-000000004-epoch-0002",
            "step-000000004-epoch-0002/..",
            "step-000000004-epoch-0002\0",
            "step-../x-epoch-0002",
            "step-4-epoch-2",
            "step-+00000004-epoch-0002",
            "step-000000004-epoch-0002-epoch-0002",
            "best",
        ] {
            assert!(text.parse::<StepFolder>().is_err(), "{text:?}");
            assert!(serde_json::from_value::<StepFolder>(text.into()).is_err(), "{text:?}");
        }
    }

    /// As texts they would sort the other way round.
    #[test]
    fn a_step_of_ten_digits_comes_behind_one_of_nine() {
        assert!(StepFolder::new(1_000_000_000, 3) > StepFolder::new(999_999_999, 3));
    }
}
