//! The ranks of a run: processes that train one network together, each on its part of every batch.
//!
//! They are started by torchrun, srun or mpirun, which set environment variables, and are connected by c10d's store and Gloo,
//! both part of libtorch. A process without these variables is the only rank, for which all operations here do nothing.

mod launcher;
#[cfg(test)]
mod tests;

pub use launcher::{LAUNCHER_VARIABLES, RankInfo, rank_info};
#[cfg(test)]
pub(crate) use tests::{on_ranks, on_ranks_in_buckets};

use crate::input_error::IsInputError;
use crate::interrupt;
use crate::torch::{Meeting, ProcessGroup, TorchError};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tch::Tensor;

/// How long the remaining ranks wait for a sign of the others before they report them lost.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// The ranks cannot start, or one was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RanksError {
    /// A variable of the launcher is missing or wrong.
    #[error("{0}")]
    Launcher(String),
    #[error("rank {rank} of {world} cannot meet the others at {address}: {reason}")]
    NotMet { rank: usize, world: usize, address: String, reason: String },
    /// The ranks were started with different commands, files or data.
    #[error("{0}")]
    Differ(String),
    #[error("several ranks train on CPUs only, for which Gloo is built in: --device cpu")]
    Device,
    #[error("{0}; the same command resumes the run from its last checkpoint")]
    Lost(String),
}

impl IsInputError for RanksError {
    fn is_input_error(&self) -> bool {
        !matches!(self, RanksError::Lost(_))
    }
}

/// This process among the ranks of a run.
#[derive(Clone, Debug)]
pub struct Ranks {
    rank: usize,
    world: usize,
    group: Option<Arc<Group>>,
}

#[derive(Debug)]
struct Group {
    processes: Arc<ProcessGroup>,
    /// The launcher serves the store, else rank 0 does.
    agent_serves: bool,
    /// Whether a rank was asked to stop, as of the last [`Ranks::sums`]; equal on all ranks.
    stops: AtomicBool,
    /// Nanoseconds spent in sums so far.
    summing: AtomicU64,
    /// See [`RankInfo::bucket_bytes`].
    bucket_bytes: Option<usize>,
}

impl Default for Ranks {
    fn default() -> Ranks {
        Ranks { rank: 0, world: 1, group: None }
    }
}

impl Ranks {
    /// Connects to the other ranks; `None` for a single process.
    ///
    /// # Errors
    /// [`RanksError::NotMet`] when the port is in use or cannot be reached, the others do not come in time, or they were told of
    /// another number of ranks.
    pub fn meet(info: Option<&RankInfo>) -> Result<Ranks, RanksError> {
        let Some(info) = info.cloned() else { return Ok(Ranks::default()) };
        let RankInfo { rank, world, host, port, agent_serves, attempt, timeout, bucket_bytes } = info;
        let (serves, prefix) = (rank == 0 && !agent_serves, format!("strata/{attempt}"));
        let meeting = Meeting { host, port, rank, world, serves, prefix, timeout };
        let processes = ProcessGroup::open(&meeting).map_err(|TorchError(reason)| {
            let address = format!("{}:{}", meeting.host, meeting.port);
            RanksError::NotMet { rank, world, address, reason: in_words(&reason, &meeting) }
        })?;
        let group = Group {
            processes: Arc::new(processes),
            agent_serves,
            stops: AtomicBool::new(false),
            summing: AtomicU64::new(0),
            bucket_bytes,
        };
        Ok(Ranks { rank, world, group: Some(Arc::new(group)) })
    }

    /// A single rank.
    #[cfg(test)]
    pub(crate) fn unconnected(rank: usize, world: usize) -> Ranks {
        Ranks { rank, world, group: None }
    }

    /// The number of this rank, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The number of ranks.
    pub fn world(&self) -> usize {
        self.world
    }

    /// Whether this is rank 0, which writes the files of the run.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// Replaces a contiguous tensor on the CPU by its sum over all ranks (all-reduce). The result is bitwise equal on all ranks.
    ///
    /// # Errors
    /// [`RanksError::Lost`].
    pub fn sum(&self, tensor: &Tensor) -> Result<(), RanksError> {
        self.adding_up(|group| group.sum(tensor))?;
        Ok(())
    }

