//! Lines of progress that fit the terminal, and messages above them.

use super::epoch_table::terminal_width;
use indicatif::{ProgressBar, ProgressStyle};
use strata::{emit, emit_directly, emit_through};

/// Templates of a bar's line with the least number of columns that each needs, the largest first. The last takes what there is.
pub(super) type Templates = [(usize, &'static str)];

/// Gives a bar the template for the terminal as it is now.
pub(super) fn fit(bar: &ProgressBar, templates: &Templates) {
    let columns = terminal_width().unwrap_or(usize::MAX);
    let fitting = templates.iter().find(|(least, _)| *least <= columns).or(templates.last());
    if let Some(Ok(style)) = fitting.map(|(_, template)| ProgressStyle::with_template(template)) {
        bar.set_style(style);
    }
}

/// Prints messages of all parts of the program above the bars, until [`messages_directly`]. `suspend` takes the bars off the
/// terminal while it runs what it is given.
pub(super) fn messages_above(suspend: impl Fn(&dyn Fn()) + Send + 'static) {
    emit_through(Some(Box::new(move |line| suspend(&|| emit_directly(line)))));
}

/// Prints messages without regard to bars.
pub(super) fn messages_directly() {
    emit_through(None);
}

/// Takes the library's messages to standard error, above progress bars.
pub(super) struct Messages;

impl std::io::Write for Messages {
    /// A whole message at once, as `tracing_subscriber` writes it.
    fn write(&mut self, message: &[u8]) -> std::io::Result<usize> {
        emit(String::from_utf8_lossy(message).trim_end_matches('\n'));
        Ok(message.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
