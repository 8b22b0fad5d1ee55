//! Words to a person, on standard error. Nobody may be listening any more, because a terminal was closed or a log's disk is
//! full: a run does not end for that, as it would by `eprintln!`.

use std::fmt::Display;
use std::io::{Write, stderr};

/// Says a line.
pub fn say(line: impl Display) {
    let _ = writeln!(stderr().lock(), "{line}");
}
