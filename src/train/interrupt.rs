//! Ctrl-C and SIGTERM: the first asks for a clean stop, the second does not wait.

use crate::say;
use crate::torch;
use std::sync::atomic::{AtomicBool, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Exit code of a run that was stopped and can be resumed.
pub const EXIT_CODE: i32 = 130;

/// Makes the first signal a request and the second an immediate end.
///
/// # Errors
/// When the handler cannot be set, which happens if it is set twice.
pub fn install() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::SeqCst) {
            torch::exit_at_once(EXIT_CODE);
        }
        say("\nstopping after this step; the run can be resumed (again: stop at once)");
    })
}

/// Asks for a clean stop, as a signal does.
pub fn request() {
    REQUESTED.store(true, Ordering::SeqCst);
}

/// Whether a stop was asked for.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}
