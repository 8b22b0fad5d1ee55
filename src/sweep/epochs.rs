//! `epochs.csv` of a sweep: the epochs of all its finished runs, with the key of each. Git tracks it, unlike the runs.

use super::archived::read;
use crate::config::Point;
use crate::runs::{EpochRow, Epochs, RunError, Store, Table};
use std::collections::HashMap;
use std::path::Path;

/// Writes the epochs of the points, in their order. Those of a run that is not here stay as the existing file has them.
pub(super) fn write<'a>(points: impl Iterator<Item = &'a Point>, folder: &Path, store: &Store) -> Result<(), RunError> {
    let path = folder.join("epochs.csv");
    let mut known: HashMap<String, Vec<Vec<String>>> = HashMap::new();
    for row in read(&path)?.rows {
        known.entry(row.first().cloned().unwrap_or_default()).or_default().push(row);
    }
    let header: Vec<&str> = std::iter::once("key").chain(EpochRow::COLUMNS.iter().copied()).collect();
    let mut table = Table::new(&header);
    for point in points {
        let key = point.key.short();
        let here = match store.record_of(point).is_some_and(|record| record.is_final()) {
            true => Epochs::find(&store.folder_of(point))?,
            false => None,
        };
        match here {
            Some(epochs) => {
                let line = |row: &EpochRow| row.line().trim_end().split(',').map(str::to_owned).collect::<Vec<_>>();
                table.rows.extend(epochs.iter().map(|row| [vec![key.to_owned()], line(row)].concat()));
            }
            None => table.rows.extend(known.remove(key).unwrap_or_default()),
        }
    }
    if table.rows.is_empty() { Ok(()) } else { table.write(&path) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Machine, Sweep};
    use std::fs;

    #[test]
    fn epochs_outlive_the_runs_that_they_came_from() {
        let results = tempfile::tempdir().unwrap();
        let store = Store::new(results.path());
        let text = "[data]\ndataset = 'synthetic'\nvalidation = 400\n[model]\npreset = 'resnet'\nlayout = 'cifar'\ndepth = 8\n\
                    [train]\nepochs = 1\n[sweep]\nseed = [0, 1]\n";
        let sweep = Sweep::parse("s.toml", text, "s", &[], Machine::default()).unwrap();
        let write = || write(sweep.points.iter(), results.path(), &store).unwrap();
        let table = || fs::read_to_string(results.path().join("epochs.csv")).unwrap_or_default();
        write();
        assert_eq!(table(), "", "no run has ended");
        let epochs =
            format!("{}\n1,2,0.1,2.3,0.100000,0.500000,2.2,0.200000,0.600000,0.090,1614.8,134\n", Epochs::header());
        let run = store.folder_of(&sweep.points[1]);
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("epochs.csv"), epochs).unwrap();
        write();
        assert_eq!(table(), "", "it has begun");
        fs::write(run.join("summary.csv"), "status\ndone\n").unwrap();
        write();
        let key = sweep.points[1].key.short();
        assert!(table().contains(&format!("\n{key},1,2,0.1,2.3,0.100000,")), "{}", table());
        let before = table();
        fs::remove_dir_all(run).unwrap();
        write();
        assert_eq!(table(), before);
    }
}
