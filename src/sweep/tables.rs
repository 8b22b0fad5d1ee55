//! Tables of a sweep, written anew after every point that ends: `table.csv` with a row a point, `summary.csv` with a row for
//! each setting, over its seeds.

use super::archived::Kept;
use crate::analysis::Spread;
use crate::config::{Point, Sweep};
use crate::figures::curves;
use crate::runs::{Record, RunError, Status, Store, Table, accuracy, claim_sweep_folder, significant};
use std::path::PathBuf;

/// Columns behind what varies; `status` is empty for a point that has not run.
const COLUMNS: [&str; 17] = [
    "seed",
    "name",
    "key",
    "status",
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
    "sha256",
];

/// Results that are averaged over seeds, and whether the interval of the mean is given.
const RESULTS: [(&str, bool); 7] = [
    ("val_top1", true),
    ("val_top5", true),
    ("val_loss", true),
    ("test_top1", true),
    ("test_top5", true),
    ("test_loss", true),
    ("seconds", false),
];

/// Both tables of a sweep, and where they lie.
#[derive(Clone, Debug)]
pub struct SweepTables {
    pub points: Table,
    pub summary: Table,
    pub folder: PathBuf,
}

/// Writes `table.csv` and `summary.csv` into `sweeps/<name>/` below `results`. `failed` are the points that were given up: a
/// process that was killed, or did not come to its run, leaves nothing that says so. Tables are kept in git where runs are
/// not: what the table there says of a finished point stays until a run of it here has ended.
///
/// # Errors
/// As the file system says.
pub fn write_tables(store: &Store, sweep: &Sweep, failed: &[usize]) -> Result<SweepTables, RunError> {
    let folder = claim_sweep_folder(store, sweep)?;
    let kept = Kept::read(&folder)?;
    kept.put_aside(sweep.points.iter().map(|point| &point.key), &folder, store)?;
    let points = points(store, sweep, failed, &kept);
    let summary = summary(&points, &sweep.columns);
    points.write(&folder.join("table.csv"))?;
    summary.write(&folder.join("summary.csv"))?;
    if let Err(error) = curves::write_sweep_pictures(&folder, store) {
        // The tables are the result; a sweep does not stop for a picture.
        tracing::warn!("{error}");
    }
    Ok(SweepTables { points, summary, folder })
}

/// What is known of a point's run: of one that came to its end here from its folder, of others from the table that was kept. A
/// run that has only begun here, or failed, does not take a result away: it has the same key, and may not come to one.
fn outcome(store: &Store, point: &Point, kept: &Kept) -> Record {
    let here = store.record_of(point).unwrap_or_default();
    let Some(mut cells) = kept.get(&point.key).cloned().filter(|_| !here.is_final()) else { return here };
    // The name is no part of the key: the sweep's file may have changed it since.
    cells.remove("name");
    cells
}

fn points(store: &Store, sweep: &Sweep, failed: &[usize], kept: &Kept) -> Table {
    let varied: Vec<usize> =
        (0..sweep.columns.len()).filter(|&index| !COLUMNS.contains(&sweep.columns[index].as_str())).collect();
    let names: Vec<&str> = varied.iter().map(|&index| sweep.columns[index].as_str()).chain(COLUMNS).collect();
    let mut table = Table::new(&names);
    for (index, point) in sweep.points.iter().enumerate() {
        let mut summary = outcome(store, point, kept);
        if failed.contains(&index) && !summary.is_final() {
            summary.set("status", Status::Failed.name());
        }
        let known = |column: &str| match column {
            "name" => point.experiment.name.clone(),
            "key" => point.key.short().to_owned(),
            "sha256" => point.key.sha256().to_owned(),
            "seed" => point.experiment.seed.to_string(),
            "params" => point.cost.params.to_string(),
            "macs" => point.cost.macs.to_string(),
            _ => String::new(),
        };
        let cells = COLUMNS.iter().map(|&column| summary.remove(column).unwrap_or_else(|| known(column)));
        table.rows.push(varied.iter().map(|&index| point.values[index].clone()).chain(cells).collect());
    }
    table
}

/// One row for each setting: what varies but the seed, the number of finished runs, cost, and each result's mean, standard
/// deviation and 95 % interval. Cells are empty where there are too few runs for them.
fn summary(points: &Table, varied: &[String]) -> Table {
    let varied: Vec<&str> = varied.iter().map(String::as_str).filter(|&name| name != "seed").collect();
    let mut names: Vec<String> = varied.iter().chain(&["n", "params", "macs"]).map(|&name| name.to_owned()).collect();
    for (result, with_interval) in RESULTS {
        let parts: &[&str] = if with_interval { &["mean", "std", "low", "high"] } else { &["mean", "std"] };
        names.extend(parts.iter().map(|part| format!("{result}_{part}")));
    }
    let mut table = Table { columns: names, rows: Vec::new() };
    let columns: Vec<usize> = varied.iter().filter_map(|name| points.column(name)).collect();
    let cell = |row: usize, name: &str| {
        points.column(name).and_then(|column| points.rows.get(row)?.get(column)).cloned().unwrap_or_default()
    };
    for group in points.groups(&columns) {
        let Some(&first) = group.first() else { continue };
        let finished: Vec<usize> =
            group.iter().copied().filter(|&row| Status::parse(&cell(row, "status")) == Some(Status::Done)).collect();
        let mut row: Vec<String> = varied.iter().map(|name| cell(first, name)).collect();
        row.extend([finished.len().to_string(), cell(first, "params"), cell(first, "macs")]);
        for (result, with_interval) in RESULTS {
            let values = points.column(result).map(|column| points.numbers(column, &finished)).unwrap_or_default();
            let spread = Spread::of(&values);
            let write = |value: f64| match result {
                _ if !value.is_finite() => String::new(),
                "seconds" => format!("{value:.1}"),
                result if result.ends_with("loss") => significant(value),
                _ => accuracy(value),
            };
            let mut numbers = spread.map_or([f64::NAN; 2], |spread| [spread.mean, spread.std]).to_vec();
            if with_interval {
                numbers.extend(spread.map_or([f64::NAN; 2], |spread| spread.interval()));
            }
            row.extend(numbers.into_iter().map(write));
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
    fn what_the_table_says_of_runs_that_are_elsewhere_stays() {
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
        // The last is run anew: a run that has begun takes nothing away.
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
            let told = if top1 == "0.8" { "done" } else { status };
            assert_eq!([cell("status"), cell("val_top1")], [told, top1], "{status}");
            // As it was, for the next.
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
        let summary = summary(&points, &["model.depth".to_owned(), "seed".to_owned()]);
        let cell = |row: usize, name: &str| summary.rows[row][summary.column(name).unwrap()].clone();
        assert_eq!(summary.columns[..4], ["model.depth", "n", "params", "macs"]);
        assert_eq!([cell(0, "n"), cell(0, "test_top1_mean"), cell(0, "test_top1_std")], ["2", "0.920000", "0.028284"]);
        assert_eq!([cell(0, "seconds_mean"), cell(1, "n"), cell(1, "macs")], ["1.5", "1", "40"]);
        // One run has a mean and no spread; a result that is missing has nothing.
        assert_eq!([cell(1, "test_top1_mean"), cell(1, "test_top1_low")], ["0.500000", ""]);
        assert_eq!(cell(0, "val_top1_mean"), "");
        // t(0.975, 1) = 12.706: two runs say little.
        let low: f64 = cell(0, "test_top1_low").parse().unwrap();
        assert!((low - (0.92 - 12.7062 * 0.028_284_27 / 2f64.sqrt())).abs() < 1e-5, "{low}");
    }
}
