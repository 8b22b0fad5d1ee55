//! Curves of runs: loss over epochs, a mean line with a band over seeds.

use super::plot::{Axis, COLOURS, Chart, Marks, Series};
use super::run_folder::{EPOCH_COLUMNS, EpochRow, RunError};
use std::fs;
use std::path::Path;

/// One experiment under several seeds.
pub struct CurveGroup {
    pub name: String,
    /// One entry a seed.
    pub runs: Vec<Vec<EpochRow>>,
}

/// The rows of a run's `epochs.csv`. A last row that a kill cut short is left out.
///
/// # Errors
/// When the file cannot be read or a row before the last is not whole.
pub fn read_epochs(folder: &Path) -> Result<Vec<EpochRow>, RunError> {
    let path = folder.join("epochs.csv");
    let text = fs::read_to_string(&path).map_err(RunError::io("read", &path))?;
    let corrupt =
        |line: usize, problem: &str| RunError::Corrupt { path: path.clone(), line, problem: problem.to_owned() };
    let mut lines = text.split_inclusive('\n').enumerate();
    if lines.next().is_none_or(|(_, header)| header.trim_end() != EPOCH_COLUMNS) {
        return Err(corrupt(1, "the header is not that of this version"));
    }
    let mut rows = Vec::new();
    for (index, line) in lines {
        if !line.ends_with('\n') {
            break;
        }
        let numbers: Option<Vec<f64>> = line.trim_end().split(',').map(|value| value.parse().ok()).collect();
        let Some(&[epoch, step, lr, a, b, c, d, e, f, epoch_seconds, images_per_second, peak_memory_mib]) =
            numbers.as_deref()
        else {
            return Err(corrupt(index + 1, "this is not a row of twelve numbers"));
        };
        rows.push(EpochRow {
            epoch: epoch as usize,
            step: step as u64,
            lr,
            train_loss: a,
            train_top1: b,
            train_top5: c,
            val_loss: d,
            val_top1: e,
            val_top5: f,
            epoch_seconds,
            images_per_second,
            peak_memory_mib,
        });
    }
    Ok(rows)
}

/// Loss on the validation images over epochs, as SVG.
pub fn chart(groups: &[CurveGroup], title: &str) -> String {
    let mut chart = Chart::new(title, Axis::new("epoch"), Axis::new("validation loss"));
    for (group, colour) in groups.iter().zip(COLOURS.iter().cycle()) {
        let epochs = group.runs.iter().map(Vec::len).max().unwrap_or(0);
        let points = (0..epochs).map(|index| {
            let values: Vec<f64> = group.runs.iter().filter_map(|run| Some(run.get(index)?.val_loss)).collect();
            [index as f64 + 1.0, values.iter().sum::<f64>() / values.len() as f64]
        });
        let marks = Marks::Line { points: points.collect(), band: Vec::new(), dashed: false };
        chart.series.push(Series { name: group.name.clone(), colour, marks });
    }
    chart.svg()
}
