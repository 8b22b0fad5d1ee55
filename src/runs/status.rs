//! The status of a run.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The status of a run. A point of a sweep that has not started has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Locked by a process.
    Running,
    Done,
    /// Stopped by a signal or killed; can be resumed.
    Interrupted,
    /// The loss became NaN or infinite.
    Diverged,
    Failed,
}

impl Status {
    pub const ALL: [Status; 5] = [Status::Running, Status::Done, Status::Interrupted, Status::Diverged, Status::Failed];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Done => "done",
            Status::Interrupted => "interrupted",
            Status::Diverged => "diverged",
            Status::Failed => "failed",
        }
    }

    /// Parses a cell; `None` if it is empty or has a status of another program.
    pub fn parse(cell: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.name() == cell)
    }

    /// Whether the run has ended and is not to be resumed.
    pub fn is_final(self) -> bool {
        matches!(self, Status::Done | Status::Diverged)
    }

    /// Whether the run continues or can be resumed.
    pub fn is_open(self) -> bool {
        matches!(self, Status::Running | Status::Interrupted)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_it_is_written() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.name()), Some(status));
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{status}\""));
            assert!(!(status.is_final() && status.is_open()));
        }
        assert_eq!(["", "ok", "Done"].map(Status::parse), [None; 3]);
    }
}
