//! Messages on standard error. Unlike `eprintln!`, which panics, a run does not end because the terminal was closed or the disk
//! of a log is full.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{Write, stderr};
use std::sync::Mutex;

/// Prints lines instead of [`emit_directly`].
type Printer = Box<dyn Fn(&str) + Send>;

static PRINTER: Mutex<Option<Printer>> = Mutex::new(None);

/// Prints a line. Any thread may call this, while a progress bar is drawn too: see [`emit_through`].
pub fn emit(line: impl Display) {
    let line = line.to_string();
    match PRINTER.lock().as_deref() {
        Ok(Some(printer)) => printer(&line),
        _ => emit_directly(line),
    }
}

/// Hands later lines to a printer, which takes a progress bar off the terminal and prints them with [`emit_directly`]; `None` ends that.
pub fn emit_through(printer: Option<Printer>) {
    if let Ok(mut current) = PRINTER.lock() {
        *current = printer;
    }
}

/// Prints a line to standard error itself.
pub fn emit_directly(line: impl Display) {
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
