//! What the tables of a sweep say of runs that are elsewhere: tables are kept in git where runs are not, and a sweep's file
//! changes. No result that stands in a table alone is lost when the table is written anew.

use super::run_folder::{RunError, RunFolder};
use super::summary::{Cells, read_summary};
use super::table::Table;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// Results of points that are no longer in the sweep.
const FORMER: &str = "former.csv";

/// Rows of finished points by their key.
pub struct Kept {
    rows: BTreeMap<String, Cells>,
    /// Their columns, in the order of the tables.
    columns: Vec<String>,
    /// Keys that `former.csv` has already.
    former: HashSet<String>,
}

impl Kept {
    /// What lies in the folder of a sweep. A table that is not there or cannot be read says nothing.
    pub fn read(folder: &Path) -> Kept {
        let mut kept = Kept { rows: BTreeMap::new(), columns: Vec::new(), former: HashSet::new() };
        for file in ["table.csv", FORMER] {
            let table = Table::read(&folder.join(file)).unwrap_or_default();
            for row in table.rows {
                let row: Cells = table.columns.iter().cloned().zip(row).collect();
                let Some(key) = row.get("key").filter(|_| has_ended(&row)).cloned() else { continue };
                if file == FORMER {
                    kept.former.insert(key.clone());
                }
                // What the sweep's table says came later.
                kept.rows.entry(key).or_insert(row);
            }
            let known: HashSet<&String> = kept.columns.iter().collect();
            let new: Vec<String> = table.columns.iter().filter(|column| !known.contains(column)).cloned().collect();
            kept.columns.extend(new);
        }
        kept
    }

    /// What is known of the result with this key.
    pub fn get(&self, key: &str) -> Option<&Cells> {
        self.rows.get(key)
    }

    /// Moves the results of points that are not in the sweep any more, and have no run here, to `former.csv`. What once stands
    /// there stays, so that a kill at any moment loses nothing. How many came to it now.
    ///
    /// # Errors
    /// As the file system says.
    pub fn put_aside(&self, points: &HashSet<&str>, folder: &Path, results: &Path) -> Result<usize, RunError> {
        let gone = |(key, row): &(&String, &Cells)| {
            !points.contains(key.as_str()) && !self.former.contains(*key) && !has_run(results, key, row)
        };
        let count = self.rows.iter().filter(gone).count();
        if count > 0 {
            let stays = |entry: &(&String, &Cells)| self.former.contains(entry.0) || gone(entry);
            let cells = |(_, row): (&String, &Cells)| {
                self.columns.iter().map(|column| row.get(column).cloned().unwrap_or_default()).collect()
            };
            let rows = self.rows.iter().filter(stays).map(cells).collect();
            Table { columns: self.columns.clone(), rows }.write(&folder.join(FORMER))?;
        }
        Ok(count)
    }
}

/// Whether a run here has the result, too.
fn has_run(results: &Path, key: &str, row: &Cells) -> bool {
    // A table from elsewhere may hold a name that is none.
    let name = row.get("name").map_or("", String::as_str);
    let plain = |text: &str| !text.is_empty() && !text.contains(['/', '\\']) && text != "..";
    plain(name)
        && plain(key)
        && read_summary(&RunFolder::place_of(results, name, key)).is_some_and(|row| has_ended(&row))
}

/// Whether a run came to its end, good or bad.
pub fn has_ended(row: &Cells) -> bool {
    row.get("status").is_some_and(|status| ["done", "diverged"].contains(&status.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&str]) -> String {
        format!("seed,name,key,status,val_top1\n{}", rows.concat())
    }

    fn read(folder: &Path, file: &str) -> Vec<Vec<String>> {
        Table::read(&folder.join(file)).unwrap().rows
    }

    #[test]
    fn a_result_that_stands_in_a_table_alone_is_never_lost() {
        let results = tempfile::tempdir().unwrap();
        let folder = results.path().join("sweeps/s");
        std::fs::create_dir_all(&folder).unwrap();
        let rows = ["0,s,aa,done,0.5\n", "1,s,bb,diverged,0.1\n", "2,s,cc,interrupted,0.2\n", "3,s,dd,done,0.7\n"];
        std::fs::write(folder.join("table.csv"), table(&rows)).unwrap();
        // Of the last there is a run here.
        let run = RunFolder::place_of(results.path(), "s", "dd");
        std::fs::create_dir_all(&run).unwrap();
        std::fs::write(run.join("summary.csv"), "key,status\ndd,done\n").unwrap();
        let put_aside = |points: &[&str]| {
            let points = points.iter().copied().collect();
            Kept::read(&folder).put_aside(&points, &folder, results.path()).unwrap()
        };

        assert_eq!(put_aside(&["aa", "bb", "cc", "dd"]), 0);
        assert!(!folder.join(FORMER).exists());
        assert_eq!((put_aside(&["aa"]), put_aside(&["aa"])), (1, 0));
        assert_eq!(read(&folder, FORMER), [["1", "s", "bb", "diverged", "0.1"]]);
        // Another column, and the first row gone as well; its name leads elsewhere.
        std::fs::write(folder.join("table.csv"), "lr,name,key,status\n0.1,../..,aa,done\n").unwrap();
        assert_eq!(put_aside(&["ee"]), 1);
        let former = read(&folder, FORMER);
        assert_eq!(former[0], ["0.1", "../..", "aa", "done", "", ""]);
        assert_eq!(former[1], ["", "s", "bb", "diverged", "1", "0.1"]);
        std::fs::remove_file(folder.join("table.csv")).unwrap();
        assert_eq!(Kept::read(&folder).get("bb").unwrap()["val_top1"], "0.1");
        assert!(Kept::read(&folder).get("cc").is_none());
    }
}
