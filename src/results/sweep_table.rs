//! `table.csv` of a sweep: a row a point, written anew after every point that ends.

use super::run_folder::{RunError, RunFolder};
use super::summary::read_summary;
use crate::config::Sweep;
use crate::files::write_whole;
use std::path::{Path, PathBuf};

/// Columns behind the varied keys; `status` is empty for a point that has not run.
const COLUMNS: [&str; 16] = [
    "name",
    "key",
    "status",
    "seed",
    "params",
    "macs",
    "epochs",
    "best_epoch",
    "val_loss",
    "val_top1",
    "val_top5",
    "test_loss",
    "test_top1",
    "test_top5",
    "seconds",
    "precision",
];

/// How a point of a sweep stands.
pub fn status(results: &Path, sweep: &Sweep, index: usize) -> Option<String> {
    let point = sweep.points.get(index)?;
    read_summary(&RunFolder::place(results, &point.experiment))?.get("status").cloned()
}

/// Writes `sweeps/<name>/table.csv` below `results`.
///
/// # Errors
/// As the file system says.
pub fn write_sweep_table(results: &Path, sweep: &Sweep) -> Result<PathBuf, RunError> {
    let folder = results.join("sweeps").join(&sweep.name);
    std::fs::create_dir_all(&folder).map_err(RunError::io("make", &folder))?;
    let path = folder.join("table.csv");
    let text = table(results, sweep).map_err(|error| RunError::io("write", &path)(error.into()))?;
    write_whole(&path, text.as_bytes()).map_err(RunError::io("write", &path))?;
    Ok(path)
}

fn table(results: &Path, sweep: &Sweep) -> Result<String, csv::Error> {
    let shown: Vec<usize> =
        (0..sweep.keys.len()).filter(|&index| !COLUMNS.contains(&sweep.keys[index].as_str())).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(shown.iter().map(|&index| sweep.keys[index].as_str()).chain(COLUMNS))?;
    for point in &sweep.points {
        let summary = read_summary(&RunFolder::place(results, &point.experiment)).unwrap_or_default();
        let cost = point.experiment.network.cost();
        let known = |column: &str| match column {
            "name" => point.experiment.name.clone(),
            "key" => point.experiment.key(),
            "seed" => point.experiment.seed.to_string(),
            "params" => cost.params.to_string(),
            "macs" => cost.macs.to_string(),
            _ => String::new(),
        };
        let cells = COLUMNS.iter().map(|&column| summary.get(column).cloned().unwrap_or_else(|| known(column)));
        writer.write_record(shown.iter().map(|&index| point.values[index].clone()).chain(cells))?;
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
