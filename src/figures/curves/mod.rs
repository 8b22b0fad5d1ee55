//! Figures of training: loss and accuracy by epoch of runs and groups of runs, and the figures of a sweep.

mod accuracy;
mod sweep;

#[cfg(test)]
mod tests;

pub use sweep::{SweepPictures, cost_picture, sweep_pictures, write_sweep_pictures};

use crate::analysis::Spread;
use crate::figures::chart::{Axis, COLOURS, Chart, Figure, LineStyle, LineStyles, Marks, Series, Stroke};
use crate::files::write_atomic;
use crate::runs::{EpochRow, Epochs, RunError};
use std::collections::BTreeMap;
use std::path::Path;

/// Runs that are drawn as one line, such as one experiment under several seeds.
#[derive(Clone, Debug)]
pub struct CurveGroup {
    pub name: String,
    /// One for each seed.
    pub runs: Vec<Epochs>,
}

/// The most groups that are drawn; of more, only the best are read.
pub const MOST: usize = 128;
/// Higher losses are not drawn: those of a run that diverges would squeeze all others onto one line. Guessing among a thousand
/// classes costs 7 nats.
const LARGEST_LOSS: f64 = 100.0;
/// With more groups only the validation curves are drawn.
const BOTH: usize = 6;

/// Loss and Top-1 by epoch as one SVG.
pub fn chart(groups: &[CurveGroup], title: &str) -> String {
    figure(groups, groups.len(), title).svg()
}

/// Draws `curves.svg` into the folder of a run, once it has completed an epoch.
///
/// # Errors
/// When `epochs.csv` cannot be read or the file cannot be written.
pub fn write_run_picture(folder: &Path) -> Result<(), RunError> {
    let epochs = Epochs::read(folder)?;
    if epochs.is_empty() {
        return Ok(());
    }
    // runs/NAME/KEY
    let mut parts = folder.iter().rev().map(|part| part.to_string_lossy());
    let key = parts.next().unwrap_or_default();
    let name = parts.next().unwrap_or_default();
    let group = CurveGroup { name: name.to_string(), runs: vec![epochs] };
    write(&folder.join("curves.svg"), &chart(&[group], &format!("{name} ({key})")))
}

fn write(path: &Path, svg: &str) -> Result<(), RunError> {
    write_atomic(path, svg.as_bytes()).map_err(RunError::io("write", path))
}

/// Loss and Top-1 by epoch, with a colour for each group; validation is solid, training pale. `groups` are the best of `all`
/// settings. Many groups are spread over panels.
pub fn figure(groups: &[CurveGroup], all: usize, title: &str) -> Figure {
    let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    let drawn = best(groups, LineStyles::capacity(&names));
    let both = drawn.len() <= BOTH;
    let (losses, larger): (Vec<f64>, Vec<f64>) = drawn
        .iter()
        .flat_map(|group| group.runs.iter().flat_map(|run| run.iter()))
        .flat_map(|row| [row.train_loss, row.val_loss])
        .filter(|loss| loss.is_finite())
        .partition(|loss| *loss <= LARGEST_LOSS);
    let loss =
        if spans(&losses, 20.0) { Axis::new("loss (nats, logarithmic)").log() } else { Axis::new("loss (nats)") };
    let styles = LineStyles::new(&drawn.iter().map(|group| group.name.as_str()).collect::<Vec<_>>());
    let [mut losses, mut top1s] = [loss, Axis::new("Top-1 accuracy").percent()]
        .map(|axis| styles.charts(Chart::new(&format!("{title}: {}", axis.label), Axis::new("epoch").count(), axis)));
    if styles.has_panel_each() {
        add_best(&drawn, &mut losses, |row| drawable(row.val_loss));
        add_best(&drawn, &mut top1s, |row| row.val_top1);
    }
    for (group, &LineStyle { colour, stroke, panel }) in drawn.iter().zip(&styles.lines) {
        let name = styles.entry(&match group.runs.len() {
            1 => group.name.clone(),
            n => format!("{} ({n} seeds)", group.name),
        });
        let draw = |charts: &mut [Chart], value: fn(&EpochRow) -> f64, pale: bool| {
            let (points, band) = over_seeds(&group.runs, value);
            charts[panel].series.push(match pale {
                true => Series::line("", colour, points, Stroke::Pale),
                false => Series { name: name.clone(), colour, marks: Marks::Line { points, band, stroke } },
            });
        };
        if both {
            draw(&mut losses, |row| drawable(row.train_loss), true);
            draw(&mut top1s, |row| row.train_top1, true);
        }
        draw(&mut losses, |row| drawable(row.val_loss), false);
        draw(&mut top1s, |row| row.val_top1, false);
    }
    let mut note = format!("{} {}", note(all, &drawn, both), styles.note).trim().to_owned();
    let several = drawn.iter().any(|group| group.runs.len() > 1);
    let panels: Vec<Chart> = losses.into_iter().chain(top1s).collect();
    if several && panels.iter().flat_map(|chart| &chart.series).any(is_broken) {
        note.push_str(" A line breaks where one of its seeds has no value to draw.");
    }
    if !larger.is_empty() {
        note = format!("{note} Losses above {LARGEST_LOSS} are not drawn.").trim().to_owned();
    }
    let splits = both.then(|| [key("validation", Stroke::Solid), key("training", Stroke::Pale)]);
    Figure {
        title: title.to_owned(),
        note,
        panels,
        parts: styles.panels.len(),
        keys: styles.legend.into_iter().chain(splits.into_iter().flatten()).collect(),
    }
}

