//! The process itself: a second one beside it, and its end.

use super::ffi;
use std::io;

/// Ends the process at once. `std::process::exit` would take libtorch down while other threads are in it, which is now and then
/// the end by a signal.
pub fn exit_at_once(code: i32) -> ! {
    // SAFETY: takes a number, and does not come back.
    unsafe { ffi::_exit(code) }
}

/// Runs `work` in a copy of this process and ends that; returns at once in this one. Signals of the terminal do not reach the
/// copy, and of its standard files only standard error stays open.
///
/// # Errors
/// When the system grants no more processes, or this one has threads: a copy has only one of them, which could wait forever
/// for a lock that another held.
pub fn fork(work: impl FnOnce()) -> io::Result<()> {
    if std::fs::read_dir("/proc/self/task")?.count() > 1 {
        return Err(io::Error::other("this process has threads already"));
    }
    // SAFETY: with one thread the copy is as whole as the original; the calls take numbers.
    unsafe {
        match libc::fork() {
            -1 => return Err(io::Error::last_os_error()),
            0 => {}
            _ => return Ok(()),
        }
        libc::setsid();
        libc::close(0);
        libc::close(1);
    }
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    exit_at_once(0)
}
