//! Tables that a pattern names, and the settings of the runs that their rows are about.

use crate::runs::{Column, Origin, Records, Table, TableError};
use std::fs;
use std::path::{Path, PathBuf};

/// The CSV files that a path stands for: itself, or those that fit its file name with one `*`. Sorted by name.
pub(super) fn files(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Some((start, end)) = name.split_once('*') else {
        return if path.is_file() { vec![path.to_owned()] } else { Vec::new() };
    };
    let entries = path.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let fits = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(fits).collect();
    files.sort();
    files
}

/// The rows of several tables, on equal column names.
///
/// # Errors
/// When one of them cannot be read.
pub(super) fn union(files: &[PathBuf]) -> Result<Table, TableError> {
    let mut all = Table::default();
    for file in files {
        let mut table = Table::read(file)?;
        if let (Some(run), Some((name, key))) = (table.column("run"), only_run(file)) {
            let rows = table.rows.iter_mut().filter(|row| row[run] == name);
            rows.for_each(|row| row[run] = format!("{name}/{key}"));
        }
        for column in &table.columns {
            if all.column(column).is_none() {
                all.columns.push(column.clone());
                all.rows.iter_mut().for_each(|row| row.push(String::new()));
            }
        }
        let places: Vec<Option<usize>> = all.columns.iter().map(|column| table.column(column)).collect();
        let cell = |row: &[String], index: &Option<usize>| index.map_or_else(String::new, |at| row[at].clone());
        let cells = |row: &Vec<String>| places.iter().map(|index| cell(row, index)).collect::<Vec<_>>();
        all.rows.extend(table.rows.iter().map(cells));
    }
    Ok(all)
}

/// The name and the key of the run of a study that has one run. Its table has the name alone, which other runs may have too.
pub(super) fn only_run(table: &Path) -> Option<(String, String)> {
    let note: toml::Table = fs::read_to_string(table.with_extension("toml")).ok()?.parse().ok()?;
    let [run] = note.get("runs")?.as_array()?.as_slice() else { return None };
    let text = |key: &str| Some(run.get(key)?.as_str()?.to_owned());
    Some((text("name")?, text("key")?))
}

/// Adds the swept keys, the name and the seed of each row's run to a table that names runs in its column `run`, as `NAME` or
/// `NAME/KEY` with the beginning of a key. Other tables, and rows whose run is not a single point of the sweep, stay as they are.
pub(super) fn with_settings(mut table: Table, points: &Records) -> Records {
    let (Some(run), Some(seed)) = (table.column("run"), points.column(Column::Seed.name())) else {
        return Records::from(table);
    };
    let added: Vec<usize> = (0..=seed)
        .chain(points.column(Column::Name.name()))
        .filter(|&at| table.column(&points.columns[at]).is_none())
        .collect();
    let point = |text: &str| {
        let (name, key) = text.rsplit_once('/').unwrap_or((text, ""));
        let alike = |other: &str| other.starts_with(key) || !other.is_empty() && key.starts_with(other);
        let fits = |&row: &usize| points.text(row, Column::Name) == name && alike(points.text(row, Column::Key));
        let mut found = (0..points.rows.len()).filter(fits);
        found.next().filter(|_| found.next().is_none())
    };
    for row in &mut table.rows {
        let found = point(&row[run]);
        row.extend(added.iter().map(|&at| found.map_or_else(String::new, |point| points.cell(point, at).to_owned())));
    }
    table.columns.extend(added.iter().map(|&at| points.columns[at].clone()));
    let origins = vec![Origin::default(); table.rows.len()];
    Records::new(table, origins)
}
