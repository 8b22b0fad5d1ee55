//! The table of epochs on a terminal: a line an epoch, with as many columns as the terminal has room for.

use console::Term;
use strata::runs::{EpochRow, significant};

struct Column {
    title: &'static str,
    width: usize,
    /// Columns with a high rank are the first to be left out.
    rank: usize,
    cell: fn(&EpochRow) -> String,
}

/// Columns between the epoch and the mark of the best one. At 80 characters there is room for ranks 0 to 5.
const COLUMNS: [Column; 10] = [
    Column { title: "lr", width: 8, rank: 7, cell: |row| rate(row.lr) },
    Column { title: "train loss", width: 10, rank: 0, cell: |row| loss(row.train_loss) },
    Column { title: "train Top-1", width: 11, rank: 3, cell: |row| percent(row.train_top1) },
    Column { title: "train Top-5", width: 11, rank: 8, cell: |row| percent(row.train_top5) },
    Column { title: "val loss", width: 8, rank: 2, cell: |row| loss(row.val_loss) },
    Column { title: "val Top-1", width: 9, rank: 1, cell: |row| percent(row.val_top1) },
    Column { title: "val Top-5", width: 9, rank: 4, cell: |row| percent(row.val_top5) },
    Column { title: "images/s", width: 8, rank: 6, cell: |row| format!("{:.0}", row.images_per_second) },
    Column { title: "time", width: 7, rank: 5, cell: |row| seconds(row.epoch_seconds) },
    Column { title: "memory", width: 9, rank: 9, cell: |row| format!("{:.0} MiB", row.peak_memory_mib) },
];
const GAP: usize = 2;
const BEST: &str = "best";

/// Columns of text that a terminal has; `None` for a stream that is not one.
pub(super) fn width_of(terminal: &Term) -> Option<usize> {
    terminal.size_checked().map(|(_, columns)| usize::from(columns))
}

/// Columns of text that the terminal of standard error has; `None` without a terminal.
pub(super) fn terminal_width() -> Option<usize> {
    width_of(&Term::stderr())
}

/// A fraction as percent, as people read accuracies.
pub(super) fn percent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}

fn loss(value: f64) -> String {
    if value.abs() < 1000.0 { format!("{value:.4}") } else { format!("{value:.2e}") }
}

fn rate(value: f64) -> String {
    let text = significant(value);
    if text.len() <= 8 { text } else { format!("{value:.2e}") }
}

fn seconds(value: f64) -> String {
    if value < 1000.0 { format!("{value:.1} s") } else { format!("{:.0} s", value) }
}

/// Lines of the table for a run of this many epochs.
#[derive(Default)]
pub(super) struct EpochTable {
    epochs: usize,
    /// Width that the header was last printed for.
    printed: Option<usize>,
}

impl EpochTable {
    pub(super) fn new(epochs: usize) -> EpochTable {
        EpochTable { epochs, printed: None }
    }

    /// The line of an epoch for a terminal of this width. The header comes first, and again after the terminal was resized.
    pub(super) fn lines(&mut self, row: &EpochRow, is_best: bool, width: usize) -> String {
        let columns = self.columns(width);
        let epoch = format!("{}/{}", row.epoch, self.epochs);
        let mut line = self.line(&epoch, columns.iter().map(|column| (column.width, (column.cell)(row))));
        if is_best {
            line.push_str(&format!("{:GAP$}{BEST}", ""));
        }
        if self.printed.replace(width) == Some(width) {
            return line;
        }
        let header = self.line("epoch", columns.iter().map(|column| (column.width, column.title.to_owned())));
        format!("{header}\n{line}")
    }

    fn line(&self, epoch: &str, cells: impl Iterator<Item = (usize, String)>) -> String {
        let first = format!("{epoch:>0$}", self.epoch_width());
        cells.fold(first, |line, (width, cell)| format!("{line}{:GAP$}{cell:>width$}", ""))
    }

    fn epoch_width(&self) -> usize {
        "epoch".len().max(2 * self.epochs.to_string().len() + 1)
    }

    /// The columns that fit, in their order.
    fn columns(&self, width: usize) -> Vec<&'static Column> {
        // A line that fills the last column of a terminal makes some terminals wrap.
        let mut room = width.saturating_sub(self.epoch_width() + GAP + BEST.len() + 1);
        let mut ranked: Vec<&Column> = COLUMNS.iter().collect();
        ranked.sort_by_key(|column| column.rank);
        let fits = |column: &&&Column| {
            let left = room.checked_sub(GAP + column.width);
            room = left.unwrap_or(0);
            left.is_some()
        };
        let chosen: Vec<usize> = ranked.iter().take_while(fits).map(|column| column.rank).collect();
        COLUMNS.iter().filter(|column| chosen.contains(&column.rank)).collect()
    }
}

/// A text in lines of a terminal, broken between words; later lines are indented.
pub(super) fn wrapped(text: &str, width: Option<usize>) -> String {
    folded(&text.split(' ').map(str::to_owned).collect::<Vec<_>>(), " ", width)
}

/// Parts of a message in as few lines as a terminal of this width needs: broken between parts, continued with an indent.
pub(super) fn folded(parts: &[String], separator: &str, width: Option<usize>) -> String {
    let room = width.unwrap_or(usize::MAX);
    let mut text = String::new();
    let mut used = 0;
    for part in parts {
        let long = part.chars().count();
        if text.is_empty() {
            used = long;
        } else if used + separator.len() + long < room {
            text.push_str(separator);
            used += separator.len() + long;
        } else {
            text.push_str(separator.trim_end());
            text.push_str("\n  ");
            used = 2 + long;
        }
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: usize) -> EpochRow {
        EpochRow {
            epoch,
            step: 938,
            lr: 0.000_123_456_789,
            train_loss: 0.7123,
            train_top1: 0.8412,
            train_top5: 1.0,
            val_loss: 123_456.7,
            val_top1: 0.8,
            val_top5: 0.99,
            epoch_seconds: 12.34,
            images_per_second: 4321.0,
            peak_memory_mib: 512.0,
        }
    }

    #[test]
    fn lines_fit_the_terminal_and_line_up() {
        for (width, titles) in [(60, 5), (80, 7), (100, 9), (120, 10), (140, 11)] {
            let mut table = EpochTable::new(100);
            let text = [table.lines(&row(9), false, width), table.lines(&row(10), true, width)].join("\n");
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 3, "{text}");
            let long = |line: &str| line.chars().count();
            assert_eq!(long(lines[0]), long(lines[1]), "{text}");
            assert!(long(lines[2]) < width && lines[2].ends_with(BEST), "{width}: {text}");
            assert_eq!(
                lines[0].split("  ").filter(|title| !title.trim().is_empty()).count(),
                titles,
                "{width}: {text}"
            );
        }
        let mut table = EpochTable::new(3);
        assert_eq!(table.lines(&row(1), false, 80).lines().count(), 2);
        assert_eq!(table.lines(&row(2), false, 80).lines().count(), 1);
        assert_eq!(table.lines(&row(3), false, 60).lines().count(), 2, "the header again after a resize");
    }

    #[test]
    fn a_message_breaks_between_its_parts() {
        let parts = ["one part".to_owned(), "another".to_owned(), "third".to_owned()];
        assert_eq!(folded(&parts, "; ", None), "one part; another; third");
        assert_eq!(folded(&parts, "; ", Some(20)), "one part; another;\n  third");
    }
}
