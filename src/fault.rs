//! Fault injection: points at which a test can make a write or a training step fail.
//!
//! `STRATA_FAULT=POINT:N:WHAT` makes the N-th visit of a point fail, `POINT:N+:WHAT` that one and all after it. The points
//! are `write` (everything that changes the file system in a run) and `step` (a training step). FaultKind can happen is
//! `enospc` (no space left), `erofs` (read-only file system), `kill` (the process aborts, in the middle of the write),
//! `oom` (libtorch cannot get memory), `nan` (a gradient becomes NaN), `leak` (a tensor of one number is never freed).
//! Without the variable a point costs one atomic load.

use crate::emit::emit;
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The variable that sets a fault.
const VARIABLE: &str = "STRATA_FAULT";

/// The fault injected at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    NoSpace,
    ReadOnly,
    Kill,
    OutOfMemory,
    NotANumber,
    Leak,
}

#[derive(Debug)]
struct Fault {
    point: String,
    /// Counted from 1.
    at: u64,
    onwards: bool,
    what: FaultKind,
    visits: AtomicU64,
}

/// The variable does not describe a fault. It is an error, so that a test with a misspelt fault does not pass by injecting
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("STRATA_FAULT={0} is not POINT:N:WHAT, such as write:3:enospc or write:3+:enospc (for tests; unset it)")]
pub struct FaultError(String);

static FAULT: OnceLock<Option<Fault>> = OnceLock::new();

/// Arms the fault that the environment variable describes; without this call no point ever fails.
pub fn arm() -> Result<(), FaultError> {
    let Some(text) = std::env::var_os(VARIABLE) else { return Ok(()) };
    let text = text.to_string_lossy();
    let fault = parse(&text).ok_or_else(|| FaultError(text.clone().into_owned()))?;
    FAULT.get_or_init(|| Some(fault));
    Ok(())
}

fn parse(text: &str) -> Option<Fault> {
    let mut parts = text.split(':');
    let (point, count, what) = (parts.next()?, parts.next()?, parts.next()?);
    let what = match (point, what) {
        ("write", "enospc") => FaultKind::NoSpace,
        ("write", "erofs") => FaultKind::ReadOnly,
        ("write" | "step", "kill") => FaultKind::Kill,
        ("step", "oom") => FaultKind::OutOfMemory,
        ("step", "nan") => FaultKind::NotANumber,
        ("step", "leak") => FaultKind::Leak,
        _ => return None,
    };
    let onwards = count.ends_with('+');
    let at = count.trim_end_matches('+').parse().ok().filter(|&at| at > 0)?;
    let none_left = parts.next().is_none();
    none_left.then(|| Fault { point: point.to_owned(), at, onwards, what, visits: AtomicU64::new(0) })
}

/// Visits a point; returns the fault to inject, if any. `action` is part of the message that announces it.
pub fn hit(point: &str, action: &str) -> Option<FaultKind> {
    let fault = FAULT.get()?.as_ref().filter(|fault| fault.point == point)?;
    let visit = fault.visits.fetch_add(1, Ordering::Relaxed) + 1;
    if visit != fault.at && !(fault.onwards && visit > fault.at) {
        return None;
    }
    emit(format_args!("fault injected at {point} {visit}: {:?}, {action}", fault.what));
    Some(fault.what)
}

/// Visits the point `write` before an action on `path`; fails with the injected error.
pub fn before(action: &str, path: &Path) -> io::Result<()> {
    if FAULT.get().is_none() {
        return Ok(());
    }
    match hit("write", &format!("{action} {}", path.display())) {
        Some(FaultKind::Kill) => std::process::abort(),
        Some(what) => Err(error(what)),
        None => Ok(()),
    }
}

/// Writes `bytes`; with an injected fault half of them, before it fails.
pub fn write_all(writer: &mut impl io::Write, bytes: &[u8], path: &Path) -> io::Result<()> {
    let outcome = match FAULT.get() {
        None => None,
        Some(_) => hit("write", &format!("write {}", path.display())),
    };
    let Some(what) = outcome else { return writer.write_all(bytes) };
    writer.write_all(&bytes[..bytes.len() / 2])?;
    if what == FaultKind::Kill {
        std::process::abort();
    }
    Err(error(what))
}

fn error(what: FaultKind) -> io::Error {
    // ENOSPC and EROFS, so that the message is the operating system's.
    io::Error::from_raw_os_error(if what == FaultKind::ReadOnly { 30 } else { 28 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_or_refused() {
        let fault = parse("write:12+:enospc").unwrap();
        assert_eq!(
            (fault.point.as_str(), fault.at, fault.onwards, fault.what),
            ("write", 12, true, FaultKind::NoSpace)
        );
        assert!(!parse("step:1:oom").unwrap().onwards);
        for wrong in [
            "",
            "write",
            "write:1",
            "write:0:kill",
            "write:x:kill",
            "write:1:oom",
            "write:1:leak",
            "step:1:nan:3",
            "read:1:kill",
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn nothing_fails_unless_asked() {
        assert_eq!(hit("write", ""), None);
        before("make", Path::new("x")).unwrap();
        let mut written = Vec::new();
        write_all(&mut written, b"whole", Path::new("x")).unwrap();
        assert_eq!(written, b"whole");
        assert!(error(FaultKind::NoSpace).to_string().contains("No space left"));
    }
}