    /// Runs an operation in which the group adds up tensors, for the time in sums and the names of lost ranks; `None`, without
    /// running it, for the only rank.
    ///
    /// # Errors
    /// [`RanksError::Lost`].
    pub fn adding_up<T>(
        &self,
        operation: impl FnOnce(&ProcessGroup) -> Result<T, TorchError>,
    ) -> Result<Option<T>, RanksError> {
        let Some(group) = &self.group else { return Ok(None) };
        let begun = Instant::now();
        let done = operation(&group.processes);
        group.summing.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
        done.map(Some).map_err(|error| self.lost(&error))
    }

    /// See [`RankInfo::bucket_bytes`].
    pub fn bucket_bytes(&self) -> Option<usize> {
        self.group.as_ref().and_then(|group| group.bucket_bytes)
    }

    /// Time spent in [`Ranks::adding_up`], [`Ranks::sum`] and [`Ranks::sums`] so far, including the wait for other ranks. Sums in the
    /// background of a backward pass count only while they are waited for.
    pub fn time_in_sums(&self) -> Duration {
        Duration::from_nanos(self.group.as_ref().map_or(0, |group| group.summing.load(Ordering::Relaxed)))
    }

    /// Sums numbers over all ranks, and tells all of them whether one was asked to stop.
    ///
    /// # Errors
    /// [`RanksError::Lost`].
    pub fn sums<const N: usize>(&self, mut numbers: [f64; N]) -> Result<[f64; N], RanksError> {
        if let Some(group) = &self.group {
            let stops = if interrupt::requested() { 1.0 } else { 0.0 };
            let tensor = Tensor::from_slice(&[&numbers[..], &[stops]].concat());
            self.sum(&tensor)?;
            group.stops.store(tensor.double_value(&[N as i64]) > 0.0, Ordering::Relaxed);
            tensor.copy_data(&mut numbers, N);
        }
        Ok(numbers)
    }

    /// The maximum over all ranks.
    ///
    /// # Errors
    /// [`RanksError::Lost`].
    pub fn greatest(&self, number: usize) -> Result<usize, RanksError> {
        let mut numbers = vec![0; self.world];
        numbers[self.rank] = number as i64;
        let tensor = Tensor::from_slice(&numbers);
        self.sum(&tensor)?;
        Ok(tensor.max().int64_value(&[]) as usize)
    }

    /// The group, for operations within a forward and backward pass; `None` for the only rank.
    pub fn processes(&self) -> Option<Arc<ProcessGroup>> {
        self.group.as_ref().map(|group| group.processes.clone())
    }

    /// The lost rank that caused an error in a forward or backward pass, if there is one.
    pub fn lost_in_pass(&self, error: &TorchError) -> Option<RanksError> {
        let failed = self.group.as_ref().is_some_and(|group| group.processes.has_failed());
        failed.then(|| self.lost(error))
    }

    /// Whether the run stops because of a signal: to this process, or, with several ranks, to any of them as of the last
    /// [`Ranks::sums`]. Ranks that checked their own signals would stop at different steps.
    pub fn stop_requested(&self) -> bool {
        self.group.as_ref().map_or_else(interrupt::requested, |group| group.stops.load(Ordering::Relaxed))
    }

    /// The range of `count` items that belongs to this rank; the ranges of all ranks follow one another.
    pub fn part_of(&self, count: usize) -> Range<usize> {
        count * self.rank / self.world..count * (self.rank + 1) / self.world
    }

