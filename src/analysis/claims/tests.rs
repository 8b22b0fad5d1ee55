//! Claims on made tables.

use super::*;
use crate::config::Machine;
use std::fs;

const FRAME: &str = "[data]\ndataset = 'synthetic'\nvalidation = 400\n[model]\npreset = 'resnet'\nlayout = 'cifar'\ndepth = 8\n\
    [train]\nepochs = 2\n[sweep]\nseed = [0, 1, 2]\nmodel.shortcut = ['none', 'A']\n[claim]\nnumber = 1\nslide = 's'\n\
    sentence = 'x'\npublished = 'p'\nminutes = 1\nneeds = 'n'\n[[claim.test]]\nsays = 't'\n";

/// A results folder with the table of a sweep of plain and residual networks.
struct Fixture(tempfile::TempDir);

impl Fixture {
    fn new(rows: &[(u64, &str, &str, &str)]) -> Fixture {
        let fixture = Fixture(tempfile::tempdir().unwrap());
        let rows = rows.iter().map(|(seed, shortcut, status, top1)| {
            format!("{shortcut},{seed},c,{shortcut}{seed},{status},10,{top1},2.0\n")
        });
        let text = rows.collect::<String>();
        fixture.write(
            "sweeps/c/table.csv",
            &format!("model.shortcut,seed,name,key,status,macs,test_top1,seconds\n{text}"),
        );
        fixture
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join("results").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn judge(&self, test: &str) -> Judged {
        let path = self.0.path().join("c.toml");
        fs::write(&path, format!("{FRAME}{test}\n")).unwrap();
        let file = ClaimFile::load(&path, Machine::default()).unwrap();
        Judged::of(file, &Store::new(self.0.path().join("results"))).unwrap()
    }
}

const LESS: &str =
    "measure = 'test_error'\nof = { model.shortcut = 'A' }\nagainst = { model.shortcut = 'none' }\nis = 'less'";

fn rows<'a>(plain: [&'a str; 3], residual: [&'a str; 3]) -> Vec<(u64, &'a str, &'a str, &'a str)> {
    let of = |shortcut, values: [&'a str; 3]| (0..3).map(move |seed| (seed as u64, shortcut, "done", values[seed]));
    of("none", plain).chain(of("A", residual)).collect()
}

#[test]
fn differences_are_taken_at_equal_seeds() {
    // The seeds differ by far more than the networks.
    let judged = Fixture::new(&rows(["0.50", "0.60", "0.70"], ["0.51", "0.612", "0.711"])).judge(LESS);
    let effect = judged.findings[0].estimate.effect().unwrap();
    assert!((effect + 1.1).abs() < 1e-9, "{effect}");
    assert_eq!((judged.verdict, judged.findings[0].estimate.n()), (Verdict::Supported, 3));
    assert_eq!((judged.points, judged.ended, judged.seconds), (6, 6, 12.0));
    assert_eq!(Judged::unit(&judged.claim().tests[0]), "points");
}

#[test]
fn seeds_without_a_partner_or_a_number_are_left_out() {
    let mut table = rows(["0.50", "0.60", "0.70"], ["0.51", "NaN", "0.75"]);
    let judged = Fixture::new(&table).judge(LESS);
    assert_eq!((judged.findings[0].estimate.n(), judged.verdict), (2, Verdict::Undecided));
    table[2].2 = "diverged";
    let judged = Fixture::new(&table).judge(LESS);
    assert_eq!((judged.findings[0].estimate.n(), judged.verdict, judged.diverged.len()), (1, Verdict::Undecided, 1));
    table[0].2 = "failed";
    let judged = Fixture::new(&table).judge(LESS);
    assert_eq!((judged.verdict, judged.ended), (Verdict::NotRun, 5));
    let empty = Fixture(tempfile::tempdir().unwrap()).judge(LESS);
    assert_eq!((empty.verdict, empty.ended, empty.deciding().is_some()), (Verdict::NotRun, 0, true));
}

#[test]
fn counts_are_exact_and_ratios_in_percent() {
    let fixture = Fixture::new(&rows(["", "", ""], ["", "", ""]));
    let ratio =
        "measure = 'macs'\nratio = true\nof = { model.shortcut = 'A' }\nagainst = { model.shortcut = 'none' }\n";
    let judged = fixture.judge(&format!("{ratio}is = 'equal'\nmargin = 1"));
    assert_eq!(judged.findings[0].estimate, Estimate::Exact(0.0));
    assert_eq!((judged.verdict, Judged::unit(&judged.claim().tests[0])), (Verdict::Supported, "%"));
    let value = "measure = 'test_top1'\nof = { model.shortcut = 'A' }\nvalue = 91.25\nmargin = 0.5\nis = 'equal'";
    let judged = Fixture::new(&rows(["0.5"; 3], ["0.9120", "0.9130", "0.9125"])).judge(value);
    assert_eq!(judged.verdict, Verdict::Supported);
}

#[test]
fn epochs_come_from_the_table_in_git_where_the_runs_are_not_here() {
    let fixture = Fixture::new(&rows(["0.5"; 3], ["0.6"; 3]));
    let test = LESS.replace("test_error", "train_error");
    assert_eq!(fixture.judge(&test).verdict, Verdict::NotRun);
    let row = |key: String, epoch: usize, top1: f64| {
        format!("{key},{epoch},{epoch},0.1,1,{top1},1,1,0.5,1,{epoch}.0,100.0,0\n")
    };
    let mut text = format!("key,{}\n", crate::runs::Epochs::header());
    for seed in 0..3 {
        let noise = seed as f64 / 1000.0;
        for (shortcut, last) in [("none", 0.6), ("A", 0.7)] {
            text += &row(format!("{shortcut}{seed}"), 1, 0.3);
            text += &row(format!("{shortcut}{seed}"), 2, last + if shortcut == "A" { noise } else { 0.0 });
        }
    }
    fixture.write("sweeps/c/epochs.csv", &text);
    let judged = fixture.judge(&test);
    assert_eq!(judged.verdict, Verdict::Supported);
    assert!((judged.findings[0].estimate.effect().unwrap() + 10.1).abs() < 1e-9);
    // The first epoch is a tie.
    assert_eq!(fixture.judge(&format!("{test}\nepoch = 1")).verdict, Verdict::Undecided);
    let seconds = "measure = 'epoch_seconds'\nof = { model.shortcut = 'A' }\nvalue = 1.5\nmargin = 0.1\nis = 'equal'";
    assert_eq!(fixture.judge(seconds).findings[0].estimate.effect(), Some(1.5), "the median");
}

#[test]
fn other_tables_are_read_by_name() {
    let fixture = Fixture::new(&rows(["0.5"; 3], ["0.6"; 3]));
    let test = "table = 'bench/t.csv'\nmeasure = 'ms'\nwith = 'ops'\nvalue = 0.5\nis = 'greater'";
    let judged = fixture.judge(test);
    assert_eq!((judged.verdict, judged.missing.len()), (Verdict::NotRun, 1));
    let row = |n: i32| format!("net{n},train,{n},{}\n", 2 * n + n % 2);
    fixture.write("bench/t.csv", &format!("network,phase,ops,ms\n{}", (1..9).map(row).collect::<String>()));
    let judged = fixture.judge(test);
    assert_eq!((judged.verdict, judged.findings[0].estimate.n()), (Verdict::Supported, 8));
    // Rows of one pair are averaged.
    let test = "table = 'bench/t.csv'\npair = 'phase'\nmeasure = 'ms'\nvalue = 9.5\nmargin = 1\nis = 'equal'";
    assert_eq!(fixture.judge(test).findings[0].estimate.effect(), Some(9.5));
}

/// A study of one run names it by its name alone, which other points of the sweep have too; the note beside the table has the key.
#[test]
fn the_table_of_a_study_of_one_run_has_the_settings_of_that_run() {
    let fixture = Fixture::new(&rows(["0.5"; 3], ["0.6", "0.61", "0.62"]));
    let study = "table = 'studies/landscape/c*.csv'\nmeasure = 'loss'\nof = { model.shortcut = 'A' }\n\
                 against = { model.shortcut = 'none' }\nis = 'less'";
    let runs =
        || [("none", 9.0), ("A", 4.0)].into_iter().flat_map(|(kind, loss)| (0..3).map(move |seed| (kind, seed, loss)));
    for (shortcut, seed, loss) in runs() {
        let loss = loss + f64::from(seed) / 10.0;
        fixture.write(&format!("studies/landscape/c-{shortcut}{seed}.csv"), &format!("run,loss\nc,{loss}\nc,{loss}\n"));
    }
    assert_eq!(fixture.judge(study).verdict, Verdict::NotRun, "any of six runs");
    for (shortcut, seed, _) in runs() {
        let note = format!("[[runs]]\nname = 'c'\nkey = '{shortcut}{seed}ffff'\n");
        fixture.write(&format!("studies/landscape/c-{shortcut}{seed}.toml"), &note);
    }
    let judged = fixture.judge(study);
    assert_eq!((judged.verdict, judged.findings[0].estimate.n()), (Verdict::Supported, 3));
    assert!((judged.findings[0].estimate.effect().unwrap() + 5.0).abs() < 1e-9);
    // Where a command is run for each point, a table that one of them lacks is missing: the points of the file have other keys.
    let with_command =
        |name: &str| FRAME.replace("[[claim.test]]", &format!("commands = ['study {name} {{each}}']\n[[claim.test]]"));
    for (name, missing) in [("landscape", 1), ("sharpness", 0)] {
        let path = fixture.0.path().join("c.toml");
        fs::write(&path, format!("{}{study}\n", with_command(name))).unwrap();
        let load = || ClaimFile::load(&path, Machine::default()).unwrap();
        let judge = || Judged::of(load(), &Store::new(fixture.0.path().join("results"))).unwrap();
        let runs = load().runs("");
        assert_eq!(judge().missing.len(), missing);
        for (index, run) in runs.iter().enumerate() {
            let (run_name, key) = run.split_once('/').unwrap();
            let base = format!("studies/{name}/c-{index}");
            fixture.write(&format!("{base}.csv"), "run,loss\nx,1\n");
            assert_eq!(judge().missing.len(), missing, "{index} of {}", runs.len());
            fixture.write(&format!("{base}.toml"), &format!("[[runs]]\nname = '{run_name}'\nkey = '{key}00'\n"));
        }
        assert_eq!(judge().missing.len(), 0);
    }
}

/// A study names runs as `NAME/KEY`; an ensemble has no seed.
#[test]
fn tables_of_studies_have_the_settings_of_their_runs() {
    let fixture = Fixture::new(&rows(["0.5"; 3], ["0.6", "0.61", "0.62"]));
    let study = "table = 'studies/lesion/c*.csv'\nmeasure = 'top1'\nof = { model.shortcut = 'A', kind = 'single' }\n\
                 against = { model.shortcut = 'A', kind = 'whole' }\nis = 'greater'\nvalue = -5";
    assert_eq!(fixture.judge(study).missing.len(), 1);
    let row = |seed: usize| format!("c/A{seed},whole,0.60{seed}\nc/A{seed},single,0.59\nc/A{seed},single,0.58\n");
    fixture.write("studies/lesion/c-1.csv", &format!("run,kind,top1\n{}{}", row(0), row(1)));
    fixture.write("studies/lesion/c-2.csv", &format!("run,kind,top1\n{}other/A1,single,0.1\n", row(2)));
    let judged = fixture.judge(study);
    assert_eq!((judged.verdict, judged.findings[0].estimate.n(), judged.tables.len()), (Verdict::Supported, 3, 3));
    assert!((judged.findings[0].estimate.effect().unwrap() + 1.6).abs() < 1e-9);
    let ensemble = "measure = 'test_top1'\nof = { model.shortcut = 'A' }\nis = 'less'\nagainst = { members = 5 }\n\
                    against_table = 'studies/ensemble/c.csv'\nagainst_measure = 'top1'";
    assert_eq!(fixture.judge(ensemble).verdict, Verdict::NotRun);
    fixture.write("studies/ensemble/c.csv", "run,members,top1\nx,1,0.61\nx,5,0.66\n");
    let judged = fixture.judge(ensemble);
    assert_eq!((judged.verdict, judged.findings[0].estimate.n()), (Verdict::Supported, 3));
    let one = |commands: Vec<Vec<String>>| -> Vec<String> {
        assert_eq!(commands.len(), 1);
        commands.concat()
    };
    let words = one(judged.commands("study lesion {runs:model.shortcut=A} -o draws=1"));
    assert_eq!((words.len(), words[2].starts_with("c/"), words[5].as_str()), (7, true, "-o"));
    let each = judged.commands("study landscape {each:model.shortcut=A} -o points=1");
    assert_eq!(each.iter().map(|command| command[2].clone()).collect::<Vec<_>>(), words[2..5]);
    assert!(each.iter().all(|command| command.len() == 5 && command[3] == "-o"));
    // A run that diverged has no weights to study.
    let key = words[2].trim_start_matches("c/");
    let row = format!("A,0,c,{key},diverged,10,,1.0");
    fixture
        .write("sweeps/c/table.csv", &format!("model.shortcut,seed,name,key,status,macs,test_top1,seconds\n{row}\n"));
    let rest = one(fixture.judge(study).commands("study lesion {runs:model.shortcut=A} -o draws=1"));
    assert_eq!(rest[2..], words[3..]);
}
