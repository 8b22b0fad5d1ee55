//! A process beside a training run that records how the run ended when the run itself cannot: killed, crashed, out of memory.
//!
//! It reads from a pipe until the pipe closes. The run writes the folder it works on, and an empty line once it has recorded
//! its end itself; the kernel closes the pipe when the run's process ends, whatever ended it.

use crate::torch;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

static PIPE: OnceLock<PipeWriter> = OnceLock::new();

/// Forks the process, which calls `record` with the folder of a run that ended without recording it. Must be called before the
/// first thread is started, since only the forking thread lives on in a fork. Without this call, [`watch`] does nothing.
pub fn start(record: fn(&Path)) -> io::Result<()> {
    let (reader, writer) = io::pipe()?;
    // The child must close its copy of the writing end: a pipe is at its end only when every copy is closed.
    let mut writer = Some(writer);
    torch::fork(|| {
        drop(writer.take());
        wait(reader, record);
    })?;
    if let Some(writer) = writer {
        let _ = PIPE.set(writer);
    }
    Ok(())
}

fn wait(pipe: PipeReader, record: fn(&Path)) {
    let last = BufReader::new(pipe).split(b'\n').map_while(Result::ok).last();
    if let Some(folder) = last.filter(|folder| !folder.is_empty()) {
        record(Path::new(OsStr::from_bytes(&folder)));
    }
}

/// A run that is watched until this is dropped, unless by a panic.
pub struct Watched(());

/// Makes the watchdog responsible for the run in `folder`.
pub fn watch(folder: &Path) -> Watched {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    send(folder.as_os_str().as_bytes());
    Watched(())
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            send(b"");
        }
    }
}

/// Sends a line to the watchdog. A run does not fail because the watchdog was killed.
fn send(folder: &[u8]) {
    if let Some(mut pipe) = PIPE.get() {
        let _ = pipe.write_all(&[folder, b"\n"].concat());
    }
}
