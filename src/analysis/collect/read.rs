//! Rows from a run's folder, a sweep's folder, a CSV file.

use super::{CollectError, Collection, RowOrigin};
use crate::config::{Experiment, MAX_LEVELS, Machine, too_deep};
use crate::runs::format::{accuracy, significant};
use crate::runs::read_epochs;
use crate::runs::record::flatten;
use crate::runs::{Record, Status, Store, locked_by};
use crate::runs::{Table, TableError};
use std::fs;
use std::path::Path;

/// The one row of a run: its summary, or what is known of a run that has not ended.
///
/// # Errors
/// When a file of the run cannot be read.
pub fn run(folder: &Path) -> Result<Table, CollectError> {
    let path = folder.join("summary.csv");
    if !path.is_file() {
        return unfinished(folder);
    }
    let mut table = Table::read(&path)?;
    table.rows.truncate(1);
    let Some(row) = table.rows.first_mut() else {
        return Err(TableError::Broken { path, line: 2, problem: "the row is missing".to_owned() }.into());
    };
    if let Some(place) = table.columns.iter().position(|column| column == "status")
        && matches!(Status::parse(&row[place]), Some(Status::Interrupted | Status::Failed))
        && is_held(folder)
    {
        row[place] = Status::Running.to_string();
    }
    // What others got may have been written into the experiment after the run.
    publish(&mut table, 0, expect(folder)?);
    Ok(table)
}

/// A run without a summary: the keys of its experiment and what `epochs.csv` says so far.
fn unfinished(folder: &Path) -> Result<Table, CollectError> {
    let mut experiment = experiment(folder)?;
    let take = |table: &mut toml::Table, key: &str| match table.remove(key) {
        Some(toml::Value::String(text)) => text,
        other => other.map(|value| value.to_string()).unwrap_or_default(),
    };
    let (name, seed) = (take(&mut experiment, "name"), take(&mut experiment, "seed"));
    let key = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let epochs = if folder.join("epochs.csv").is_file() { read_epochs(folder)? } else { Vec::new() };
    // Only runs that have not ended are worth these milliseconds.
    let cost = Experiment::load(&folder.join("experiment.toml"), &[], Machine::default());
    let cost = cost.map(|experiment| experiment.network.cost()).ok();
    // As the summary has it: the first of the epochs that did best.
    let best = epochs.iter().rev().max_by(|a, b| a.val_top1.total_cmp(&b.val_top1));
    let mut columns: Vec<(String, String)> = [
        ("name", name),
        ("key", key),
        ("status", open_status(folder).to_string()),
        ("seed", seed),
        ("params", cost.as_ref().map(|cost| cost.params.to_string()).unwrap_or_default()),
        ("macs", cost.as_ref().map(|cost| cost.macs.to_string()).unwrap_or_default()),
        ("epochs", epochs.len().to_string()),
        ("best_epoch", best.map(|row| row.epoch.to_string()).unwrap_or_default()),
        ("val_loss", best.map(|row| significant(row.val_loss)).unwrap_or_default()),
        ("val_top1", best.map(|row| accuracy(row.val_top1)).unwrap_or_default()),
        ("val_top5", best.map(|row| accuracy(row.val_top5)).unwrap_or_default()),
    ]
    .map(|(column, cell)| (column.to_owned(), cell))
    .into();
    flatten("", &toml::Value::Table(experiment), &mut columns);
    let (columns, row) = columns.into_iter().unzip();
    Ok(Table { columns, rows: vec![row] })
}

fn experiment(folder: &Path) -> Result<toml::Table, TableError> {
    let path = folder.join("experiment.toml");
    let text = fs::read_to_string(&path).map_err(|reason| TableError::Io { path: path.clone(), reason })?;
    parsed(&path, &text)
}

fn parsed(path: &Path, text: &str) -> Result<toml::Table, TableError> {
    let broken = |start: usize, problem: String| {
        let line = 1 + text.bytes().take(start).filter(|&byte| byte == b'\n').count() as u64;
        TableError::Broken { path: path.to_owned(), line, problem }
    };
    if let Some(deep) = too_deep(text) {
        let problem = format!("tables and lists are nested at most {MAX_LEVELS} levels deep");
        return Err(broken(deep.start, problem));
    }
    text.parse()
        .map_err(|error: toml::de::Error| broken(error.span().map_or(0, |span| span.start), error.message().to_owned()))
}

