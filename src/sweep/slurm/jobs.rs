//! Slurm's commands: `sbatch`, `squeue`, `scancel`.

use crate::config::Sweep;
use crate::hex::hex;
use crate::sweep::report::SlurmError;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Array indices stay below Slurm's default MaxArraySize, 1001.
const BLOCK: usize = 1000;

/// The jobs of a sweep, which are found again by their name.
pub(super) struct Jobs<'a> {
    name: String,
    points: usize,
    /// Further options of sbatch.
    pub options: &'a [String],
    /// Tasks at once; all if `None`.
    pub at_once: Option<usize>,
}

impl<'a> Jobs<'a> {
    /// The name has a digest of the points' keys: a sweep whose file changed has other jobs.
    pub(super) fn new(sweep: &Sweep, options: &'a [String], at_once: Option<usize>) -> Jobs<'a> {
        let mut hasher = Sha256::new();
        sweep.points.iter().for_each(|point| hasher.update(point.key.sha256()));
        let name = format!("strata-{}-{}", sweep.name, hex(&hasher.finalize()[..4]));
        Jobs { name, points: sweep.points.len(), options, at_once }
    }

    /// A list of names for squeue and scancel. An array has the points of one block.
    pub(super) fn names(&self) -> String {
        let blocks = 0..self.points.div_ceil(BLOCK);
        blocks.map(|block| format!("{}.{block}", self.name)).collect::<Vec<_>>().join(",")
    }

    /// Submits points, which all run up to one epoch. `script` runs the point with the index in the shell variable `index`;
    /// `output` is a folder for what tasks print.
    pub(super) fn submit(&self, points: &[usize], script: &str, output: &Path) -> Result<(), SlurmError> {
        for block in 0..self.points.div_ceil(BLOCK) {
            let tasks: Vec<String> = points
                .iter()
                .filter(|&&point| point / BLOCK == block)
                .map(|point| (point % BLOCK).to_string())
                .collect();
            if tasks.is_empty() {
                continue;
            }
            let limit = self.at_once.map_or_else(String::new, |count| format!("%{count}"));
            let mut command = Command::new("sbatch");
            command.args(["--parsable", "--requeue", "--open-mode=append", "--signal=USR1@120"]);
            command.arg(format!("--array={}{limit}", tasks.join(",")));
            command.arg(format!("--job-name={}.{block}", self.name));
            command.arg(format!("--output={}/slurm-%A_%a.out", output.display()));
            command.args(self.options);
            let text = format!("#!/bin/sh\nindex=$(({} + SLURM_ARRAY_TASK_ID))\n{script}", block * BLOCK);
            output_of(&mut command, &text)?;
        }
        Ok(())
    }

    /// The points that are queued or run, and whether they run.
    pub(super) fn queued(&self) -> Result<HashMap<usize, bool>, SlurmError> {
        let mut command = Command::new("squeue");
        command.args(["--noheader", "--array", "--format=%K %t %j", &format!("--name={}", self.names())]);
        let listed = output_of(&mut command, "")?;
        let parse = |line: &str| {
            let mut words = line.split_whitespace();
            let (task, state, name) = (words.next()?.parse::<usize>().ok()?, words.next()?, words.next()?);
            let block: usize = name.rsplit('.').next()?.parse().ok()?;
            Some((block * BLOCK + task, ["R", "CG", "CF"].contains(&state)))
        };
        Ok(listed.lines().filter_map(parse).collect())
    }

    /// Cancels all of them. Running points receive SIGTERM, on which they save.
    pub(super) fn cancel(&self) -> Result<(), SlurmError> {
        output_of(Command::new("scancel").arg(format!("--name={}", self.names())), "").map(drop)
    }
}

/// Standard output of a command that is given `input`.
fn output_of(command: &mut Command, input: &str) -> Result<String, SlurmError> {
    let name = OsStr::to_string_lossy(command.get_program()).into_owned();
    let error = |reason: String| SlurmError { command: name.clone(), reason };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|reason| error(format!("cannot be started: {reason}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input.as_bytes()); // a command that does not read it says why
    }
    let output = child.wait_with_output().map_err(|reason| error(reason.to_string()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(error(text(&output.stderr))) }
}
