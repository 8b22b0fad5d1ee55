//! What the end of a point's process means.

use super::HELD;
use crate::interrupt;
use crate::runs::Status;

/// How a point came out of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Done,
    /// Its loss stopped being a number: an outcome, which no second attempt changes.
    Diverged,
    /// Stopped because the sweep stops; it goes on later.
    Stopped,
    /// Another process has it.
    Held,
    /// To be tried again: why.
    Retry(String),
    /// Given up: why.
    Failed(String),
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    pub code: Option<i32>,
    /// In words, where there is no code: the signal.
    pub words: String,
}

/// `status` is what the point's `summary.csv` says, `attempts_left` how often it may be tried again.
pub fn verdict(exit: &Exit, status: Option<Status>, attempts_left: usize, stopping: bool) -> Verdict {
    let reason = match exit.code {
        _ if status == Some(Status::Done) => return Verdict::Done,
        _ if status == Some(Status::Diverged) => return Verdict::Diverged,
        Some(code) if code == i32::from(HELD) => return Verdict::Held,
        _ if stopping => return Verdict::Stopped,
        // Bad input does not get better.
        Some(2) => return Verdict::Failed("was refused as bad input, exit code 2".to_owned()),
        Some(0) => "ended well but left no result".to_owned(),
        Some(code) if code == interrupt::EXIT_CODE => "was stopped from outside".to_owned(),
        Some(code) => format!("ended with exit code {code}"),
        None => format!("was ended by a {}", exit.words),
    };
    if attempts_left > 0 { Verdict::Retry(reason) } else { Verdict::Failed(reason) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_process_is_judged_by_what_it_left() {
        let end = |code: Option<i32>| Exit { code, words: "signal 9 (SIGKILL)".to_owned() };
        let judge = |code, status, left, stopping| verdict(&end(code), status, left, stopping);
        assert_eq!(judge(Some(0), Some(Status::Done), 0, false), Verdict::Done);
        assert_eq!(judge(Some(1), Some(Status::Diverged), 1, false), Verdict::Diverged);
        assert_eq!(judge(Some(130), Some(Status::Interrupted), 1, true), Verdict::Stopped);
        assert_eq!(judge(Some(75), None, 1, false), Verdict::Held);
        assert!(matches!(judge(None, None, 1, false), Verdict::Retry(why) if why.contains("SIGKILL")));
        assert!(matches!(judge(None, None, 0, false), Verdict::Failed(_)));
        assert!(matches!(judge(Some(2), None, 5, false), Verdict::Failed(_)), "data errors are not retried");
        assert!(
            matches!(judge(Some(130), Some(Status::Interrupted), 1, false), Verdict::Retry(_)),
            "stopped by others"
        );
        assert!(matches!(judge(Some(0), None, 0, false), Verdict::Failed(_)), "no summary is no success");
    }
}
