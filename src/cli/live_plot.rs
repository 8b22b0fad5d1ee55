//! A small plot of a run on the terminal: training loss and validation Top-1 by epoch, in braille dots.

use console::{Term, style};
use strata::runs::EpochRow;
use strata::train::StepReport;

/// A terminal with less room gets no plot.
const LEAST_COLUMNS: usize = 60;
const LEAST_LINES: usize = 20;
/// Wider panels show no more.
const WIDEST: usize = 70;
/// Lines of text that the dots take.
const HEIGHT: usize = 7;
/// Columns for the numbers on the left of a panel.
const NUMBERS: usize = 8;
/// A line of training loss has about this many points, however long the run.
const POINTS: usize = 400;

/// What is plotted; x is in epochs.
#[derive(Default)]
pub(super) struct LivePlot {
    epochs: usize,
    loss: Vec<[f64; 2]>,
    top1: Vec<[f64; 2]>,
    best: Option<(usize, f64)>,
    /// The last point of the loss: epoch, batch, sum of the losses of the epoch so far.
    last: (usize, usize, f64),
}

impl LivePlot {
    /// A run of this many epochs; `rows` are those of an earlier process.
    pub(super) fn new(epochs: usize, rows: &[EpochRow]) -> LivePlot {
        let mut plot = LivePlot { epochs, ..LivePlot::default() };
        for row in rows {
            plot.loss.push([row.epoch as f64, row.train_loss]);
            plot.epoch(row);
        }
        plot
    }

    /// Adds the mean loss since the last point; a report has the mean over the epoch so far.
    pub(super) fn step(&mut self, step: &StepReport) {
        let every = (self.epochs * step.batches / POINTS).max(1);
        if self.last.0 != step.epoch {
            self.last = (step.epoch, 0, 0.0);
        }
        let (_, batch, sum) = self.last;
        if step.batch < batch + every && step.batch != step.batches || step.batch <= batch {
            return;
        }
        let so_far = step.loss * step.batch as f64;
        let x = (step.epoch - 1) as f64 + step.batch as f64 / step.batches as f64;
        self.loss.push([x, (so_far - sum) / (step.batch - batch) as f64]);
        self.last = (step.epoch, step.batch, so_far);
    }

    pub(super) fn epoch(&mut self, row: &EpochRow) {
        self.top1.push([row.epoch as f64, row.val_top1]);
        if self.best.is_none_or(|(_, best)| row.val_top1 > best) {
            self.best = Some((row.epoch, row.val_top1));
        }
    }

    /// The plot for standard error's terminal as it is now; `None` where there is no room for it.
    pub(super) fn fitted(&self) -> Option<String> {
        let (lines, columns) = Term::stderr().size_checked()?;
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let room = usize::from(columns) >= LEAST_COLUMNS && usize::from(lines) >= LEAST_LINES;
        (room && !dumb).then(|| self.draw(usize::from(columns) - 1))
    }

    /// Two panels side by side in this many columns.
    fn draw(&self, columns: usize) -> String {
        let width = ((columns - 2) / 2).min(WIDEST);
        let loss = self.loss.last().map_or(f64::NAN, |[_, loss]| *loss);
        let top1 = self.top1.last().map_or(f64::NAN, |[_, top1]| 100.0 * top1);
        let losses = ["training loss".to_owned(), format!("training loss {loss:.4}")];
        let mut top1s = vec!["validation Top-1".to_owned()];
        if let Some((epoch, best)) = self.best {
            let best = 100.0 * best;
            top1s.push(format!("validation Top-1 {top1:.2} %"));
            top1s.push(format!("validation Top-1 {top1:.2} %, best {best:.2} %"));
            top1s.push(format!("validation Top-1 {top1:.2} %, best {best:.2} % in epoch {epoch}"));
        }
        let losses = longest(if self.loss.is_empty() { &losses[..1] } else { &losses }, width);
        let left = panel(losses, &self.loss, self.epochs, width, |loss| format!("{loss:.3}"));
        let top1s = longest(&top1s, width);
        let right = panel(top1s, &self.top1, self.epochs, width, |top1| format!("{:.1} %", 100.0 * top1));
        let line = |(index, (left, right)): (usize, (&String, &String))| match index {
            1..=HEIGHT => {
                let [a, b] = [left, right].map(|text| text.split_at(text.find('│').unwrap_or(0)));
                let [dots_a, dots_b] = [style(a.1).cyan(), style(b.1).yellow()].map(|dots| dots.for_stderr());
                format!("{}{dots_a}  {}{dots_b}", a.0, b.0)
            }
            _ => format!("{left}  {right}"),
        };
        left.iter().zip(&right).enumerate().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// The last of some titles, each longer than the one before, that a panel has room for.
fn longest(titles: &[String], width: usize) -> &str {
    let fits = |title: &&String| title.chars().count() + NUMBERS < width;
    titles.iter().rev().find(fits).map_or("", String::as_str)
}

/// A title, [`HEIGHT`] lines of dots with the highest and lowest value beside them, and the axis of epochs; every line is
/// `width` columns wide.
fn panel(title: &str, points: &[[f64; 2]], epochs: usize, width: usize, number: impl Fn(f64) -> String) -> Vec<String> {
    let finite = || points.iter().copied().filter(|[_, y]| y.is_finite());
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), [_, y]| (a.min(y), b.max(y)));
    let inner = width - NUMBERS - 1;
    let mut canvas = Canvas::new(inner, HEIGHT);
    let place = |[x, y]: [f64; 2]| {
        let part = if high > low { (y - low) / (high - low) } else { 0.5 };
        let across = x / epochs.max(1) as f64 * (2 * inner - 1) as f64;
        [across.round() as i64, ((1.0 - part) * (4 * HEIGHT - 1) as f64).round() as i64]
    };
    let places: Vec<[i64; 2]> = finite().map(place).collect();
    places.iter().for_each(|&place| canvas.dot(place));
    places.windows(2).for_each(|pair| canvas.line(pair[0], pair[1]));
    let mut lines = vec![fit(&format!("{:NUMBERS$} {title}", ""), width)];
    for (index, dots) in canvas.rows().into_iter().enumerate() {
        let beside = match index {
            _ if low > high => String::new(),
            0 => number(high),
            i if i + 1 == HEIGHT && high > low => number(low),
            _ => String::new(),
        };
        lines.push(format!("{beside:>NUMBERS$}│{dots}"));
    }
    let end = format!("epoch {epochs}");
    lines.push(fit(&format!("{:NUMBERS$}└0{end:─>room$}", "", room = inner - 1), width));
    lines
}

