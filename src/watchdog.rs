//! A process beside a training run that records how it ended when the run itself cannot: killed, crashed, out of memory.
//!
//! It waits at the end of a pipe. The run writes there which folder it works on, and an empty line when it has recorded its end
//! itself; the system closes the pipe when the run is gone, whatever ended it.

use crate::torch;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

static PIPE: OnceLock<PipeWriter> = OnceLock::new();

/// Starts the process, which calls `record` with the folder of a run that ended without a word. To be called before the first
/// thread is started. Without this call, [`watch`] does nothing.
///
/// # Errors
/// When the system grants no more processes.
pub fn start(record: fn(&Path)) -> io::Result<()> {
    let (reader, writer) = io::pipe()?;
    // The copy must not hold the end whose closing it waits for.
    let mut writer = Some(writer);
    torch::fork(|| {
        drop(writer.take());
        stand_by(reader, record);
    })?;
    if let Some(writer) = writer {
        let _ = PIPE.set(writer);
    }
    Ok(())
}

fn stand_by(pipe: PipeReader, record: fn(&Path)) {
    let last = BufReader::new(pipe).split(b'\n').map_while(Result::ok).last();
    if let Some(folder) = last.filter(|folder| !folder.is_empty()) {
        record(Path::new(OsStr::from_bytes(&folder)));
    }
}

/// A run that is watched until this is dropped; a panic does not count.
pub struct Watched(());

/// Has the run in `folder` watched.
pub fn watch(folder: &Path) -> Watched {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    tell(folder.as_os_str().as_bytes());
    Watched(())
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            tell(b"");
        }
    }
}

/// Where the watchdog is gone, runs go on without.
fn tell(folder: &[u8]) {
    if let Some(mut pipe) = PIPE.get() {
        let _ = pipe.write_all(&[folder, b"\n"].concat());
    }
}