/// The published result that a run's experiment quotes, as columns `expect.…`; `None` where there is no experiment to ask.
fn expect(folder: &Path) -> Result<Option<Vec<(String, String)>>, CollectError> {
    let path = folder.join("experiment.toml");
    let mut columns = Vec::new();
    // Most experiments have none, and thousands are looked at: only those that can have it are parsed.
    let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
    if text.contains("expect")
        && let Some(expect) = parsed(&path, &text)?.get("expect")
    {
        flatten("expect", expect, &mut columns);
    }
    Ok(Some(columns))
}

/// Puts the published result of a run's experiment in the place of what the row said when the run ended.
fn publish(table: &mut Table, row: usize, published: Option<Vec<(String, String)>>) {
    let Some(published) = published else { return };
    for place in
        (0..table.columns.len()).filter(|&place| table.columns[place].starts_with("expect.")).collect::<Vec<_>>()
    {
        table.rows[row][place].clear();
    }
    for (column, cell) in published {
        set(table, row, &column, cell);
    }
}

/// The status of a run without an end.
fn open_status(folder: &Path) -> Status {
    if is_held(folder) { Status::Running } else { Status::Interrupted }
}

/// Whether a process works on the run.
fn is_held(folder: &Path) -> bool {
    locked_by(folder).is_some()
}

/// The points of a sweep, each with its run's folder where that is there.
pub fn sweep(folder: &Path, store: &Store, tell: bool) -> Result<Collection, CollectError> {
    let path = folder.join("table.csv");
    let mut table = Table::read(&path)?;
    if tell {
        tell_source(&mut table, &path);
    }
    // A sweep's folder names the results folder that its runs are in.
    let sweeps = folder.parent().filter(|parent| parent.ends_with("sweeps"));
    let store = Store::new(sweeps.and_then(Path::parent).unwrap_or(store.root()));
    let place = |column: &str| table.columns.iter().position(|known| known == column);
    let status = place("status");
    let mut origins = Vec::with_capacity(table.rows.len());
    let mut published = Vec::new();
    for (index, row) in table.rows.iter_mut().enumerate() {
        let run = store.run_folder_of(&record(&table.columns, row)).filter(|run| run.is_dir());
        if let Some(run) = &run {
            published.push((index, expect(run)?));
            let ended = |status: &String| Status::parse(status).is_some_and(Status::is_final);
            let known = ["summary.csv", "experiment.toml"].iter().any(|file| run.join(file).is_file());
            if status.is_some_and(|status| !ended(&row[status])) && known {
                let run = self::run(run)?;
                // The result of another experiment, copied there, is none of the point's.
                if record(&run.columns, &run.rows[0]).same_experiment(&record(&table.columns, row)) {
                    catch_up(&table.columns, row, &run);
                }
            }
            if let Some(status) = status.filter(|&status| row[status].is_empty()) {
                row[status] = open_status(run).to_string();
            }
        }
        origins.push(RowOrigin { folder: run, complete: false, ours: true });
    }
    for (index, columns) in published {
        publish(&mut table, index, columns);
    }
    Ok(Collection { table, origins })
}

fn record(columns: &[String], row: &[String]) -> Record {
    columns.iter().cloned().zip(row.iter().cloned()).collect()
}

/// A sweep that was killed did not write down how far its points came, and one that runs does so at their end: the run's
/// own folder knows. What the sweep said of a run without an end stays, such as that it failed.
fn catch_up(columns: &[String], row: &mut [String], run: &Table) {
    let ended =
        run.column("status").is_some_and(|status| Status::parse(&run.rows[0][status]).is_some_and(Status::is_final));
    for (column, cell) in columns.iter().zip(row) {
        if let Some(known) = run.column(column).map(|place| &run.rows[0][place])
            && !known.is_empty()
            && (ended || cell.is_empty())
        {
            cell.clone_from(known);
        }
    }
}

fn set(table: &mut Table, row: usize, column: &str, cell: String) {
    let place = table.column(column).unwrap_or_else(|| {
        table.columns.push(column.to_owned());
        table.rows.iter_mut().for_each(|row| row.push(String::new()));
        table.columns.len() - 1
    });
    table.rows[row][place] = cell;
}

/// The rows of a CSV file.
pub fn file(path: &Path, tell: bool) -> Result<Collection, CollectError> {
    let mut table = Table::read(path)?;
    if tell {
        tell_source(&mut table, path);
    }
    // A table of ours that was copied somewhere.
    let ours = ["name", "key", "status", "seed"].iter().all(|column| table.column(column).is_some());
    let origins = vec![RowOrigin { ours, ..RowOrigin::default() }; table.rows.len()];
    Ok(Collection { table, origins })
}

fn tell_source(table: &mut Table, path: &Path) {
    if table.column("source").is_none() {
        table.columns.insert(0, "source".to_owned());
        table.rows.iter_mut().for_each(|row| row.insert(0, path.display().to_string()));
    }
}
