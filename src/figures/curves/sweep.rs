//! The pictures of a sweep: its curves, its parameter against accuracy, accuracy against cost.

use super::accuracy::{by_cost, by_name, by_number};
use super::{CurveGroup, MOST, Range, figure, write};
use crate::analysis::settings::{Measured, Setting, Settings};
use crate::figures::chart::Figure;
use crate::runs::RunError;
use crate::runs::read_epochs;
use crate::runs::{Record, Status, Store, Table};
use std::fs::remove_file;
use std::path::{Path, PathBuf};

/// Pictures of a sweep; those that its table has nothing for are missing.
#[derive(Debug, Default)]
pub struct SweepPictures {
    /// From the run folders, which may be elsewhere.
    pub curves: Option<Figure>,
    pub parameter: Option<Figure>,
    pub cost: Option<Figure>,
}

/// Draws a sweep's pictures into its folder, from the `table.csv` there and the runs in the store; gives the files that were written. A picture whose data are missing is left as it is, and so are curves
/// that were drawn of finished runs which are not here. Where no point costs more than another, a picture of costs that an
/// earlier form of the sweep left is removed.
///
/// # Errors
/// When the table cannot be read or a picture cannot be written.
pub fn write_sweep_pictures(folder: &Path, store: &Store) -> Result<Vec<PathBuf>, RunError> {
    let table = Table::read(&folder.join("table.csv"))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let SweepPictures { curves, parameter, cost } = sweep_pictures(&table, &name, store);
    let curves = curves.filter(|_| !(folder.join("curves.svg").is_file() && elsewhere(&table, store)));
    let old = folder.join("cost.svg");
    if !costs_differ(&table) && old.is_file() {
        remove_file(&old).map_err(RunError::io("remove", &old))?;
    }
    let mut written = Vec::new();
    for (file, figure) in [("curves.svg", curves), ("parameter.svg", parameter), ("cost.svg", cost)] {
        if let Some(figure) = figure {
            let path = folder.join(file);
            write(&path, &figure.svg())?;
            written.push(path);
        }
    }
    Ok(written)
}

/// Whether the table has a finished point whose epochs are not in the store.
fn elsewhere(table: &Table, store: &Store) -> bool {
    let here = |run: std::path::PathBuf| run.join("epochs.csv").is_file();
    let elsewhere = |record: Record| {
        record.status() == Some(Status::Done) && store.run_folder_of(&record).is_some_and(|run| !here(run))
    };
    (0..table.rows.len()).any(|row| elsewhere(table.record(row)))
}

/// Costs are known of points that have not run, too.
fn costs_differ(table: &Table) -> bool {
    let columns = ["macs", "params"].into_iter().filter_map(|column| table.column(column));
    columns.into_iter().any(|column| table.rows.iter().any(|row| row[column] != table.rows[0][column]))
}

/// The pictures of a sweep's table; `name` stands in their titles.
pub fn sweep_pictures(table: &Table, name: &str, store: &Store) -> SweepPictures {
    let settings = Settings::of(table);
    let measured = Measured::all(table, &settings.settings);
    let gone = missing(table);
    let mut pictures = SweepPictures { curves: curves(table, &settings.settings, name, store), ..Default::default() };
    if measured.is_empty() {
        return pictures;
    }
    let note = |text: &str| format!("{text}{gone}");
    pictures.parameter = Some(match settings.x {
        Some(column) => by_number(&table.columns[column], &settings, &measured, name, note),
        None => by_name(measured.iter().collect(), name, note),
    });
    pictures.cost = by_cost(&settings, &measured, name, note);
    pictures
}

/// Accuracy against multiply-adds and parameters of any runs; `None` where none is done, or all cost the same.
pub fn cost_picture(table: &Table, name: &str) -> Option<Figure> {
    let settings = Settings::of(table);
    let measured = Measured::all(table, &settings.settings);
    let gone = missing(table);
    by_cost(&settings, &measured, name, |text| format!("{text}{gone}"))
}

/// What a picture of finished runs does not show, as the end of its note.
fn missing(table: &Table) -> String {
    let Some(column) = table.column("status") else { return String::new() };
    let count = |wanted| table.rows.iter().filter(|row| Status::parse(&row[column]) == Some(wanted)).count();
    let [done, diverged, failed] = [Status::Done, Status::Diverged, Status::Failed].map(count);
    let parts = [(diverged, "diverged"), (failed, "failed"), (table.rows.len() - done - diverged - failed, "to come")];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if parts.is_empty() { String::new() } else { format!(" Not shown: {}.", parts.join(", ")) }
}

fn curves(table: &Table, settings: &[Setting], name: &str, store: &Store) -> Option<Figure> {
    let top1 = table.column("val_top1");
    // Of many settings only the best are read: pictures are drawn after every point of a sweep.
    let mut chosen: Vec<(usize, f64)> = settings
        .iter()
        .enumerate()
        .map(|(index, setting)| {
            let values = top1.map_or_else(Vec::new, |column| table.numbers(column, &setting.rows));
            (index, if values.is_empty() { f64::NEG_INFINITY } else { Range::of(&values).mean })
        })
        .collect();
    chosen.sort_by(|a, b| b.1.total_cmp(&a.1));
    chosen.truncate(MOST);
    chosen.sort_by_key(|&(index, _)| index);
    let group = |&(index, _): &(usize, f64)| {
        let setting = &settings[index];
        let run = |&row: &usize| read_epochs(&store.run_folder_of(&table.record(row))?).ok();
        let runs: Vec<_> = setting.rows.iter().filter_map(run).filter(|rows| !rows.is_empty()).collect();
        let name = if setting.label.is_empty() { name.to_owned() } else { setting.label.clone() };
        (!runs.is_empty()).then_some(CurveGroup { name, runs })
    };
    let groups: Vec<CurveGroup> = chosen.iter().filter_map(group).collect();
    if groups.is_empty() {
        return None;
    }
    let mut figure = figure(&groups, &format!("{name}: curves"));
    if settings.len() > MOST {
        let best = format!("The {} of {} settings with the best validation Top-1.", groups.len(), settings.len());
        figure.note = format!("{} {best}", figure.note).trim().to_owned();
    }
    Some(figure)
}
