//! Pictures of training: loss and accuracy by epoch for runs and groups of runs, and the pictures of a sweep.

mod accuracy;
mod sweep;

#[cfg(test)]
mod tests;

pub use sweep::{SweepPictures, cost_picture, sweep_pictures, write_sweep_pictures};

use crate::figures::chart::{Axis, COLOURS, Chart, Figure, LineStyles, Marks, Series, Stroke};
use crate::files::write_whole;
use crate::runs::RunError;
use crate::runs::{EpochRow, read_epochs};
use std::collections::BTreeMap;
use std::path::Path;

/// Curves that are one line: the runs of one experiment under several seeds.
#[derive(Clone, Debug)]
pub struct CurveGroup {
    pub name: String,
    /// One entry a seed.
    pub runs: Vec<Vec<EpochRow>>,
}

/// More groups than these are not told apart; the best of them are drawn.
pub const MOST: usize = 16;
/// Of a run that diverges, losses above this are not drawn: they would press all others onto one line. Guessing among a
/// thousand classes costs 7 nats.
const LARGEST_LOSS: f64 = 100.0;
/// With more groups than these, training is left out: each line then needs the room.
const BOTH: usize = 6;

/// Loss and Top-1 by epoch as one SVG.
pub fn chart(groups: &[CurveGroup], title: &str) -> String {
    figure(groups, title).svg()
}

/// The picture of one run, `curves.svg` in its folder. Nothing is written before the first epoch has ended.
///
/// # Errors
/// When `epochs.csv` cannot be read or the picture cannot be written.
pub fn write_run_picture(folder: &Path) -> Result<(), RunError> {
    let rows = read_epochs(folder)?;
    if rows.is_empty() {
        return Ok(());
    }
    // runs/NAME/KEY
    let mut parts = folder.iter().rev().map(|part| part.to_string_lossy());
    let key = parts.next().unwrap_or_default();
    let name = parts.next().unwrap_or_default();
    let group = CurveGroup { name: name.to_string(), runs: vec![rows] };
    write(&folder.join("curves.svg"), &chart(&[group], &format!("{name} ({key})")))
}

fn write(path: &Path, svg: &str) -> Result<(), RunError> {
    write_whole(path, svg.as_bytes()).map_err(RunError::io("write", path))
}

/// Loss and Top-1 by epoch: a colour a group, validation solid, training pale.
pub fn figure(groups: &[CurveGroup], title: &str) -> Figure {
    let drawn = best(groups);
    let both = drawn.len() <= BOTH;
    let (losses, larger): (Vec<f64>, Vec<f64>) = drawn
        .iter()
        .flat_map(|group| group.runs.iter().flatten())
        .flat_map(|row| [row.train_loss, row.val_loss])
        .filter(|loss| loss.is_finite())
        .partition(|loss| *loss <= LARGEST_LOSS);
    let loss =
        if spans(&losses, 20.0) { Axis::new("loss (nats, logarithmic)").log() } else { Axis::new("loss (nats)") };
    let [mut losses, mut top1s] = [loss, Axis::new("Top-1 accuracy").percent()]
        .map(|axis| Chart::new(&format!("{title}: {}", axis.label), Axis::new("epoch").count(), axis));
    let styles = LineStyles::new(&drawn.iter().map(|group| group.name.as_str()).collect::<Vec<_>>());
    for (group, &(colour, stroke)) in drawn.iter().zip(&styles.lines) {
        let name = match group.runs.len() {
            _ if !styles.legend.is_empty() => String::new(),
            1 => group.name.clone(),
            n => format!("{} ({n} seeds)", group.name),
        };
        let draw = |chart: &mut Chart, value: fn(&EpochRow) -> f64, pale: bool| {
            let (points, band) = over_seeds(&group.runs, value);
            let marks = if pale {
                Marks::Line { points, band: Vec::new(), stroke: Stroke::Pale }
            } else {
                Marks::Line { points, band, stroke }
            };
            chart.series.push(Series { name: if pale { String::new() } else { name.clone() }, colour, marks });
        };
        if both {
            draw(&mut losses, |row| drawable(row.train_loss), true);
            draw(&mut top1s, |row| row.train_top1, true);
        }
        draw(&mut losses, |row| drawable(row.val_loss), false);
        draw(&mut top1s, |row| row.val_top1, false);
    }
    let mut note = format!("{} {}", note(groups, &drawn, both), styles.note).trim().to_owned();
    let broken = |series: &Series| match &series.marks {
        Marks::Line { points, .. } => points.iter().any(|[_, y]| !y.is_finite()),
        Marks::Points { .. } => false,
    };
    let several = drawn.iter().any(|group| group.runs.len() > 1);
    if several && losses.series.iter().chain(&top1s.series).any(broken) {
        note.push_str(" A line breaks where one of its seeds has no value to draw.");
    }
    if !larger.is_empty() {
        note = format!("{note} Losses above {LARGEST_LOSS} are not drawn.").trim().to_owned();
    }
    let splits = both.then(|| [key("validation", Stroke::Solid), key("training", Stroke::Pale)]);
    Figure {
        title: title.to_owned(),
        note,
        panels: vec![losses, top1s],
        keys: styles.legend.into_iter().chain(splits.into_iter().flatten()).collect(),
    }
}

