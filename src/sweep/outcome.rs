//! How a point ended, judged by its process and its record.

use super::HELD;
use crate::interrupt;
use crate::runs::Status;

/// The outcome of an attempt to run a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PointOutcome {
    Done,
    /// The loss became NaN or infinite, which a second attempt would not change.
    Diverged,
    /// Stopped together with the sweep, to be resumed later.
    Stopped,
    /// Stopped at its rung.
    Rung(usize),
    /// Locked by another process.
    Held,
    /// To be retried, with the reason.
    Retry(String),
    /// Given up, with the reason.
    Failed(String),
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    pub code: Option<i32>,
    /// The signal in words, where there is no code.
    pub words: String,
}

impl PointOutcome {
    /// `status` is that in the point's `summary.csv`, `rung` the epoch that it was to reach, if it did; `stopping` whether
    /// the sweep stops.
    pub fn of(
        exit: &Exit,
        status: Option<Status>,
        rung: Option<usize>,
        attempts_left: usize,
        stopping: bool,
    ) -> PointOutcome {
        let reason = match (exit.code, rung) {
            _ if status == Some(Status::Done) => return PointOutcome::Done,
            _ if status == Some(Status::Diverged) => return PointOutcome::Diverged,
            (Some(0), Some(rung)) => return PointOutcome::Rung(rung),
            (Some(code), _) if code == i32::from(HELD) => return PointOutcome::Held,
            _ if stopping => return PointOutcome::Stopped,
            // Bad input stays bad.
            (Some(2), _) => return PointOutcome::Failed("was refused as bad input, exit code 2".to_owned()),
            (Some(0), _) => "succeeded but left no result".to_owned(),
            (Some(code), _) if code == interrupt::EXIT_CODE => "was stopped by another program".to_owned(),
            (Some(code), _) => format!("ended with exit code {code}"),
            (None, _) => format!("was killed by a {}", exit.words),
        };
        if attempts_left > 0 { PointOutcome::Retry(reason) } else { PointOutcome::Failed(reason) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_process_is_judged_by_what_it_left() {
        let end = |code: Option<i32>| Exit { code, words: "signal 9 (SIGKILL)".to_owned() };
        let judge = |code, status, left, stopping| PointOutcome::of(&end(code), status, None, left, stopping);
        assert_eq!(judge(Some(0), Some(Status::Done), 0, false), PointOutcome::Done);
        assert_eq!(judge(Some(1), Some(Status::Diverged), 1, false), PointOutcome::Diverged);
        assert_eq!(judge(Some(130), Some(Status::Interrupted), 1, true), PointOutcome::Stopped);
        assert_eq!(judge(Some(75), None, 1, false), PointOutcome::Held);
        assert!(matches!(judge(None, None, 1, false), PointOutcome::Retry(why) if why.contains("SIGKILL")));
        assert!(matches!(judge(None, None, 0, false), PointOutcome::Failed(_)));
        assert!(matches!(judge(Some(2), None, 5, false), PointOutcome::Failed(_)), "data errors are not retried");
        assert!(
            matches!(judge(Some(130), Some(Status::Interrupted), 1, false), PointOutcome::Retry(_)),
            "stopped by others"
        );
        assert!(matches!(judge(Some(0), None, 0, false), PointOutcome::Failed(_)), "no summary is no success");
    }
}
