//! Results that only the tables of a sweep have: git tracks the tables but not the runs, and the sweep's file changes. Rewriting
//! the tables loses none of them.

use crate::config::Key;
use crate::files::rename;
use crate::runs::{Record, RunError, Store, Table, TableError, counted};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::io;
use std::path::Path;

/// The file for results of points that are no longer in the sweep.
const ARCHIVED: &str = "archived.csv";

/// Its name in earlier versions.
const FORMER: &str = "former.csv";

/// The finished points in the tables of a sweep.
#[derive(Debug)]
pub(super) struct Archived {
    /// Results by the longest form of the key, without empty cells.
    rows: BTreeMap<String, Record>,
    /// The columns of all tables, in their order.
    columns: Vec<String>,
    /// The keys in [`ARCHIVED`] or [`FORMER`].
    written: HashMap<String, Record>,
}

impl Archived {
    /// Reads the tables in the folder of a sweep. A table that cannot be parsed is renamed to `table.csv.damaged`.
    ///
    /// # Errors
    /// When a table cannot be read or renamed.
    pub(super) fn read(folder: &Path) -> Result<Archived, RunError> {
        Archived::gather(folder, read)
    }

    /// As [`Archived::read`], but changes nothing: a table that cannot be read has no results.
    pub(super) fn peek(folder: &Path) -> Archived {
        let Ok(archived) = Archived::gather::<Infallible>(folder, |path| Ok(Table::read(path).unwrap_or_default()));
        archived
    }

    fn gather<E>(folder: &Path, read: impl Fn(&Path) -> Result<Table, E>) -> Result<Archived, E> {
        let mut archived = Archived { rows: BTreeMap::new(), columns: Vec::new(), written: HashMap::new() };
        // The newest results first.
        for file in ["table.csv", ARCHIVED, FORMER] {
            let table = read(&folder.join(file))?;
            for row in 0..table.rows.len() {
                let cells = table.record(row);
                let cells = cells.iter().filter(|(_, cell)| !cell.is_empty());
                let row: Record = cells.map(|(column, cell)| (column.to_owned(), cell.to_owned())).collect();
                let Some(key) = row.written_key().filter(|_| row.is_final()).map(str::to_owned) else { continue };
                if file != "table.csv" {
                    archived.written.entry(key.clone()).or_insert_with(|| row.clone());
                }
                archived.rows.entry(key).or_insert(row);
            }
            let known: HashSet<&String> = archived.columns.iter().collect();
            let new: Vec<String> = table.columns.iter().filter(|column| !known.contains(column)).cloned().collect();
            archived.columns.extend(new);
        }
        Ok(archived)
    }

    /// The result with this key.
    pub(super) fn get(&self, key: &Key) -> Option<&Record> {
        forms(key).into_iter().find_map(|form| self.rows.get(form))
    }

    /// Writes the results of points that are not among `points` and have no run here into [`ARCHIVED`], and logs a warning. Its
    /// existing content is kept, so that a kill at any moment loses nothing.
    pub(super) fn write<'a>(
        &self,
        points: impl Iterator<Item = &'a Key>,
        folder: &Path,
        store: &Store,
    ) -> Result<(), RunError> {
        let points: HashSet<&str> = points.flat_map(forms).collect();
        let is_new = |(key, row): &(&String, &Record)| {
            !points.contains(key.as_str()) && self.written.get(*key) != Some(row) && !has_run(store, row)
        };
        let count = self.rows.iter().filter(is_new).count();
        if count == 0 {
            return Ok(());
        }
        let stays = |entry: &(&String, &Record)| self.written.contains_key(entry.0) || is_new(entry);
        let cells =
            |(_, row): (&String, &Record)| self.columns.iter().map(|column| row.text(column).to_owned()).collect();
        let rows = self.rows.iter().filter(stays).map(cells).collect();
        let path = folder.join(ARCHIVED);
        Table { columns: self.columns.clone(), rows }.write(&path)?;
        let results = counted(count, "result");
        tracing::warn!(
            "{results} of points that the sweep no longer has, without a run here: moved to {}",
            path.display()
        );
        Ok(())
    }
}

