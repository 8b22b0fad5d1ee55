//! Work shared among threads.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};

/// Threads for work on images and weights. More than this many have nothing left to do in a batch.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(64)
}

/// Runs `jobs` on at most `threads` threads, the calling one among them; each takes the next job when it has finished one. If
/// the system grants fewer threads, those run all jobs.
///
/// # Errors
/// The error of the first job that failed.
pub(crate) fn share<J: Send, E: Send>(
    threads: usize,
    jobs: impl Iterator<Item = J> + Send,
    work: impl Fn(J) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let jobs = Mutex::new(jobs.enumerate());
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = || -> Result<(), (usize, E)> {
        while let Some((index, job)) = next() {
            work(job).map_err(|error| (index, error))?;
        }
        Ok(())
    };
    let results: Vec<_> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map_while(|_| spawn(scope, worker).ok()).collect();
        let mine = worker();
        others.into_iter().map(join).chain([mine]).collect()
    });
    // Jobs are handed out in order and all of them run, so every job before the first error has finished.
    match results.into_iter().filter_map(Result::err).min_by_key(|(index, _)| *index) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

/// Starts a thread.
///
/// # Errors
/// When the system grants no more.
pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    thread::Builder::new().spawn_scoped(scope, work)
}

/// Waits for a thread; its panic becomes one of the caller.
pub(crate) fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataError;

    #[test]
    fn every_job_runs_once_and_the_first_error_is_returned() {
        for threads in [0, 1, 3] {
            let mut done = vec![0; 100];
            share(threads, done.iter_mut().enumerate(), |(index, slot)| {
                *slot += index;
                Ok::<(), DataError>(())
            })
            .unwrap();
            assert_eq!(done, (0..100).collect::<Vec<_>>());
            let fail = |index: usize| match index % 40 {
                7 => Err(DataError::Unfit { name: index.to_string(), problem: String::new() }),
                _ => Ok(()),
            };
            assert_eq!(share(threads, 0..100, fail).unwrap_err().to_string(), "7: ");
        }
    }
}
