//! Tables of a sweep, rewritten after every point that ends: `table.csv` with a row for each point, `summary.csv` with a row for
//! each setting, over its seeds, `epochs.csv` with a row for each epoch.

use super::archived::Archived;
use super::epochs;
use crate::analysis::Spread;
use crate::config::{Point, Sweep};
use crate::figures::curves;
use crate::files::open_without_links;
use crate::runs::{Column, Record, Records, RunError, Status, Store, Table, claim_sweep_folder};
use std::fs::OpenOptions;
use std::path::PathBuf;

/// The tables of a sweep, and their folder.
#[derive(Clone, Debug)]
pub struct SweepTables {
    pub points: Records,
    /// A row for each setting.
    pub summary: Table,
    /// For each row of the summary, its rows of `points`.
    pub settings: Vec<Vec<usize>>,
    pub folder: PathBuf,
}

/// Writes the tables into `sweeps/<name>/` of the results folder. `failed` are the points that were given up: a process that was
/// killed, or never came to its run, records no status. Git tracks the tables but not the runs, so that what the existing
/// table says of a finished point stays until a run of it ends here.
pub(super) fn write_tables(store: &Store, sweep: &Sweep, failed: &[usize]) -> Result<SweepTables, RunError> {
    let folder = claim_sweep_folder(store, sweep)?;
    // Processes that share the sweep write the tables one after the other, or the last to write could be the first to read.
    let lock_path = folder.join(".lock");
    let lock = open_without_links(OpenOptions::new().create(true).append(true), &lock_path);
    let lock = lock.map_err(RunError::io("write", &lock_path))?;
    lock.lock().map_err(RunError::io("lock", &lock_path))?;
    let archived = Archived::read(&folder)?;
    archived.write(sweep.points.iter().map(|point| &point.key), &folder, store)?;
    let points = Records::from(points(store, sweep, failed, &archived));
    points.write(&folder.join("table.csv"))?;
    epochs::write(sweep.points.iter(), &folder, store)?;
    let varied: Vec<&str> =
        sweep.columns.iter().map(String::as_str).filter(|name| *name != Column::Seed.name()).collect();
    let columns: Vec<usize> = varied.iter().filter_map(|name| points.column(name)).collect();
    let settings = points.groups(&columns);
    let summary = summary(&points, &varied, &settings);
    summary.write(&folder.join("summary.csv"))?;
    if let Err(error) = curves::write_sweep_pictures(&folder, store) {
        // A sweep does not stop for a picture.
        tracing::warn!("{error}");
    }
    Ok(SweepTables { points, summary, settings, folder })
}

/// The record of a point: that of its run here if it has ended, else the archived one. A run that has only begun, or failed,
/// does not replace an archived result of the same key.
fn record_of(store: &Store, point: &Point, archived: &Archived) -> Record {
    let here = store.record_of(point).unwrap_or_default();
    let Some(mut record) = archived.get(&point.key).cloned().filter(|_| !here.is_final()) else { return here };
    // The key does not depend on the name, which may have changed since.
    record.remove(Column::Name);
    record
}

fn points(store: &Store, sweep: &Sweep, failed: &[usize], archived: &Archived) -> Table {
    let is_varied = |name: &str| Column::of_sweeps().all(|column| column.name() != name);
    let varied: Vec<usize> = (0..sweep.columns.len()).filter(|&index| is_varied(&sweep.columns[index])).collect();
    let names = varied.iter().map(|&index| sweep.columns[index].as_str());
    let names: Vec<&str> = names.chain(Column::of_sweeps().map(|column| column.name())).collect();
    let mut table = Table::new(&names);
    for (index, point) in sweep.points.iter().enumerate() {
        let mut record = record_of(store, point, archived);
        if failed.contains(&index) && !record.is_final() {
            record.set(Column::Status, Status::Failed.name());
        }
        let known = |column: Column| match column {
            Column::Name => point.experiment.name.clone(),
            Column::Key => point.key.short().to_owned(),
            Column::Sha256 => point.key.sha256().to_owned(),
            Column::Seed => point.experiment.seed.to_string(),
            Column::Params => point.cost.params.to_string(),
            Column::Macs => point.cost.macs.to_string(),
            _ => String::new(),
        };
        let cells = Column::of_sweeps().map(|column| record.remove(column).unwrap_or_else(|| known(column)));
        table.rows.push(varied.iter().map(|&index| point.values[index].clone()).chain(cells).collect());
    }
    table
}

