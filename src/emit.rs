//! Messages on standard error. Unlike `eprintln!`, which panics, a run does not end because the terminal was closed or the disk
//! of a log is full.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{Write, stderr};

/// Prints a line.
pub fn emit(line: impl Display) {
    let _ = writeln!(stderr().lock(), "{}", printable(&line.to_string()));
}

/// The text with control characters escaped: file names may hold escape sequences that a terminal would execute.
fn printable(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(obeyed) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if obeyed(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    safe.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of a sweep's file recoloured the terminal.
    #[test]
    fn a_terminal_obeys_no_name() {
        assert_eq!(printable("a\x1b[31mb\r\u{9b}1m\tc\n"), "a\\u{1b}[31mb\\r\\u{9b}1m\tc\n");
        assert!(matches!(printable("plain, ä\n"), Cow::Borrowed(_)));
    }
}
