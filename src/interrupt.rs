//! Ctrl-C, SIGTERM, and SIGUSR1, which schedulers send some time before the time limit of a job. While there is something to save, the first signal requests a clean stop and the second exits at once;
//! otherwise, such as while data is loaded or fetched, the first one exits at once.

use crate::emit::emit;
use crate::torch;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);
/// Number of live [`Deferred`] guards: code that polls [`requested`] and stops by itself.
static DEFERRED: AtomicUsize = AtomicUsize::new(0);

/// Exit code of a run that was stopped and can be resumed.
pub const EXIT_CODE: i32 = 130;

/// Installs the handlers, once in a process. The first thread must have called [`torch::block_usr1`] before it started another.
pub fn install() -> Result<(), ctrlc::Error> {
    std::thread::spawn(|| {
        loop {
            torch::wait_for_usr1();
            // Sent to a sweep and its points alike, it reaches points that the sweep has asked already: never a reason to hurry.
            if !requested() {
                emit("\nSIGUSR1: stopping after this step; the run can be resumed");
            }
            request();
        }
    });
    ctrlc::set_handler(|| {
        let again = REQUESTED.load(Ordering::SeqCst);
        request();
        if again {
            torch::exit_at_once(EXIT_CODE);
        }
        emit("\nstopping after this step; the run can be resumed (press again to stop at once)");
    })
}

/// Requests a clean stop; exits at once unless something defers it.
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

/// While a guard lives, a stop is left to code that polls [`requested`].
#[must_use]
pub struct Deferred(());

/// Leaves a stop to the caller, which must poll [`requested`] at least every few seconds.
pub fn defer() -> Deferred {
    DEFERRED.fetch_add(1, Ordering::SeqCst);
    Deferred(())
}

impl Deferred {
    /// Keeps the deferral until [`release`], so that a run that has just finished is reported as finished even if a signal
    /// arrives meanwhile.
    pub fn linger(self) {
        std::mem::forget(self);
    }
}

/// Ends all deferrals kept by [`Deferred::linger`].
pub fn release() {
    DEFERRED.store(0, Ordering::SeqCst);
}

impl Drop for Deferred {
    fn drop(&mut self) {
        DEFERRED.fetch_sub(1, Ordering::SeqCst);
    }
}