/// A loss that can be drawn beside others; what is not a number is left out.
fn drawable(loss: f64) -> f64 {
    if loss <= LARGEST_LOSS { loss } else { f64::NAN }
}

/// A line of the legend that no series has.
fn key(name: &str, stroke: Stroke) -> Series {
    let marks = Marks::Line { points: Vec::new(), band: Vec::new(), stroke };
    Series { name: name.to_owned(), colour: COLOURS[6], marks }
}

fn note(groups: &[CurveGroup], drawn: &[&CurveGroup], both: bool) -> String {
    let mut parts = Vec::new();
    if drawn.iter().any(|group| group.runs.len() > 1) {
        parts.push("Lines are means over seeds, bands reach from the lowest to the highest seed.".to_owned());
    }
    if !both {
        parts.push("Validation only.".to_owned());
    }
    if drawn.len() < groups.len() {
        parts.push(format!("The {} of {} settings with the best validation Top-1.", drawn.len(), groups.len()));
    }
    parts.join(" ")
}

/// Groups with an epoch to draw; of too many, those with the best validation Top-1, in their own order.
fn best(groups: &[CurveGroup]) -> Vec<&CurveGroup> {
    let reached = |group: &CurveGroup| {
        let best = |run: &Vec<EpochRow>| run.iter().map(|row| row.val_top1).fold(f64::NEG_INFINITY, f64::max);
        group.runs.iter().map(best).sum::<f64>() / group.runs.len() as f64
    };
    let mut drawn: Vec<(usize, f64)> = groups
        .iter()
        .enumerate()
        .filter(|(_, group)| group.runs.iter().any(|run| !run.is_empty()))
        .map(|(index, group)| (index, reached(group)))
        .collect();
    drawn.sort_by(|a, b| b.1.total_cmp(&a.1));
    drawn.truncate(MOST);
    drawn.sort_by_key(|&(index, _)| index);
    drawn.into_iter().map(|(index, _)| &groups[index]).collect()
}

/// By epoch: the mean over the runs, and the lowest and highest of them. Where one of them has no value, neither is a number:
/// a mean of those that are left would be another line.
fn over_seeds(runs: &[Vec<EpochRow>], value: fn(&EpochRow) -> f64) -> (Vec<[f64; 2]>, Vec<[f64; 3]>) {
    let mut epochs: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for row in runs.iter().flatten() {
        epochs.entry(row.epoch).or_default().extend(Some(value(row)).filter(|value| value.is_finite()));
    }
    let range = |values: &[f64]| if values.len() == runs.len() { Range::of(values) } else { Range::NOTHING };
    let lines = epochs.into_iter().map(|(epoch, values)| (epoch as f64, range(&values)));
    let lines: Vec<(f64, Range)> = lines.collect();
    let points = lines.iter().map(|(epoch, range)| [*epoch, range.mean]).collect();
    let band = if runs.len() > 1 {
        lines.iter().map(|(epoch, range)| [*epoch, range.low, range.high]).collect()
    } else {
        Vec::new()
    };
    (points, band)
}

/// A few values, at least one.
#[derive(Clone, Copy, Debug)]
struct Range {
    mean: f64,
    low: f64,
    high: f64,
}

impl Range {
    const NOTHING: Range = Range { mean: f64::NAN, low: f64::NAN, high: f64::NAN };

    fn of(values: &[f64]) -> Range {
        Range {
            mean: values.iter().sum::<f64>() / values.len() as f64,
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// Whether values above 0 span so many times that only a logarithmic axis shows them all.
fn spans(values: &[f64], times: f64) -> bool {
    let usable = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (usable().fold(f64::INFINITY, f64::min), usable().fold(f64::NEG_INFINITY, f64::max));
    low > 0.0 && high / low > times
}
