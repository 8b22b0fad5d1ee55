//! The figures of a sweep: its curves, accuracy by parameter, accuracy against cost.

use super::accuracy::{by_cost, by_name, by_number};
use super::{CurveGroup, MOST, figure, write};
use crate::analysis::Spread;
use crate::analysis::settings::{Measured, Setting, Settings};
use crate::figures::chart::Figure;
use crate::runs::{Column, Epochs, Records, RunError, Status, Store};
use std::fs::remove_file;
use std::path::{Path, PathBuf};

/// Figures of a sweep; `None` where its table has no data for one.
#[derive(Debug, Default)]
pub struct SweepPictures {
    /// Drawn from the run folders, which may be missing.
    pub curves: Option<Figure>,
    pub parameter: Option<Figure>,
    pub cost: Option<Figure>,
}

/// Draws a sweep's figures into its folder, from its `table.csv` and the runs in the store, and returns the files written. An
/// existing file stays where its data are missing, such as the curves of finished runs that are not in the store. An existing
/// `cost.svg` is removed where all points cost the same.
///
/// # Errors
/// When the table cannot be read or a file cannot be written.
pub fn write_sweep_pictures(folder: &Path, store: &Store) -> Result<Vec<PathBuf>, RunError> {
    let records = Records::from_csv(&folder.join("table.csv"), false)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    // A sweep that was run with `--set` has its keys in its folder's name, too many for a title.
    let (name, set) = name.split_once('+').unwrap_or((&name, ""));
    let SweepPictures { curves, parameter, cost } = sweep_pictures(&records, name, store);
    let curves = curves.filter(|_| !(folder.join("curves.svg").is_file() && epochs_missing(&records, store)));
    let old = folder.join("cost.svg");
    if !costs_differ(&records) && old.is_file() {
        remove_file(&old).map_err(RunError::io("remove", &old))?;
    }
    let mut written = Vec::new();
    for (file, figure) in [("curves.svg", curves), ("parameter.svg", parameter), ("cost.svg", cost)] {
        if let Some(mut figure) = figure {
            if !set.is_empty() {
                figure.note = format!("With {}. {}", set.replace(',', ", "), figure.note);
            }
            let path = folder.join(file);
            write(&path, &figure.svg())?;
            written.push(path);
        }
    }
    Ok(written)
}

/// Whether the epochs of a finished point are not in the store.
fn epochs_missing(records: &Records, store: &Store) -> bool {
    let is_missing = |row: usize| {
        let folder = store.run_folder_of(&records.record(row));
        records.status(row) == Some(Status::Done) && folder.is_some_and(|run| !run.join("epochs.csv").is_file())
    };
    (0..records.rows.len()).any(is_missing)
}

/// Whether the costs differ, which are known even of points that have not run.
fn costs_differ(records: &Records) -> bool {
    let differs =
        |column: Column| (1..records.rows.len()).any(|row| records.text(row, column) != records.text(0, column));
    differs(Column::Macs) || differs(Column::Params)
}

/// The figures of a sweep; `name` is part of their titles.
pub fn sweep_pictures(records: &Records, name: &str, store: &Store) -> SweepPictures {
    let settings = Settings::of(records);
    let measured = Measured::all(records, &settings.settings);
    let missing = missing(records);
    let mut pictures = SweepPictures { curves: curves(records, &settings.settings, name, store), ..Default::default() };
    if measured.is_empty() {
        return pictures;
    }
    let note = |text: &str| format!("{text}{missing}");
    pictures.parameter = Some(match settings.x {
        Some(column) => by_number(&records.columns[column], &settings, &measured, name, note),
        None => by_name(measured.iter().collect(), name, note),
    });
    pictures.cost = by_cost(&settings, &measured, name, note);
    pictures
}

/// Accuracy against multiply-adds and parameters; `None` where no run is done or all cost the same.
pub fn cost_picture(records: &Records, name: &str) -> Option<Figure> {
    let settings = Settings::of(records);
    let measured = Measured::all(records, &settings.settings);
    let missing = missing(records);
    by_cost(&settings, &measured, name, |text| format!("{text}{missing}"))
}

/// Says which points a figure of finished runs lacks, at the end of its note.
fn missing(records: &Records) -> String {
    if records.column(Column::Status.name()).is_none() {
        return String::new();
    }
    let count = |wanted| (0..records.rows.len()).filter(|&row| records.status(row) == Some(wanted)).count();
    let [done, diverged, failed] = [Status::Done, Status::Diverged, Status::Failed].map(count);
    let parts =
        [(diverged, "diverged"), (failed, "failed"), (records.rows.len() - done - diverged - failed, "to come")];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if parts.is_empty() { String::new() } else { format!(" Not shown: {}.", parts.join(", ")) }
}

fn curves(records: &Records, settings: &[Setting], name: &str, store: &Store) -> Option<Figure> {
    // Only the best of many settings are read: the figures are drawn after every point of a sweep.
    let top1 = |setting: &Setting| {
        let column = records.column(Column::ValTop1.name())?;
        Spread::of(&records.numbers(column, &setting.rows)).map(|spread| spread.mean)
    };
    let reached = |setting: &Setting| top1(setting).unwrap_or(f64::NEG_INFINITY);
    let mut chosen: Vec<(usize, f64)> = settings.iter().map(reached).enumerate().collect();
    chosen.sort_by(|a, b| b.1.total_cmp(&a.1));
    chosen.truncate(MOST);
    chosen.sort_by_key(|&(index, _)| index);
    let group = |&(index, _): &(usize, f64)| {
        let setting = &settings[index];
        let run = |&row: &usize| Epochs::read(&store.run_folder_of(&records.record(row))?).ok();
        let runs: Vec<_> = setting.rows.iter().filter_map(run).filter(|epochs| !epochs.is_empty()).collect();
        let name = if setting.label.is_empty() { name.to_owned() } else { setting.label.clone() };
        (!runs.is_empty()).then_some(CurveGroup { name, runs })
    };
    let groups: Vec<CurveGroup> = chosen.iter().filter_map(group).collect();
    if groups.is_empty() {
        return None;
    }
    let all = groups.len() + settings.len() - chosen.len();
    Some(figure(&groups, all, &format!("{name}: curves")))
}
