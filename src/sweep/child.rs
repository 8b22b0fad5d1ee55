//! The process of one point.

use super::event::Event;
use super::outcome::Exit;
use crate::files::open_without_links;
use crate::ranks::LAUNCHER_VARIABLES;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::time::Instant;

/// A running point.
pub(super) struct Job {
    pub point: usize,
    /// The index of the job, below `--jobs`.
    pub slot: usize,
    pub started: Instant,
    pub log: PathBuf,
    /// The position in the log at which this attempt begins.
    log_start: u64,
    child: Child,
    /// Closing it asks the process to stop.
    stdin: Option<ChildStdin>,
}

impl Job {
    /// Starts `program train FILE --events …`; its events go to `events` with the point's index.
    pub(super) fn start(
        program: &Path,
        file: &Path,
        arguments: &[OsString],
        (point, slot): (usize, usize),
        log: PathBuf,
        events: Sender<(usize, usize, Event)>,
    ) -> io::Result<Job> {
        let stderr = open_without_links(OpenOptions::new().create(true).append(true), &log)?;
        let log_start = stderr.metadata()?.len();
        let mut command = Command::new(program);
        std::os::unix::process::CommandExt::arg0(&mut command, "strata");
        command.arg("train").arg(file).arg("--events").args(arguments);
        // A sweep may itself be one of several processes of a launcher; its points are runs of their own.
        LAUNCHER_VARIABLES.iter().for_each(|name| _ = command.env_remove(name));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        // Ctrl-C on a terminal reaches the sweep only, which then closes the pipe.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        if let Some(out) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    let Ok(event) = serde_json::from_str(&line) else { continue };
                    if events.send((point, slot, event)).is_err() {
                        break;
                    }
                }
            });
        }
        let stdin = child.stdin.take();
        Ok(Job { point, slot, started: Instant::now(), log, log_start, child, stdin })
    }

    /// Asks the process to finish its step, save and end.
    pub(super) fn stop(&mut self) {
        self.stdin = None;
    }

    /// How the process ended; `None` while it runs.
    pub(super) fn ended(&mut self) -> io::Result<Option<Exit>> {
        Ok(self.child.try_wait()?.map(|status| Exit { code: status.code(), words: signal(status) }))
    }

    /// The last lines that this attempt wrote to standard error.
    pub(super) fn last_output(&self) -> String {
        let mut text = Vec::new();
        let read = File::open(&self.log).and_then(|mut file| {
            let start = self.log_start.max(file.metadata()?.len().saturating_sub(10_000));
            file.seek(SeekFrom::Start(start))?;
            file.read_to_end(&mut text)
        });
        if read.is_err() {
            return String::new();
        }
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(4)..].join("\n")
    }
}

/// The signal that ended a process, in words.
fn signal(status: ExitStatus) -> String {
    #[cfg(unix)]
    if std::os::unix::process::ExitStatusExt::signal(&status) == Some(9) {
        return "signal 9 (SIGKILL: killed, perhaps for lack of memory)".to_owned();
    }
    status.to_string()
}