    /// Replaces tensors by those of rank 0 (broadcast).
    ///
    /// # Errors
    /// [`RanksError::Lost`].
    pub fn copy_from_first<'a>(&self, tensors: impl IntoIterator<Item = &'a Tensor>) -> Result<(), RanksError> {
        let Some(group) = &self.group else { return Ok(()) };
        let _no_grad = tch::no_grad_guard();
        for tensor in tensors {
            // Copied, because the group takes only one memory format.
            let values = tensor.detach().reshape([-1]).copy();
            group.processes.broadcast(&values).map_err(|error| self.lost(&error))?;
            tensor.detach().copy_(&values.reshape(tensor.size()));
        }
        Ok(())
    }

    /// Sends rank 0's text to all ranks and returns it; `own` is ignored on the others.
    ///
    /// # Errors
    /// [`RanksError::Lost`].
    pub fn text_of_first(&self, own: &str) -> Result<String, RanksError> {
        if self.group.is_none() {
            return Ok(own.to_owned());
        }
        let length = Tensor::from_slice(&[own.len() as i64]);
        self.copy_from_first([&length])?;
        let length = usize::try_from(length.int64_value(&[0])).unwrap_or_default();
        let mut bytes = own.as_bytes().to_vec();
        bytes.resize(length, 0);
        let text = Tensor::from_slice(&bytes);
        self.copy_from_first([&text])?;
        text.copy_data(&mut bytes, length);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Records why this rank ends, for the others to report.
    pub fn report(&self, error: &str) {
        if let Some(group) = &self.group {
            let _ = group.processes.set(&reason_key(self.rank), error); // the others then say that it ended
        }
    }

    /// Explains why an operation with the other ranks failed.
    fn lost(&self, error: &TorchError) -> RanksError {
        tracing::debug!("rank {}: {error}", self.rank);
        let Some(group) = self.group.clone() else { return RanksError::Lost(error.to_string()) };
        let (rank, world, agent_serves) = (self.rank, self.world, group.agent_serves);
        let (sender, receiver) = mpsc::channel();
        // In a thread, because a store whose process is suspended never answers.
        thread::spawn(move || {
            let _ = sender.send(missing(&group.processes, rank, world));
        });
        let found = receiver.recv_timeout(2 * SIGN_OF_LIFE).unwrap_or_else(|_| Err(TorchError("no answer".to_owned())));
        // The group cannot be used any more, and destroying it would wait for suspended ranks.
        std::mem::forget(self.group.clone());
        RanksError::Lost(match found {
            Ok(lost) if lost.is_empty() => format!("rank {rank} lost its connection to the others: {error}"),
            Ok(lost) => lost.join("; "),
            Err(_) if agent_serves => {
                "the launcher, which serves the ranks' store, ended or does not answer".to_owned()
            }
            Err(_) => "rank 0 ended or does not answer".to_owned(),
        })
    }
}

/// The ranks that do not answer, or recorded a reason for their end.
fn missing(group: &ProcessGroup, rank: usize, world: usize) -> Result<Vec<String>, TorchError> {
    group.set(&alive_key(rank), "")?;
    let begun = Instant::now();
    loop {
        let (mut ended, mut silent) = (Vec::new(), Vec::new());
        for other in (0..world).filter(|&other| other != rank) {
            if let Some(reason) = group.get(&reason_key(other))? {
                ended.push(format!("rank {other} failed: {reason}"));
            } else if group.get(&alive_key(other))?.is_none() {
                silent.push(format!("rank {other} ended or does not answer"));
            }
        }
        if !ended.is_empty() || silent.is_empty() || begun.elapsed() > SIGN_OF_LIFE {
            return Ok(if ended.is_empty() { silent } else { ended });
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn alive_key(rank: usize) -> String {
    format!("alive/{rank}")
}

fn reason_key(rank: usize) -> String {
    format!("ended/{rank}")
}

/// The error of libtorch, with a remedy where one is known.
fn in_words(reason: &str, meeting: &Meeting) -> String {
    if reason.contains("EADDRINUSE") || reason.contains("failed to listen") {
        return format!("port {} is in use here or may not be used; set another MASTER_PORT", meeting.port);
    }
    let seconds = meeting.timeout.as_secs();
    if reason.to_lowercase().contains("timed out") || reason.to_lowercase().contains("timeout") {
        return format!("not all came within {seconds} s ({reason})");
    }
    reason.to_owned()
}
