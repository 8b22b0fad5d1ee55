//! What paths stand for.

use super::*;
use crate::runs::Epochs;
use std::fs;

struct Results(tempfile::TempDir);

impl Results {
    fn new() -> Results {
        Results(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: &str) -> &Results {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn run(&self, name: &str, key: &str, top1: &str) -> &Results {
        let text = format!("name,key,status,seed,val_top1,train.lr\n{name},{key},done,0,{top1},0.1\n");
        self.file(&format!("runs/{name}/{key}/summary.csv"), &text)
    }

    fn collect(&self, paths: &[&str]) -> Result<Records, CollectError> {
        let absolute = |path: &&str| path.replace("$", &self.0.path().display().to_string());
        collect(&paths.iter().map(absolute).collect::<Vec<_>>(), &crate::runs::Store::new(self.0.path()))
    }

    /// A column of what the paths stand for.
    fn cells(&self, paths: &[&str], column: &str) -> Vec<String> {
        let table = self.collect(paths).unwrap();
        let index = table.column(column).unwrap();
        table.rows.iter().map(|row| row[index].clone()).collect()
    }

    #[track_caller]
    fn refused(&self, paths: &[&str], part: &str) {
        let message = self.collect(paths).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

/// Tables that are small by themselves: every row gets a cell for every column of all.
#[test]
fn tables_that_are_large_together_are_refused() {
    let results = Results::new();
    let header = |letter: char| (0..6000).map(|index| format!("{letter}{index}")).collect::<Vec<_>>().join(",");
    results.file("a.csv", &format!("{}\n", header('a'))).file("b.csv", &format!("{}\n", header('b')));
    results.refused(&["$/a.csv", "$/b.csv"], "0 rows of 12001 columns; one table has at most 10000 columns");
    results.file("long.csv", &format!("x\n{}", "1\n".repeat(4000)));
    results.refused(&["$/a.csv", "$/long.csv"], "4000 rows of 6002 columns");
}

/// A run's experiment may be a file of anyone's: its keys are read without a limit of their own.
#[test]
fn an_experiment_nested_too_deep_is_refused_with_its_line() {
    let results = Results::new();
    results.file("runs/x/aa/experiment.toml", &format!("seed = 1\n{} = 1\n", vec!["a"; 20_000].join(".")));
    results.refused(&["x"], "line 2: tables and lists are nested at most 32 levels deep");
}

const EXPERIMENT: &str = "name = 'net'\nseed = 3\n[train]\nlr = 0.5\n[expect]\ntest_top1 = 0.9\nsource = 'paper'\n";

fn epochs(rows: &[&str]) -> String {
    format!("{}\n{}", Epochs::header(), rows.concat())
}

#[test]
fn folders_names_patterns_and_nothing_stand_for_runs() {
    let results = Results::new();
    results.run("plain", "aa", "0.1").run("plain", "bb", "0.2").run("resnet", "cc", "0.3");
    results.file("kept/summary.csv", "name,key,val_top1\nkept,dd,0.4\n").file("tables/costs.csv", "network\nvgg\n");
    let keys = |paths: &[&str]| results.cells(paths, "key");
    assert_eq!(keys(&[]), ["dd", "aa", "bb", "cc"]);
    assert_eq!(keys(&["$/runs/plain/bb"]), ["bb"]);
    assert_eq!(keys(&["plain/bb"]), ["bb"]);
    assert_eq!(keys(&["plain"]), ["aa", "bb"]);
    assert_eq!(keys(&["$/runs"]), ["aa", "bb", "cc"]);
    assert_eq!(keys(&["$/runs/*/?b", "kept"]), ["bb", "dd"]);
    assert_eq!(keys(&["plain", "$/runs/plain/aa/summary.csv"]), ["aa", "bb"], "the same run counts once");
    results.refused(&["plian"], "did you mean `plain`?");
    results.refused(&["$/tables"], "there is no run or sweep below");
    assert_eq!(keys(&["$/kept", "$/runs", "$/tables"]).len(), 4, "as a shell expands $/*");
    results.refused(&["$/runs/*/x*"], "matches");
    results.refused(&[""], "nothing called ``");
    Results::new().refused(&[], "there is no run below");
}

#[test]
fn a_sweep_s_points_know_their_runs() {
    let results = Results::new();
    let table = "model.depth,name,key,status,seed,val_top1\n8,net,aa,done,3,0.7\n14,net,bb,,0,\n";
    results.file("sweeps/depth/table.csv", table).file("sweeps/depth/summary.csv", "model.depth,n\n8,1\n");
    results.file("runs/net/aa/experiment.toml", EXPERIMENT);
    let found = results.collect(&["depth"]).unwrap();
    assert_eq!(found.rows.len(), 2);
    assert_eq!(found.origin(0).folder, Some(results.0.path().join("runs/net/aa")));
    assert_eq!(found.origin(1).folder, None);
    assert_eq!(results.cells(&["depth"], "expect.source"), ["paper", ""]);
    // The run itself says more than its line in the sweep's table, and counts once.
    results.run("net", "aa", "0.7").file("runs/net/aa/summary.csv", "name,key,seed,train.lr\nnet,aa,3,0.5\n");
    let both = results.collect(&["depth", "net"]).unwrap();
    assert_eq!(both.rows.len(), 2);
    assert!(both.origin(0).complete && !both.origin(1).complete);
    assert_eq!(results.cells(&["depth", "net"], "train.lr"), ["0.5", ""]);
    assert_eq!(results.cells(&["depth", "net"], "model.depth"), ["8", "14"]);
}

/// The sweep was killed, and its points with it: its table was last written before they began.
#[test]
fn a_sweep_s_unfinished_points_say_what_they_have() {
    let results = Results::new();
    let table = "name,key,status,seed,epochs,best_epoch,val_top1\nnet,aa,,3,,,\nnet,bb,,0,,,\nnet,cc,failed,0,,,\nnet,dd,,0,,,\n";
    results.file("sweeps/s/table.csv", table);
    let rows = ["1,5,0.1,2,0.2,0.5,2.1,0.4,0.5,1.0,100.0,0\n", "2,10,0.1,1,0.4,0.5,1.1,0.3,0.5,1.0,100.0,0\n"];
    for key in ["aa", "cc"] {
        results.file(&format!("runs/net/{key}/experiment.toml"), EXPERIMENT);
        results.file(&format!("runs/net/{key}/epochs.csv"), &epochs(&rows));
    }
    results.run("net", "dd", "0.7");
    assert_eq!(results.cells(&["s"], "status"), ["interrupted", "", "failed", "done"]);
    assert_eq!(results.cells(&["s"], "val_top1"), ["0.400000", "", "0.400000", "0.7"]);
    assert_eq!(results.cells(&["s"], "epochs"), ["2", "", "2", ""]);
    assert_eq!(results.cells(&["s"], "best_epoch"), ["1", "", "1", ""]);
}

#[test]
fn a_run_that_goes_on_says_what_it_has() {
    let results = Results::new();
    let rows = ["1,10,0.1,2,0.5,0.9,2.1,0.4,0.9,1,100,50\n", "2,20,0.1,1,0.6,0.9,1.1,0.8,0.9,1,100,50\n", "3,30,0."];
    results.file("runs/net/aa/experiment.toml", EXPERIMENT).file("runs/net/aa/epochs.csv", &epochs(&rows));
    let cell = |column: &str| results.cells(&["net"], column).concat();
    assert_eq!([cell("status"), cell("epochs"), cell("val_top1"), cell("seed")], ["interrupted", "2", "0.800000", "3"]);
    assert_eq!([cell("train.lr"), cell("expect.source"), cell("key")], ["0.5", "paper", "aa"]);
    // A lock that nobody holds was left by a process that is gone.
    results.file("runs/net/aa/.lock", &format!("process {}", std::process::id()));
    assert_eq!(cell("status"), "interrupted");
    let lock = fs::File::open(results.0.path().join("runs/net/aa/.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(cell("status"), "running");
}

#[test]
fn tables_from_elsewhere_are_joined_on_equal_names() {
    let results = Results::new();
    results.file("a.csv", "net,acc\nx,0.5\n").file("b.csv", "\u{feff}acc;loss\n0.7;\"1;2\"\n0.8;3\n");
    let table = results.collect(&["$/a.csv", "$/b.csv"]).unwrap();
    assert_eq!(table.columns, ["source", "net", "acc", "loss"]);
    assert_eq!(table.rows[1][1..], ["", "0.7", "1;2"]);
    assert!(table.rows[2][0].ends_with("b.csv"));
    // Rows of a table that happens to have these columns used to count once.
    results.file("long.csv", "name,key,epoch,acc\nx,k,1,0.5\nx,k,2,0.6\n");
    assert_eq!(results.collect(&["$/long.csv"]).unwrap().rows.len(), 2);
    assert_eq!(results.collect(&["$/a.csv"]).unwrap().columns, ["net", "acc"]);
}

#[test]
fn a_table_that_is_broken_is_told_with_its_line() {
    let results = Results::new();
    results
        .file("ragged.csv", "a,b\n1,2\n3\n")
        .file("empty.csv", "")
        .file("twice.csv", "a,a\n")
        .file("nul.csv", "a\0b\n");
    results.refused(&["$/ragged.csv"], "ragged.csv, line 3: this line has 1 cells, the header has 2");
    results.refused(&["$/empty.csv"], "empty.csv, line 1: there is no header");
    results.refused(&["$/twice.csv"], "there are two columns `a`");
    results.refused(&["$/nul.csv"], "not a text file");
    fs::write(results.0.path().join("latin.csv"), b"a\nb\n\xe4\n").unwrap();
    results.refused(&["$/latin.csv"], "line 3: this is not UTF-8");
    results.file("runs/net/aa/summary.csv", "name,key\n");
    results.refused(&["net"], "summary.csv, line 2: the row is missing");
    results.file("runs/other/bb/experiment.toml", "name = 'x'\nseed = = 3\n");
    results.refused(&["other"], "experiment.toml, line 2");
    results
        .file("runs/third/cc/experiment.toml", EXPERIMENT)
        .file("runs/third/cc/epochs.csv", &epochs(&["x\n", "1\n"]));
    results.refused(&["third"], "epochs.csv");
    results.refused(&["$/runs/third/cc/experiment.toml"], "is not a table");
}