/// One row for each setting: the keys that vary, the number of finished runs, the cost, and for each result mean, standard
/// deviation and 95 % interval. Cells are empty where there are too few runs.
fn summary(points: &Records, varied: &[&str], settings: &[Vec<usize>]) -> Table {
    let cost = [Column::Params, Column::Macs];
    let mut table = Table::new(&[varied, &["n"], &cost.map(Column::name)].concat());
    for column in Column::AVERAGED {
        let parts: &[&str] = if column == Column::Seconds { &["mean", "std"] } else { &["mean", "std", "low", "high"] };
        table.columns.extend(parts.iter().map(|part| format!("{}_{part}", column.name())));
    }
    for rows in settings {
        let Some(&first) = rows.first() else { continue };
        let cell = |name: &str| points.column(name).map_or("", |column| points.cell(first, column)).to_owned();
        let mut row: Vec<String> = varied.iter().map(|name| cell(name)).collect();
        row.push(rows.iter().filter(|&&row| points.is_done(row)).count().to_string());
        row.extend(cost.map(|column| cell(column.name())));
        for column in Column::AVERAGED {
            let spread = Spread::of_column(points, column, rows);
            let write = |value: f64| match column {
                _ if !value.is_finite() => String::new(),
                Column::Seconds => format!("{value:.1}"),
                _ => column.format().write(value),
            };
            row.extend(spread.map_or([f64::NAN; 2], |spread| [spread.mean, spread.std]).map(write));
            if column != Column::Seconds {
                row.extend(spread.map_or([f64::NAN; 2], |spread| spread.interval()).map(write));
            }
        }
        table.rows.push(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::sweep_folder;

    /// A fresh clone has the tables of a sweep and none of its runs.
    #[test]
    fn results_whose_runs_are_not_here_stay_in_the_table() {
        let results = tempfile::tempdir().unwrap();
        let file = results.path().join("s.toml");
        let text = "[data]\ndataset = 'synthetic'\nvalidation = 400\n[model]\npreset = 'resnet'\nlayout = 'cifar'\ndepth = 8\n\
                    [train]\nepochs = 1\n[sweep]\nseed = [0, 1, 2]\n";
        std::fs::write(&file, text).unwrap();
        let sweep = Sweep::load(&file, &[], crate::config::Machine::default()).unwrap();
        let store = Store::new(results.path());
        let folder = sweep_folder(&store, &sweep);
        std::fs::create_dir_all(&folder).unwrap();
        let keys: Vec<&str> = sweep.points.iter().map(|point| point.key.short()).collect();
        let table = format!(
            "seed,name,key,status,val_top1,seconds\n0,old,{},done,0.750000,9.0\n1,s,{},failed,0.1,1.0\n2,s,{},done,0.8,2\n",
            keys[0], keys[1], keys[2]
        );
        std::fs::write(folder.join("table.csv"), table).unwrap();
        // The last point runs again, which does not remove its result.
        std::fs::create_dir_all(store.folder_of(&sweep.points[2])).unwrap();
        for _ in 0..2 {
            let SweepTables { points, summary, .. } = write_tables(&store, &sweep, &[]).unwrap();
            let cell = |row: usize, name: &str| points.rows[row][points.column(name).unwrap()].clone();
            assert_eq!([cell(0, "status"), cell(0, "val_top1"), cell(0, "name")], ["done", "0.750000", "s"]);
            assert_eq!([cell(1, "status"), cell(1, "val_top1")], [""; 2]);
            assert_eq!([cell(2, "status"), cell(2, "val_top1")], ["done", "0.8"]);
            assert_eq!(summary.rows[0][summary.column("n").unwrap()], "2");
        }
        for (status, top1) in [("interrupted", "0.8"), ("failed", "0.8"), ("done", "0.1"), ("diverged", "0.1")] {
            let summary = format!("key,status,val_top1\n{},{status},0.1\n", keys[2]);
            std::fs::write(store.folder_of(&sweep.points[2]).join("summary.csv"), summary).unwrap();
            let points = write_tables(&store, &sweep, &[]).unwrap().points;
            let cell = |name: &str| points.rows[2][points.column(name).unwrap()].clone();
            let expected = if top1 == "0.8" { "done" } else { status };
            assert_eq!([cell("status"), cell("val_top1")], [expected, top1], "{status}");
            // Restore the table.
            let table = format!("seed,name,key,status,val_top1,seconds\n2,s,{},done,0.8,2\n", keys[2]);
            std::fs::write(folder.join("table.csv"), table).unwrap();
        }
        assert!(store.record_of(&sweep.points[0]).is_none(), "it has not run here");
    }

    #[test]
    fn a_summary_is_over_the_finished_runs_of_each_setting() {
        let mut points = Table::new(&["model.depth", "seed", "status", "params", "macs", "test_top1", "seconds"]);
        for row in [
            ["8", "0", "done", "10", "20", "0.900000", "1.0"],
            ["8", "1", "done", "10", "20", "0.940000", "2.0"],
            ["8", "2", "diverged", "10", "20", "0.1", "9.0"],
            ["14", "0", "done", "30", "40", "0.500000", "3.0"],
            ["14", "1", "", "30", "40", "", ""],
        ] {
            points.rows.push(row.map(str::to_owned).to_vec());
        }
        let points = Records::from(points);
        let summary = summary(&points, &["model.depth"], &points.groups(&[0]));
        let cell = |row: usize, name: &str| summary.rows[row][summary.column(name).unwrap()].clone();
        assert_eq!(summary.columns[..4], ["model.depth", "n", "params", "macs"]);
        assert_eq!([cell(0, "n"), cell(0, "test_top1_mean"), cell(0, "test_top1_std")], ["2", "0.920000", "0.028284"]);
        assert_eq!([cell(0, "seconds_mean"), cell(1, "n"), cell(1, "macs")], ["1.5", "1", "40"]);
        // One run has a mean and no deviation; a missing result has neither.
        assert_eq!([cell(1, "test_top1_mean"), cell(1, "test_top1_low")], ["0.500000", ""]);
        assert_eq!(cell(0, "val_top1_mean"), "");
        // t(0.975, 1) = 12.706
        let low: f64 = cell(0, "test_top1_low").parse().unwrap();
        assert!((low - (0.92 - 12.7062 * 0.028_284_27 / 2f64.sqrt())).abs() < 1e-5, "{low}");
    }
    /// The tables in git keep their bytes when they are written again.
    #[test]
    fn summaries_in_git_follow_from_their_tables() {
        for name in ["degradation", "lr-batch", "precision", "scaling"] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("results/sweeps").join(name);
            let points = Records::from_csv(&folder.join("table.csv"), false).unwrap();
            assert_eq!(points.to_csv(), std::fs::read_to_string(folder.join("table.csv")).unwrap(), "{name}");
            let seed = points.column(Column::Seed.name()).unwrap();
            // Versions before `sha256` ended the table with the precision.
            let columns: Vec<&str> = Column::of_sweeps().map(|column| column.name()).collect();
            assert!(columns.iter().zip(&points.columns[seed..]).all(|(a, b)| a == b), "{name}: {:?}", points.columns);
            let varied: Vec<&str> = points.columns[..seed].iter().map(String::as_str).collect();
            let summary = summary(&points, &varied, &points.groups(&(0..seed).collect::<Vec<_>>()));
            assert_eq!(summary.to_csv(), std::fs::read_to_string(folder.join("summary.csv")).unwrap(), "{name}");
        }
    }
}
