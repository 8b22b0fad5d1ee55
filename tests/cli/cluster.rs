//! Sweeps under a scheduler: lists of points, single points, signals.

use super::place::{Place, Ran, TINY};
use std::fs;
use std::process::{Command, Stdio};
use strata::runs::{Record, Table};

fn place(sweep: &str) -> Place {
    let place = Place::new();
    place.file("grid.toml", format!("{TINY}{sweep}"));
    place
}

/// `table.csv` of the sweep without times.
fn table(place: &Place) -> Vec<Vec<String>> {
    let mut table = Table::read(&place.path("results/sweeps/grid/table.csv")).unwrap();
    let seconds = table.columns.iter().position(|column| column == "seconds").unwrap();
    table.rows.iter_mut().for_each(|row| drop(row.remove(seconds)));
    table.rows
}

#[test]
fn the_commands_of_a_list_make_the_tables_of_the_sweep() {
    let sweep = "[sweep]\nmodel.depth = [8, 14]\nseed = [0, 1]\n";
    let whole = place(sweep);
    whole.strata(&["sweep", "grid.toml"]).good();
    let place = place(sweep);
    let list = |place: &Place| {
        let out = place.strata(&["sweep", "grid.toml", "--list", "--format", "csv"]).good();
        let mut reader = csv::Reader::from_reader(out.as_bytes());
        let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let shown = [
            "index",
            "key",
            "model.depth",
            "seed",
            "params",
            "macs",
            "epochs",
            "estimated_seconds",
            "status",
            "command",
        ];
        assert_eq!(header, shown);
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect::<Vec<Vec<String>>>()
    };
    let points = list(&place);
    assert_eq!(points.iter().map(|point| point[0].as_str()).collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    assert!(points.iter().all(|point| point[7].is_empty() && point[8] == "to run"), "{points:?}");
    // All at once, as on a cluster; the first by its index.
    let mut commands: Vec<String> = points.iter().map(|point| point[9].clone()).collect();
    commands[0] = "strata sweep grid.toml --threads 1 --point 0".to_owned();
    let run = |line: &String| {
        let strata = env!("CARGO_BIN_EXE_strata");
        let mut command = Command::new("sh");
        command.args(["-c", &line.replacen("strata", strata, 1)]).current_dir(place.path(""));
        command
            .env("XDG_CACHE_HOME", place.path("cache"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    for child in commands.iter().map(run).collect::<Vec<_>>() {
        let out = Ran::from(child.wait_with_output().unwrap()).good();
        assert!(out.contains("grid: 1 of 1 point done"), "{out}");
    }
    assert_eq!(table(&place), table(&whole));
    let points = list(&place);
    assert!(points.iter().all(|point| !point[7].is_empty() && point[8] == "done"), "{points:?}");
    let again = place.strata(&["sweep", "grid.toml", "--point", "1"]);
    assert!(again.err.contains("1 of 1 point finished before"), "{}", again.err);
    place.strata(&["sweep", "grid.toml", "--point", "4"]).refused(&["an index of 0 to 3, not 4"]);
    place.strata(&["sweep", "grid.toml", "--point", "0123456789"]).refused(&["no point of grid has the key"]);
}

/// Slurm sends it to every process of a step, to the points as well as to the sweep.
#[test]
fn sigusr1_stops_like_ctrl_c_however_often_it_comes() {
    let place = Place::new();
    place.file("grid.toml", format!("{}[sweep]\nseed = [0]\n", TINY.replace("epochs = 2", "epochs = 2000")));
    let running = place.start("grid.toml");
    running.signal("USR1");
    running.signal("USR1");
    assert_eq!(running.wait().code(), Some(130));
    let run = place.run("grid");
    assert_eq!(Record::read(&run.folder).unwrap().text("status"), "interrupted");

    let mut sweep = place.command(&["sweep", "grid.toml", "--point", "0"]);
    let sweep = sweep.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let log = || std::fs::read_to_string(run.path("run.log")).unwrap_or_default();
    let start = std::time::Instant::now();
    while log().matches(" an epoch; ").count() < 2 && start.elapsed().as_secs() < 30 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let both = format!("kill -USR1 {} $(pgrep -P {})", sweep.id(), sweep.id());
    assert!(Command::new("sh").args(["-c", &both]).status().unwrap().success());
    let ran = Ran::from(sweep.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(130), "{}", ran.err);
    assert!(!ran.err.contains("retried"), "{}", ran.err);
    assert_eq!(Record::read(&run.folder).unwrap().text("status"), "interrupted");
}

/// `strata sweep --slurm` with stand-ins for Slurm's commands (tests/data/slurm); `make cluster-test` runs it on Slurm itself.
fn on_slurm(place: &Place, arguments: &[&str]) -> Command {
    let commands = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/slurm");
    let queue = place.path("queue");
    std::fs::create_dir_all(&queue).unwrap();
    let mut command = place.command(&[&["sweep", "grid.toml", "--slurm", "--poll", "1"], arguments].concat());
    command.env("PATH", format!("{commands}:{}", std::env::var("PATH").unwrap())).env("QUEUE", queue);
    command
}

#[test]
fn a_sweep_on_slurm_has_the_tables_of_one_that_runs_here() {
    let sweep = "[sweep]\nmodel.depth = [8, 14]\nseed = [0, 1]\n";
    let whole = place(sweep);
    whole.strata(&["sweep", "grid.toml"]).good();
    let place = place(sweep);
    let arguments = ["--array", "3", "--time", "10:00", "--partition", "main", "--sbatch=--cpus-per-task=1"];
    let ran = Ran::from(on_slurm(&place, &arguments).output().unwrap());
    assert!(ran.err.contains("submitted 4 points") && ran.err.contains("sweep 4/4 "), "{}", ran.err);
    assert!(ran.good().contains("grid: 4 of 4 points done"));
    assert_eq!(table(&place), table(&whole));
    let submitted = std::fs::read_to_string(place.path("queue/sbatch.txt")).unwrap();
    for option in ["--array=0,1,2,3%3", "--time=10:00", "--partition=main --cpus-per-task=1", "--signal=USR1@120"] {
        assert!(submitted.contains(option), "{submitted}");
    }
    let again = Ran::from(on_slurm(&place, &[]).output().unwrap());
    assert!(again.err.contains("4 of 4 points finished before"), "{}", again.err);
    assert_eq!(submitted, std::fs::read_to_string(place.path("queue/sbatch.txt")).unwrap());
}

#[test]
fn a_task_without_a_result_is_submitted_again_and_then_given_up() {
    let place = place("[sweep]\nseed = [0]\n");
    // A task that ends at once, as on a node without the program.
    let commands = place.path("bin");
    std::fs::create_dir_all(&commands).unwrap();
    place.file("bin/srun", "#!/bin/sh\nexit 9\n");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(place.path("bin/srun"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = on_slurm(&place, &[]);
    let path = command.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap().to_owned();
    command.env("PATH", format!("{}:{}", commands.display(), path.display()));
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(
        ran.err.contains("retried later") && ran.err.contains("left Slurm's queue without a result"),
        "{}",
        ran.err
    );
    assert_eq!(std::fs::read_to_string(place.path("queue/sbatch.txt")).unwrap().lines().count(), 2);
}

/// Nine settings of a few seconds, of which a third goes on after one epoch and a third of these after two.
const HALVING: &str = "[sweep]\ntrain.lr = [0.0001, 0.1, 0.001, 0.02, 0.01, 0.05, 0.0005, 0.2, 0.005]\nseed = [0, 1]\n\
                       [sweep.halving]\nrungs = [1, 2]\nkeep = '1/3'\n";

fn halving_place(asynchronous: bool) -> Place {
    let place = Place::new();
    let tiny = TINY.replace("epochs = 2", "epochs = 3");
    place.file("grid.toml", format!("{tiny}{HALVING}asynchronous = {asynchronous}\n"));
    place
}

fn decisions(place: &Place) -> String {
    std::fs::read_to_string(place.path("results/sweeps/grid/halving.csv")).unwrap()
}

#[test]
fn halving_trains_the_best_to_the_end_however_it_is_run() {
    for asynchronous in [false, true] {
        let one = halving_place(asynchronous);
        let ran = one.strata(&["sweep", "grid.toml"]);
        assert!(ran.err.contains("at the rung of epoch 1"), "{}", ran.err);
        let out = ran.good();
        assert!(out.contains("stopped at a rung →") && !out.contains("not finished"), "{out}");
        let csv = decisions(&one);
        assert!(csv.starts_with("rung,train.lr,val_top1_median,decision\n1,0.0001,"), "{csv}");
        assert!(csv.contains(",continues\n") && csv.contains(",stops\n"), "{csv}");
        if !asynchronous {
            assert_eq!((csv.matches("\n1,").count(), csv.matches("\n2,").count()), (9, 3), "{csv}");
            assert_eq!(table(&one).iter().filter(|row| row.contains(&"done".to_owned())).count(), 2);
        }
        // With several jobs, stopped and gone on with.
        let other = halving_place(asynchronous);
        let command = |place: &Place| {
            let mut command = place.command(&["sweep", "grid.toml", "--jobs", "3"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let sweep = command(&other);
        let start = std::time::Instant::now();
        while !other.path("results/sweeps/grid/halving.csv").exists() || decisions(&other).lines().count() < 3 {
            assert!(start.elapsed().as_secs() < 60);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(Command::new("kill").args(["-INT", &sweep.id().to_string()]).status().unwrap().success());
        let _ = Ran::from(sweep.wait_with_output().unwrap());
        Ran::from(command(&other).wait_with_output().unwrap()).good();
        assert_eq!(decisions(&other), csv);
        assert_eq!(table(&other), table(&one));
    }
    let slurm = halving_place(false);
    Ran::from(on_slurm(&slurm, &[]).output().unwrap()).good();
    assert_eq!(table(&slurm).iter().filter(|row| row.contains(&"done".to_owned())).count(), 2);
}

#[test]
fn rungs_and_fractions_are_checked() {
    let place = Place::new();
    for (keys, told) in [
        ("rungs = [2, 1]\nkeep = 0.5", "in ascending order"),
        ("rungs = [2]\nkeep = 0.5", "runs have 2 epochs, so a rung is at most 1"),
        ("rungs = [1]\nkeep = 3", "`keep` is a fraction between 0 and 1, not 3"),
        ("rungs = [1]\nkeep = 0.5\nby = 'lr'", "`by` is one of val_top1"),
        ("rungs = [1]\nkeep = 0.5\nkept = 1", "kept"),
    ] {
        place.file("grid.toml", format!("{TINY}[sweep]\nseed = [0]\n[sweep.halving]\n{keys}\n"));
        place.strata(&["sweep", "grid.toml", "--dry-run"]).refused(&[told, "grid.toml:"]);
    }
}

#[test]
fn a_finished_run_goes_on_as_if_it_had_been_longer() {
    let logged = format!("{TINY}keep_every = 1\nlog_every = 1\nlog_gradients = 2\n");
    let whole = Place::trained("tiny", &logged.replace("epochs = 2", "epochs = 5"));
    let place = Place::trained("tiny", &logged);
    let parent = place.run("tiny").key().to_owned();
    place.strata(&["train", "tiny.toml", "--epochs-more", "3"]).good();
    let key = whole.run("tiny").key().to_owned();
    let run = super::place::Run { folder: place.path("results/runs/tiny").join(&key) };
    let whole = whole.run("tiny");
    assert_eq!(run.result(), whole.result());
    for file in ["steps.csv", "gradients.csv"] {
        assert_eq!(run.read(file), whole.read(file), "{file}");
    }
    for epoch in 0..=5 {
        let weights = format!("weights/epoch-{epoch:04}.safetensors");
        assert!(fs::read(run.path(&weights)).unwrap() == fs::read(whole.path(&weights)).unwrap(), "{weights}");
    }
    assert!(run.read("run.json").contains(&format!("\"parent\": \"tiny/{parent}\"")));
    // The parent is as it was, and the longer run is an ordinary one.
    assert!(place.strata(&["train", "tiny.toml"]).good().contains("finished before"));
    assert!(place.strata(&["train", "tiny.toml", "--set", "train.epochs=5"]).good().contains("finished before"));
    place
        .strata(&["train", "tiny.toml", "--set", "train.schedule=cosine", "--epochs-more", "1"])
        .refused(&["its schedule ends with its last epoch"]);
    place.strata(&["train", "tiny.toml", "--set", "seed=7", "--epochs-more", "1"]).refused(&["it is not finished"]);
}