/// Whether a line has a gap.
fn is_broken(series: &Series) -> bool {
    match &series.marks {
        Marks::Line { points, .. } => points.iter().any(|[_, y]| !y.is_finite()),
        Marks::Points { .. } => false,
    }
}

/// Adds the line of the best group to panels of one line each, as their reference.
fn add_best(groups: &[&CurveGroup], panels: &mut [Chart], value: fn(&EpochRow) -> f64) {
    let Some(best) = groups.iter().max_by(|a, b| reached(a).total_cmp(&reached(b))) else { return };
    for panel in panels {
        let (points, _) = over_seeds(&best.runs, value);
        panel.series.push(Series::line(format!("{}, the best", best.name), COLOURS[6], points, Stroke::Thin));
    }
}

/// The loss, or NaN where it is too high to be drawn beside others.
fn drawable(loss: f64) -> f64 {
    if loss <= LARGEST_LOSS { loss } else { f64::NAN }
}

/// An entry of the legend without data.
fn key(name: &str, stroke: Stroke) -> Series {
    Series::line(name, COLOURS[6], Vec::new(), stroke)
}

fn note(all: usize, drawn: &[&CurveGroup], both: bool) -> String {
    let mut parts = Vec::new();
    if drawn.iter().any(|group| group.runs.len() > 1) {
        parts.push("Lines are means over seeds, bands reach from the lowest to the highest seed.".to_owned());
    }
    if !both {
        parts.push("Validation only.".to_owned());
    }
    if drawn.len() < all {
        parts.push(format!("The {} of {all} settings with the best validation Top-1.", drawn.len()));
    }
    parts.join(" ")
}

/// Groups with at least one epoch, in the given order; of more than `most`, those with the best validation Top-1.
fn best(groups: &[CurveGroup], most: usize) -> Vec<&CurveGroup> {
    let mut drawn: Vec<(usize, f64)> = groups
        .iter()
        .enumerate()
        .filter(|(_, group)| group.runs.iter().any(|run| !run.is_empty()))
        .map(|(index, group)| (index, reached(group)))
        .collect();
    drawn.sort_by(|a, b| b.1.total_cmp(&a.1));
    drawn.truncate(most);
    drawn.sort_by_key(|&(index, _)| index);
    drawn.into_iter().map(|(index, _)| &groups[index]).collect()
}

/// The best validation Top-1, a mean over the seeds.
fn reached(group: &CurveGroup) -> f64 {
    let best = |run: &Epochs| run.iter().map(|row| row.val_top1).fold(f64::NEG_INFINITY, f64::max);
    group.runs.iter().map(best).sum::<f64>() / group.runs.len() as f64
}

/// The mean of the runs in each epoch, and the lowest and highest of them for several runs. NaN where a run has no value: the
/// mean of the others would make the line jump.
fn over_seeds(runs: &[Epochs], value: fn(&EpochRow) -> f64) -> (Vec<[f64; 2]>, Vec<[f64; 3]>) {
    let mut epochs: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for row in runs.iter().flat_map(|run| run.iter()) {
        epochs.entry(row.epoch).or_default().extend(Some(value(row)).filter(|value| value.is_finite()));
    }
    let (mut points, mut band) = (Vec::new(), Vec::new());
    for (epoch, values) in epochs {
        let spread = Spread::of(&values).filter(|spread| spread.n == runs.len());
        let [mean, low, high] = spread.map_or([f64::NAN; 3], |spread| [spread.mean, spread.lowest, spread.highest]);
        points.push([epoch as f64, mean]);
        if runs.len() > 1 {
            band.push([epoch as f64, low, high]);
        }
    }
    (points, band)
}

/// Whether all values are positive and the highest is more than `times` the lowest, so that a logarithmic axis suits them.
fn spans(values: &[f64], times: f64) -> bool {
    let usable = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (usable().fold(f64::INFINITY, f64::min), usable().fold(f64::NEG_INFINITY, f64::max));
    low > 0.0 && high / low > times
}