/// A text in exactly this many columns.
fn fit(text: &str, width: usize) -> String {
    let mut text: String = text.chars().take(width).collect();
    text.extend(std::iter::repeat_n(' ', width - text.chars().count()));
    text
}

/// Dots, two across and four down in each character.
struct Canvas {
    columns: usize,
    cells: Vec<u8>,
}

impl Canvas {
    fn new(columns: usize, rows: usize) -> Canvas {
        Canvas { columns, cells: vec![0; columns * rows] }
    }

    /// Sets a dot, counted from the upper left; what lies outside is left out.
    fn dot(&mut self, [x, y]: [i64; 2]) {
        // The order of the dots in Unicode's braille patterns.
        const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        if x / 2 < self.columns
            && let Some(cell) = self.cells.get_mut(y / 4 * self.columns + x / 2)
        {
            *cell |= BITS[y % 4][x % 2];
        }
    }

    fn line(&mut self, [x1, y1]: [i64; 2], [x2, y2]: [i64; 2]) {
        let steps = (x2 - x1).abs().max((y2 - y1).abs()).max(1);
        for step in 0..=steps {
            let part = step as f64 / steps as f64;
            let along = |from: i64, to: i64| (from as f64 + (to - from) as f64 * part).round() as i64;
            self.dot([along(x1, x2), along(y1, y2)]);
        }
    }

    fn rows(&self) -> Vec<String> {
        let character = |&cell: &u8| char::from_u32(0x2800 + u32::from(cell)).unwrap_or(' ');
        self.cells.chunks(self.columns.max(1)).map(|row| row.iter().map(character).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rising_line_goes_from_corner_to_corner() {
        let lines = panel("t", &[[0.0, 1.0], [4.0, 3.0]], 4, 30, |y| format!("{y:.1}"));
        assert!(lines.iter().all(|line| line.chars().count() == 30), "{lines:#?}");
        assert!(lines[1].starts_with("     3.0│") && lines[HEIGHT].starts_with("     1.0│"), "{lines:#?}");
        let set = |line: &str, index: usize| line.chars().nth(index) != Some('\u{2800}');
        assert!(set(&lines[1], 29) && !set(&lines[1], 9) && set(&lines[HEIGHT], 9) && !set(&lines[HEIGHT], 29));
        assert!(lines[HEIGHT + 1].ends_with("epoch 4"), "{lines:#?}");
    }

    #[test]
    fn the_loss_of_a_point_is_that_since_the_last_one() {
        let mut plot = LivePlot::new(2, &[]);
        let report = |epoch, batch, loss| StepReport {
            epoch,
            batch,
            batches: 3,
            loss,
            top1: 0.0,
            images_per_second: 1.0,
            waited_seconds: 0.0,
        };
        // Losses 4, 2, 3 of single batches, reported as means so far; then a new epoch.
        for (epoch, batch, mean) in [(1, 1, 4.0), (1, 2, 3.0), (1, 3, 3.0), (2, 1, 1.0)] {
            plot.step(&report(epoch, batch, mean));
        }
        let losses: Vec<f64> = plot.loss.iter().map(|point| point[1]).collect();
        assert_eq!(losses, [4.0, 2.0, 3.0, 1.0]);
        assert_eq!(plot.loss[3][0], 1.0 + 1.0 / 3.0);
    }

    #[test]
    fn nothing_and_no_numbers_are_borne() {
        for points in [&[][..], &[[1.0, f64::NAN]], &[[1.0, 0.5]]] {
            assert_eq!(panel("t", points, 0, 25, |y| y.to_string()).len(), HEIGHT + 2);
        }
        assert_eq!(LivePlot::new(3, &[]).draw(59).lines().count(), HEIGHT + 2);
    }
}
