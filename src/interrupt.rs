//! Ctrl-C and SIGTERM. While there is something to save, the first one asks for a clean stop and the second does not wait;
//! otherwise, such as while data is loaded or fetched, the first one ends the process at once.

use crate::say;
use crate::torch;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);
/// How many pieces of work will end by themselves once a stop is requested.
static DEFERRED: AtomicUsize = AtomicUsize::new(0);

/// Exit code of a run that was stopped and can be resumed.
pub const EXIT_CODE: i32 = 130;

/// Sets the handler of both signals.
///
/// # Errors
/// When it cannot be set, which happens if it is set twice.
pub fn install() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        let again = REQUESTED.load(Ordering::SeqCst);
        request();
        if again {
            torch::exit_at_once(EXIT_CODE);
        }
        say("\nstopping after this step; the run can be resumed (again: stop at once)");
    })
}

/// Requests a clean stop; ends the process where nothing defers it.
pub fn request() {
    REQUESTED.store(true, Ordering::SeqCst);
    if DEFERRED.load(Ordering::SeqCst) == 0 {
        torch::exit_at_once(EXIT_CODE);
    }
}

/// Whether a stop was requested.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// As long as this lives, a request to stop is left to code that asks [`requested`].
#[must_use]
pub struct Deferred(());

/// Defers the end of the process to the caller, who asks [`requested`] at least every few seconds.
pub fn defer() -> Deferred {
    DEFERRED.fetch_add(1, Ordering::SeqCst);
    Deferred(())
}

impl Deferred {
    /// Keeps the deferral until [`release`]: what was finished is reported as finished, even if a signal comes just then.
    pub fn linger(self) {
        std::mem::forget(self);
    }
}

/// Ends deferrals that linger.
pub fn release() {
    DEFERRED.store(0, Ordering::SeqCst);
}

impl Drop for Deferred {
    fn drop(&mut self) {
        DEFERRED.fetch_sub(1, Ordering::SeqCst);
    }
}
