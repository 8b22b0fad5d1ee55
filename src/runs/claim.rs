//! A claim on a run folder, for machines that share a file system but not its locks (Lustre with `localflock`, NFS without a
//! lock service). Beside the lock, a process keeps a file `.claim` that names it and its machine, and rewrites it every few
//! seconds; a claim that was not rewritten for a minute belongs to a machine that died.
//!
//! Processes on one machine rely on the lock alone, so that a run whose process was killed there can be resumed at once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, SystemTime};

const NAME: &str = ".claim";
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Six heartbeats: a machine under load may miss some, and clocks may differ by seconds.
const EXPIRES: Duration = Duration::from_secs(60);
/// Two machines may take over one claim at the same time. The one whose claim is left after this time has it.
const CONTEST: Duration = Duration::from_secs(1);

/// This process's claim, removed when it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
    text: String,
    /// Ends the heartbeat when it is dropped.
    _alive: Sender<()>,
}

/// The claim that is in a folder.
struct ExistingClaim {
    text: String,
    /// Time since the last heartbeat.
    age: Duration,
}

impl Claim {
    /// Claims a folder. The inner error is the name of the process that has it.
    ///
    /// # Errors
    /// When the claim cannot be written.
    pub(super) fn take(folder: &Path) -> io::Result<Result<Claim, String>> {
        let path = folder.join(NAME);
        let nonce = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let text = format!("process {} on {}\n{}\n{nonce}\n", std::process::id(), hostname(), machine());
        let mut contested = false;
        let mut tries = 0;
        let mut file = loop {
            // Atomic on NFS and Lustre, too.
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => break file,
                // Removed between open and read again and again, or not readable.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && tries < 100 => tries += 1,
                Err(error) => return Err(error),
            }
            let Some(found) = ExistingClaim::read(folder) else { continue };
            if found.is_valid(folder) {
                return Ok(Err(found.holder()));
            }
            contested |= !found.is_here();
            if ExistingClaim::read(folder).is_some_and(|now| now.text == found.text) {
                fs::remove_file(&path)
                    .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
            }
        };
        if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
            let _ = fs::remove_file(&path); // an empty claim expires by itself
            return Err(error);
        }
        if contested {
            std::thread::sleep(CONTEST);
        }
        match fs::read_to_string(&path) {
            Ok(now) if now == text => {}
            now => return Ok(Err(ExistingClaim { text: now.unwrap_or_default(), age: Duration::ZERO }.holder())),
        }
        let (alive, dropped) = channel();
        let beat = text.clone();
        std::thread::spawn(move || {
            // Through the open file: a claim that another process has taken over is not touched.
            while dropped.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
                let _ = file.write_all_at(beat.as_bytes(), 0);
            }
        });
        Ok(Ok(Claim { path, text, _alive: alive }))
    }

    /// Whether no other process has taken it over.
    pub(super) fn is_held(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|text| text == self.text)
    }

    /// Whether this is the name of the file of a claim.
    pub(super) fn is_file(name: &std::ffi::OsStr) -> bool {
        name == NAME
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.is_held() {
            let _ = fs::remove_file(&self.path); // it expires by itself
        }
    }
}

/// The process on another machine that has claimed a folder, if any.
pub(super) fn claimed_elsewhere(folder: &Path) -> Option<String> {
    ExistingClaim::read(folder).filter(|found| found.is_valid(folder)).map(|found| found.holder())
}

impl ExistingClaim {
    fn read(folder: &Path) -> Option<ExistingClaim> {
        // Opened, not only stat-ed: open asks the server, while stat may be answered from a cache.
        let file = File::open(folder.join(NAME)).ok()?;
        let changed = file.metadata().and_then(|metadata| metadata.modified()).ok()?;
        let mut bytes = Vec::new();
        file.take(1000).read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Some(ExistingClaim { text, age: SystemTime::now().duration_since(changed).unwrap_or_default() })
    }

    fn holder(&self) -> String {
        self.text.lines().next().map_or_else(|| "another process".to_owned(), str::to_owned)
    }

    /// Whether a process of this machine wrote it. A claim that is still empty is not known to be.
    fn is_here(&self) -> bool {
        self.text.lines().nth(1).is_some_and(|found| found == machine())
    }

    /// Whether its process may be alive on another machine.
    fn is_valid(&self, folder: &Path) -> bool {
        // The clock of the file system decides where this machine's differs from it.
        !self.is_here() && (self.age < EXPIRES || now_there(folder).is_some_and(|now| self.age_at(now) < EXPIRES))
    }

    fn age_at(&self, now: SystemTime) -> Duration {
        let changed = SystemTime::now() - self.age;
        now.duration_since(changed).unwrap_or_default()
    }
}

/// The time on the file system's clock; `None` where nothing can be written.
fn now_there(folder: &Path) -> Option<SystemTime> {
    let mut file = tempfile::Builder::new().prefix(".tmpclaim").tempfile_in(folder).ok()?;
    file.write_all(b"now").ok()?;
    file.as_file().metadata().ok()?.modified().ok()
}

fn hostname() -> String {
    read_line("/proc/sys/kernel/hostname").unwrap_or_else(|| "an unknown host".to_owned())
}

/// A name of this boot of this machine, the same in all of its containers: they share locks.
fn machine() -> String {
    read_line("/proc/sys/kernel/random/boot_id").unwrap_or_else(hostname)
}

fn read_line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim_of(machine: &str, folder: &Path, age: u64) {
        let path = folder.join(NAME);
        fs::write(&path, format!("process 7 on node3\n{machine}\n1\n")).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }

    #[test]
    fn the_claim_of_another_machine_counts_until_its_heartbeat_is_a_minute_old() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let claim = Claim::take(folder).unwrap().unwrap();
        assert!(claim.is_held() && claimed_elsewhere(folder).is_none(), "the lock decides between processes here");
        drop(claim);
        assert!(!folder.join(NAME).exists());

        claim_of("another-boot", folder, 30);
        assert_eq!(claimed_elsewhere(folder).unwrap(), "process 7 on node3");
        assert_eq!(Claim::take(folder).unwrap().unwrap_err(), "process 7 on node3");
        claim_of("another-boot", folder, 61);
        assert!(claimed_elsewhere(folder).is_none());
        let claim = Claim::take(folder).unwrap().unwrap();
        // The other machine was only suspended, and a third takes over.
        claim_of("another-boot", folder, 0);
        assert!(!claim.is_held());
        drop(claim);
        assert!(folder.join(NAME).exists(), "the claim of another is left alone");
    }

    #[test]
    fn a_killed_process_of_this_machine_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        claim_of(&machine(), folder.path(), 0);
        assert!(claimed_elsewhere(folder.path()).is_none());
        Claim::take(folder.path()).unwrap().unwrap();
    }

    #[test]
    fn an_unfinished_claim_counts_too() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAME), "").unwrap();
        assert_eq!(Claim::take(folder.path()).unwrap().unwrap_err(), "another process");
    }
}
