//! Prepares the next batch while one is in use.

use std::ops::ControlFlow;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use super::{Batch, DataError};
use crate::workers::{join, spawn};

/// Fills `count` batches in turn on a thread of its own and hands each to `consume`, so that the next is made while one
/// is used. At most three are in memory: one in use, one ready, one being filled. Their order and content are those of
/// a plain loop.
///
/// Ends early when `consume` breaks (its value is given back) or fails; the thread has ended when this returns.
///
/// # Errors
/// The first of `fill` or `consume`, when all batches before it have been used; [`DataError::Thread`] before any.
pub fn prefetch<T, E: From<DataError>>(
    count: usize,
    fill: impl Fn(usize, &mut Batch) -> Result<(), DataError> + Send,
    mut consume: impl FnMut(usize, &Batch) -> Result<ControlFlow<T>, E>,
) -> Result<ControlFlow<T>, E> {
    thread::scope(|scope| {
        let (give, ready) = sync_channel::<Result<Batch, DataError>>(1);
        let (give_back, used) = channel::<Batch>();
        let maker = spawn(scope, move || {
            for i in 0..count {
                let mut batch = used.try_recv().unwrap_or_default();
                let made = fill(i, &mut batch).map(|()| batch);
                let failed = made.is_err();
                // Nobody listens any more when `consume` broke or failed.
                if give.send(made).is_err() || failed {
                    break;
                }
            }
        });
        let maker = maker.map_err(DataError::Thread)?;
        let mut outcome = Ok(ControlFlow::Continue(()));
        // Ends when the maker is done, whatever ended it.
        for (i, made) in ready.iter().enumerate() {
            outcome = made.map_err(E::from).and_then(|batch| {
                let outcome = consume(i, &batch);
                let _ = give_back.send(batch); // a maker that is done needs none
                outcome
            });
            if !matches!(outcome, Ok(ControlFlow::Continue(()))) {
                break;
            }
        }
        drop(ready); // or the maker would wait for room for ever
        join(maker);
        outcome
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(i: usize, batch: &mut Batch) -> Result<(), DataError> {
        batch.labels.clear();
        batch.labels.push(i as i64);
        match i {
            7 => Err(DataError::NoCacheFolder),
            _ => Ok(()),
        }
    }

    #[test]
    fn batches_come_in_order_and_memory_is_reused() {
        let mut seen = Vec::new();
        let outcome = prefetch(5, fill, |i, batch| {
            seen.push((i, batch.labels[0], batch.labels.as_ptr()));
            Ok::<ControlFlow<()>, DataError>(ControlFlow::Continue(()))
        });
        assert_eq!(outcome.unwrap(), ControlFlow::Continue(()));
        assert_eq!(
            seen.iter().map(|&(i, label, _)| (i, label)).collect::<Vec<_>>(),
            (0..5).zip(0..5).collect::<Vec<_>>()
        );
        assert!(seen.iter().map(|seen| seen.2).collect::<std::collections::HashSet<_>>().len() <= 3);
        assert!(
            prefetch(0, fill, |_, _| Ok::<ControlFlow<()>, DataError>(ControlFlow::Break(()))).unwrap().is_continue()
        );
    }

    #[test]
    fn it_ends_where_it_is_left() {
        let outcome = prefetch(1000, fill, |i, _| {
            Ok::<_, DataError>(if i == 3 { ControlFlow::Break("left") } else { ControlFlow::Continue(()) })
        });
        assert_eq!(outcome.unwrap(), ControlFlow::Break("left"));
        let outcome = prefetch(1000, fill, |i, _| match i {
            2 => Err(DataError::Missing { name: "mine".into(), folder: "".into() }),
            _ => Ok(ControlFlow::<()>::Continue(())),
        });
        assert!(outcome.unwrap_err().to_string().contains("mine"));
    }

    #[test]
    fn an_error_comes_after_the_batches_before_it() {
        let mut used = 0;
        let outcome = prefetch(1000, fill, |_, _| {
            used += 1;
            Ok::<ControlFlow<()>, DataError>(ControlFlow::Continue(()))
        });
        assert!(matches!(outcome, Err(DataError::NoCacheFolder)));
        assert_eq!(used, 7);
    }

    #[test]
    #[should_panic(expected = "a bug in filling")]
    fn a_panic_is_passed_on() {
        let _ = prefetch(
            3,
            |_, _| panic!("a bug in filling"),
            |_, _| Ok::<ControlFlow<()>, DataError>(ControlFlow::Continue(())),
        );
    }

    /// Also where libtorch fails in a step.
    #[test]
    #[should_panic(expected = "a bug in using")]
    fn a_panic_in_the_use_ends_it() {
        let _ = prefetch(1000, fill, |_, _| -> Result<ControlFlow<()>, DataError> { panic!("a bug in using") });
    }
}
