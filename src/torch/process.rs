//! The process itself: a second one beside it, and its end.

use super::ffi;
use std::io;

/// Ends the process at once. `std::process::exit` would take libtorch down while other threads use it, which now and then
/// ends the process by a signal.
pub fn exit_at_once(code: i32) -> ! {
    // SAFETY: takes a number, and does not come back.
    unsafe { ffi::_exit(code) }
}

/// Blocks SIGUSR1 in this thread, in the threads that it starts and in a [`fork`]: it stays pending until [`wait_for_usr1`]
/// takes it.
pub fn block_usr1() {
    // SAFETY: a set of signals is numbers, which the first call initialises.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGUSR1);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
}

/// Waits until this process has received SIGUSR1, which every thread blocks.
pub fn wait_for_usr1() {
    // SAFETY: as above; the number of the signal is written into a variable of its own.
    unsafe {
        let (mut set, mut signal) = (std::mem::zeroed(), 0);
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGUSR1);
        while libc::sigwait(&set, &mut signal) != 0 {}
    }
}

/// Runs `work` in a child process, which then exits; returns at once in this one. Signals of the terminal do not reach the
/// child, and of its standard files only standard error stays open.
///
/// # Errors
/// When the system refuses another process, or this one has several threads: the child has only one of them, which could wait
/// forever for a lock that another held.
pub fn fork(work: impl FnOnce()) -> io::Result<()> {
    if std::fs::read_dir("/proc/self/task")?.count() > 1 {
        return Err(io::Error::other("this process has threads already"));
    }
    // SAFETY: with one thread the child is a complete copy; the calls take numbers.
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
