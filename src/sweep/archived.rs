//! What the tables of a sweep say of runs that are elsewhere: tables are kept in git where runs are not, and a sweep's file
//! changes. No result that stands in a table alone is lost when the table is written anew.

use crate::config::Key;
use crate::files::rename;
use crate::runs::{Record, RunError, Store, Table, TableError, counted};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::Path;

/// Results of points that are, or once were, no longer in the sweep.
const FORMER: &str = "former.csv";

/// Rows of finished points by the longest form of their key; cells that are empty are left out.
pub struct Kept {
    rows: BTreeMap<String, Record>,
    /// Their columns, in the order of the tables.
    columns: Vec<String>,
    /// What `former.csv` has already.
    former: HashMap<String, Record>,
}

impl Kept {
    /// What lies in the folder of a sweep. A table that cannot be read is put aside whole, as `table.csv.damaged`.
    ///
    /// # Errors
    /// As the file system says.
    pub fn read(folder: &Path) -> Result<Kept, RunError> {
        let mut kept = Kept { rows: BTreeMap::new(), columns: Vec::new(), former: HashMap::new() };
        for file in ["table.csv", FORMER] {
            let table = read(&folder.join(file))?;
            for row in table.rows {
                let cells = table.columns.iter().cloned().zip(row);
                let row: Record = cells.filter(|(_, cell)| !cell.is_empty()).collect();
                let Some(key) = row.written_key().filter(|_| row.is_final()).map(str::to_owned) else { continue };
                if file == FORMER {
                    kept.former.insert(key.clone(), row.clone());
                }
                // What the sweep's table says came later.
                kept.rows.entry(key).or_insert(row);
            }
            let known: HashSet<&String> = kept.columns.iter().collect();
            let new: Vec<String> = table.columns.iter().filter(|column| !known.contains(column)).cloned().collect();
            kept.columns.extend(new);
        }
        Ok(kept)
    }

    /// What is known of the result with this key.
    pub fn get(&self, key: &Key) -> Option<&Record> {
        forms(key).into_iter().find_map(|form| self.rows.get(form))
    }

    /// Writes the results of points that are not in the sweep any more, and have no run here, into `former.csv`, and says so.
    /// What stands there stays, so that a kill at any moment loses nothing.
    ///
    /// # Errors
    /// As the file system says.
    pub fn put_aside<'a>(
        &self,
        points: impl Iterator<Item = &'a Key>,
        folder: &Path,
        store: &Store,
    ) -> Result<(), RunError> {
        let points: HashSet<&str> = points.flat_map(forms).collect();
        let gone = |(key, row): &(&String, &Record)| {
            !points.contains(key.as_str()) && self.former.get(*key) != Some(row) && !has_run(store, row)
        };
        let count = self.rows.iter().filter(gone).count();
        if count == 0 {
            return Ok(());
        }
        let stays = |entry: &(&String, &Record)| self.former.contains_key(entry.0) || gone(entry);
        let cells =
            |(_, row): (&String, &Record)| self.columns.iter().map(|column| row.text(column).to_owned()).collect();
        let rows = self.rows.iter().filter(stays).map(cells).collect();
        let path = folder.join(FORMER);
        Table { columns: self.columns.clone(), rows }.write(&path)?;
        let counted = counted(count, "result");
        tracing::warn!(
            "{counted} of points that are not in the sweep any more, without a run here: kept in {}",
            path.display()
        );
        Ok(())
    }
}

/// A table that may not be there.
fn read(path: &Path) -> Result<Table, RunError> {
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
            tracing::warn!("{error}; it is now {}, and the table is written anew", aside.display());
            rename(path, aside).map_err(RunError::io("rename", path))?;
            Ok(Table::default())
        }
    }
}

/// Whether a run here has the result, too.
fn has_run(store: &Store, row: &Record) -> bool {
    let run = store.run_folder_of(row).and_then(|folder| Record::read(&folder));
    run.is_some_and(|run| run.is_final() && run.same_experiment(row))
}

/// The forms in which a key may be written, the longest first.
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
    fn a_result_that_stands_in_a_table_alone_is_never_lost() {
        let results = tempfile::tempdir().unwrap();
        let folder = results.path().join("sweeps/s");
        std::fs::create_dir_all(&folder).unwrap();
        let write = |text: &str| std::fs::write(folder.join("table.csv"), text).unwrap();
        let rows = ["0,s,aa,done,0.5\n", "1,s,bb,diverged,0.1\n", "2,s,cc,interrupted,0.2\n", "3,s,dd,done,0.7\n"];
        write(&table(&[&rows[..], &["4,s,ee,done,0.8\n"]].concat()));
        // Of one there is a run here; the folder of another holds something else.
        for (place, key) in [("dd", "dd"), ("ee", "dd")] {
            let run = results.path().join("runs/s").join(place);
            std::fs::create_dir_all(&run).unwrap();
            std::fs::write(run.join("summary.csv"), format!("key,status\n{key},done\n")).unwrap();
        }
        let put_aside = |points: &[&str]| {
            let points: Vec<Key> = points.iter().map(|&key| Key::from(key)).collect();
            Kept::read(&folder).unwrap().put_aside(points.iter(), &folder, &Store::new(results.path())).unwrap();
        };
        let former = || Table::read(&folder.join(FORMER)).map(|table| table.rows);

        put_aside(&["aa", "bb", "cc", "dd", "ee"]);
        assert!(former().is_err());
        put_aside(&["aa"]);
        assert_eq!(former().unwrap(), [["1", "s", "bb", "diverged", "0.1"], ["4", "s", "ee", "done", "0.8"]]);
        // Another column, and the first row gone as well; its name leads elsewhere.
        write("lr,name,key,status\n0.1,../..,aa,done\n");
        put_aside(&["ff"]);
        let rows = former().unwrap();
        assert_eq!((&rows[0], rows.len()), (&["0.1", "../..", "aa", "done", "", ""].map(str::to_owned).to_vec(), 3));
        // A point came back, was run anew, and is gone again: the newer result counts.
        write(&table(&["1,s,bb,done,0.9\n"]));
        put_aside(&["ff"]);
        assert_eq!(
            (former().unwrap().len(), Kept::read(&folder).unwrap().get(&"bb".into()).unwrap().text("val_top1")),
            (3, "0.9")
        );
        // Conflicts of a merge are no table.
        write("<<<<<<< ours\nseed,name,key\n");
        put_aside(&["ff"]);
        assert!(!folder.join("table.csv").exists() && folder.join("table.csv.damaged").exists());
        write("a,b\n1\n");
        put_aside(&["ff"]);
        assert!(folder.join("table.csv.damaged.damaged").exists());
        let kept = Kept::read(&folder).unwrap();
        assert!(kept.get(&"bb".into()).is_some() && kept.get(&"cc".into()).is_none());
    }
}