/// Reads a table; an empty one where the file does not exist. One that cannot be parsed is renamed to `NAME.damaged`.
pub(super) fn read(path: &Path) -> Result<Table, RunError> {
    match Table::read(path) {
        Ok(table) => Ok(table),
        Err(TableError::Io { reason, .. }) if reason.kind() == io::ErrorKind::NotFound => Ok(Table::default()),
        Err(error @ TableError::Io { .. }) => Err(error.into()),
        Err(error) => {
            let mut aside = path.as_os_str().to_owned();
            aside.push(".damaged");
            while Path::new(&aside).exists() {
                aside.push(".damaged");
            }
            let aside = Path::new(&aside);
            tracing::warn!("{error}; renamed to {}, and a new table is written", aside.display());
            rename(path, aside).map_err(RunError::io("rename", path))?;
            Ok(Table::default())
        }
    }
}

/// Whether the results folder has a run with this result, too.
fn has_run(store: &Store, row: &Record) -> bool {
    let run = store.run_folder_of(row).and_then(|folder| Record::read(&folder));
    run.is_some_and(|run| run.is_final() && run.same_experiment(row))
}

/// The forms in which tables have a key, the longest first.
fn forms(key: &Key) -> [&str; 2] {
    [key.sha256(), key.short()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&str]) -> String {
        format!("seed,name,key,status,val_top1\n{}", rows.concat())
    }

    #[test]
    fn a_result_that_only_a_table_has_is_never_lost() {
        let results = tempfile::tempdir().unwrap();
        let folder = results.path().join("sweeps/s");
        std::fs::create_dir_all(&folder).unwrap();
        let write = |text: &str| std::fs::write(folder.join("table.csv"), text).unwrap();
        let rows = ["0,s,aa,done,0.5\n", "1,s,bb,diverged,0.1\n", "2,s,cc,interrupted,0.2\n", "3,s,dd,done,0.7\n"];
        write(&table(&[&rows[..], &["4,s,ee,done,0.8\n"]].concat()));
        // One has a run here; the folder of another has a different result.
        for (name, key) in [("dd", "dd"), ("ee", "dd")] {
            let run = results.path().join("runs/s").join(name);
            std::fs::create_dir_all(&run).unwrap();
            std::fs::write(run.join("summary.csv"), format!("key,status\n{key},done\n")).unwrap();
        }
        let archive = |points: &[&str]| {
            let points: Vec<Key> = points.iter().map(|&key| Key::from(key)).collect();
            Archived::read(&folder).unwrap().write(points.iter(), &folder, &Store::new(results.path())).unwrap();
        };
        let archived = || Table::read(&folder.join(ARCHIVED)).map(|table| table.rows);

        archive(&["aa", "bb", "cc", "dd", "ee"]);
        assert!(archived().is_err());
        archive(&["aa"]);
        assert_eq!(archived().unwrap(), [["1", "s", "bb", "diverged", "0.1"], ["4", "s", "ee", "done", "0.8"]]);
        // Another column, and the first point removed, too; its name is a path.
        write("lr,name,key,status\n0.1,../..,aa,done\n");
        archive(&["ff"]);
        let rows = archived().unwrap();
        assert_eq!((&rows[0], rows.len()), (&["0.1", "../..", "aa", "done", "", ""].map(str::to_owned).to_vec(), 3));
        // A point was added again, run and removed again: the newer result counts.
        write(&table(&["1,s,bb,done,0.9\n"]));
        archive(&["ff"]);
        assert_eq!(
            (archived().unwrap().len(), Archived::read(&folder).unwrap().get(&"bb".into()).unwrap().text("val_top1")),
            (3, "0.9")
        );
        // A merge conflict is not a table.
        write("<<<<<<< ours\nseed,name,key\n");
        archive(&["ff"]);
        assert!(!folder.join("table.csv").exists() && folder.join("table.csv.damaged").exists());
        write("a,b\n1\n");
        archive(&["ff"]);
        assert!(folder.join("table.csv.damaged.damaged").exists());
        let read = Archived::read(&folder).unwrap();
        assert!(read.get(&"bb".into()).is_some() && read.get(&"cc".into()).is_none());
    }
    #[test]
    fn the_archive_of_an_earlier_version_is_read() {
        let results = tempfile::tempdir().unwrap();
        let (folder, store) = (results.path(), Store::new(results.path()));
        std::fs::write(folder.join(FORMER), table(&["0,s,aa,done,0.5\n"])).unwrap();
        Archived::read(folder).unwrap().write([].into_iter(), folder, &store).unwrap();
        assert!(!folder.join(ARCHIVED).exists(), "nothing new");
        std::fs::write(folder.join("table.csv"), table(&["1,s,bb,done,0.6\n"])).unwrap();
        Archived::read(folder).unwrap().write([].into_iter(), folder, &store).unwrap();
        assert_eq!(Table::read(&folder.join(ARCHIVED)).unwrap().rows.len(), 2);
    }
}
