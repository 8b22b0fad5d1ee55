//! Runs on several ranks, which the tests start as a launcher does: by environment variables.

use crate::place::{Place, Ran, Run};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Three epochs of four steps, without batch normalisation, in fp32.
const PLAIN: &str = r#"
[data]
dataset = "synthetic"
validation = 101
limit = 100

[model]
input = [1, 10, 10]
norm = "none"
rows = [
  { op = "conv", kernel = 3, width = 4 },
  { op = "global_avg_pool" },
  { op = "classifier" },
]

[train]
epochs = 3
batch = 25
lr = 0.05
precision = "fp32"
ema = 0.5
clip_norm = 1.0
"#;

/// With normalisation over all ranks, in blocks of which some are skipped; the last batch has an image for one rank only.
fn normalised() -> String {
    let rows = "{ op = \"conv\", kernel = 3, width = 4 },\n  { op = \"basic\", width = 4 },";
    let text = PLAIN.replace("norm = \"none\"\n", "").replace("{ op = \"conv\", kernel = 3, width = 4 },", rows);
    text.replace("batch = 25", "batch = 33").replace("[train]", "[train]\nsync_bn = true")
}

/// With gradients of 2 MiB, which are added up in two buckets where [`IN_BUCKETS`] is set.
fn wide() -> String {
    let rows = "{ op = \"conv\", kernel = 3, width = 240, stride = 2 },\n  { op = \"conv\", kernel = 3, width = 240 },";
    PLAIN.replace("{ op = \"conv\", kernel = 3, width = 4 },", rows)
}

const IN_BUCKETS: (&str, &str) = ("STRATA_BUCKET_MIB", "1");

fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// A rank of `strata train FILE …` in this place.
fn rank(place: &Place, arguments: &[&str], number: usize, world: &str, port: &str) -> Command {
    let mut command = place.command(&[&["train"], arguments].concat());
    command.env("RANK", number.to_string()).env("WORLD_SIZE", world).env("STRATA_RANKS_TIMEOUT", "60");
    command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ended(child: Child) -> Ran {
    Ran::from(child.wait_with_output().unwrap())
}

/// Runs all ranks, of which one may have a fault injected.
fn train(place: &Place, arguments: &[&str], world: usize, fault: Option<(usize, &str)>) -> Vec<Ran> {
    train_with(place, arguments, world, fault, &[])
}

/// As [`train`], with further environment variables.
fn train_with(
    place: &Place,
    arguments: &[&str],
    world: usize,
    fault: Option<(usize, &str)>,
    variables: &[(&str, &str)],
) -> Vec<Ran> {
    let port = free_port();
    let start = |number| {
        let mut command = rank(place, arguments, number, &world.to_string(), &port);
        if let Some((_, fault)) = fault.filter(|(of, _)| *of == number) {
            command.env("STRATA_FAULT", fault);
        }
        command.envs(variables.iter().copied()).spawn().unwrap()
    };
    let children: Vec<Child> = (0..world).map(start).collect();
    children.into_iter().map(ended).collect()
}

/// Waits until the run has a row.
fn wait_for_an_epoch(place: &Place) {
    let begun = Instant::now();
    // The experiment's folder is made before the run's folder in it.
    let has_row = || {
        place.path("results/runs/plain").exists()
            && place.runs("plain").iter().any(|run| run.join("epochs.csv").exists())
    };
    while !has_row() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn trained(world: usize) -> (Place, Run) {
    trained_on(PLAIN, world)
}

fn trained_on(text: &str, world: usize) -> (Place, Run) {
    let place = Place::new();
    place.file("plain.toml", text);
    for ran in train(&place, &["plain.toml"], world, None) {
        ran.good();
    }
    let run = place.run("plain");
    (place, run)
}

/// Numbers of a table by column, accuracies and losses alike.
fn numbers(run: &Run) -> Vec<f64> {
    let rows = run.epochs();
    rows.iter()
        .skip(1)
        .flat_map(|row| row.split(',').map(|cell| cell.parse::<f64>().unwrap()).collect::<Vec<_>>())
        .collect()
}

#[test]
fn two_ranks_give_the_table_of_one() {
    let place = Place::trained("plain", PLAIN);
    let one = place.run("plain");
    let (_there, two) = trained(2);
    assert_ne!(one.key(), two.key(), "the number of ranks is part of the key");
    assert_eq!(two.summary()["train.ranks"], "2");
    assert!(!one.summary().contains_key("train.ranks"));
    assert_eq!(one.summary()["test_total"], two.summary()["test_total"], "no image counts twice");
    let (one, two) = (numbers(&one), numbers(&two));
    assert_eq!(one.len(), two.len());
    // Accuracies are of 100 images: rounding may move one across.
    assert!(one.iter().zip(&two).all(|(a, b)| (a - b).abs() < 0.011), "{one:?}\n{two:?}");
}

#[test]
fn ranks_that_normalise_together_give_the_table_of_one() {
    let text = normalised();
    let place = Place::trained("plain", &text);
    let one = place.run("plain");
    let (_there, two) = trained_on(&text, 2);
    let losses = |run: &Run| -> Vec<f64> {
        let rows = run.epochs();
        rows.iter().skip(1).flat_map(|row| [3, 6].map(|at| row.split(',').nth(at).unwrap().parse().unwrap())).collect()
    };
    let apart = |two: &Run| {
        let (one, two) = (losses(&one), losses(two));
        assert_eq!((one.len(), two.len()), (6, 6));
        one.iter().zip(&two).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    assert_eq!(two.summary()["train.sync_bn"], "true");
    assert!(apart(&two) < 1e-4, "{}", apart(&two));
    let (_there, each_by_itself) = trained_on(&text.replace("sync_bn = true", ""), 2);
    assert!(apart(&each_by_itself) > 1e-3, "{}: the test cannot tell them apart", apart(&each_by_itself));
    // Ranks that each skipped blocks of their own would wait for each other.
    let depth = "[model]\nstochastic_depth = { survival = 0.5 }";
    let (_there, skipping) = trained_on(&text.replace("[model]", depth), 2);
    assert_eq!(skipping.summary()["status"], "done");
}

#[test]
fn only_the_first_rank_speaks_and_a_finished_run_is_skipped_by_all() {
    let (place, run) = trained(3);
    let before = run.read("run.json");
    let [first, second, third] = <[Ran; 3]>::try_from(train(&place, &["plain.toml"], 3, None)).ok().unwrap();
    assert!(first.good().contains("finished before"));
    assert_eq!((second.good() + &third.good()).as_str(), "");
    assert_eq!(run.read("run.json"), before);
}

/// A killed rank ends the others within seconds; run again, the ranks come to the result of a run that was never killed.
#[test]
fn a_killed_rank_ends_all_and_the_run_is_resumed() {
    let (_whole, whole) = trained(2);
    for killed in [1, 0] {
        let place = Place::new();
        place.file("plain.toml", PLAIN);
        let begun = Instant::now();
        let ran = train(&place, &["plain.toml"], 2, Some((killed, "step:7:kill")));
        assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
        let left = &ran[1 - killed];
        assert_eq!(left.code, Some(1), "{}", left.err);
        assert!(left.err.contains(&format!("error: rank {killed}")), "{}", left.err);
        assert!(left.err.contains("the same command resumes the run"), "{}", left.err);
        for ran in train(&place, &["plain.toml"], 2, None) {
            ran.good();
        }
        let run = place.run("plain");
        assert_eq!(run.epochs(), whole.epochs());
        assert!(run.result() == whole.result(), "weights or summary differ");
    }
}

#[test]
fn a_signal_to_one_rank_stops_all_at_the_same_step() {
    let place = Place::new();
    place.file("plain.toml", PLAIN.replace("epochs = 3", "epochs = 3000"));
    let port = free_port();
    let children: Vec<Child> =
        (0..2).map(|number| rank(&place, &["plain.toml"], number, "2", &port).spawn().unwrap()).collect();
    wait_for_an_epoch(&place);
    assert!(Command::new("kill").args(["-INT", &children[1].id().to_string()]).status().unwrap().success());
    for child in children {
        let ran = ended(child);
        assert_eq!(ran.code, Some(130), "{}", ran.err);
    }
    assert_eq!(place.run("plain").summary()["status"], "interrupted");
}

/// As above, where sums are under way in the background: among three ranks their order of additions depends on the buckets.
#[test]
fn a_rank_killed_while_buckets_are_added_up() {
    let start = || {
        let place = Place::new();
        place.file("wide.toml", wide());
        place
    };
    let whole = start();
    for ran in train_with(&whole, &["wide.toml"], 3, None, &[IN_BUCKETS]) {
        ran.good();
    }
    for killed in [2, 0] {
        let place = start();
        let begun = Instant::now();
        let ran = train_with(&place, &["wide.toml"], 3, Some((killed, "step:7:kill")), &[IN_BUCKETS]);
        assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
        for left in (0..3).filter(|&rank| rank != killed).map(|rank| &ran[rank]) {
            assert_eq!(left.code, Some(1), "{}", left.err);
            assert!(left.err.contains(&format!("rank {killed} ended or does not answer")), "{}", left.err);
        }
        for ran in train_with(&place, &["wide.toml"], 3, None, &[IN_BUCKETS]) {
            ran.good();
        }
        let (run, whole) = (place.run("wide"), whole.run("wide"));
        assert_eq!(run.epochs(), whole.epochs());
        assert!(run.result() == whole.result(), "weights or summary differ");
    }
}

/// Nothing closes its connections, so only the timeout tells.
#[test]
fn a_stopped_rank_ends_the_others_after_the_timeout() {
    for (stopped, text, buckets) in [(1, PLAIN, "0"), (0, PLAIN, "0"), (1, wide().as_str(), "1")] {
        let place = Place::new();
        place.file("plain.toml", text.replace("epochs = 3", "epochs = 3000"));
        let port = free_port();
        let start = |number| {
            let mut command = rank(&place, &["plain.toml"], number, "2", &port);
            command.env("STRATA_RANKS_TIMEOUT", "8").env(IN_BUCKETS.0, buckets).spawn()
        };
        let mut children: Vec<Child> = (0..2).map(|number| start(number).unwrap()).collect();
        wait_for_an_epoch(&place);
        let signal = |name: &str, child: &Child| {
            assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
        };
        signal("-STOP", &children[stopped]);
        let left = ended(children.remove(1 - stopped));
        signal("-KILL", &children[0]);
        children[0].wait().unwrap();
        assert_eq!(left.code, Some(1), "{}", left.err);
        assert!(left.err.contains(&format!("error: rank {stopped} ended or does not answer")), "{}", left.err);
    }
}

#[test]
fn a_rank_with_another_experiment_is_named() {
    let place = Place::new();
    place.file("plain.toml", PLAIN);
    let port = free_port();
    let first = rank(&place, &["plain.toml"], 0, "2", &port).spawn().unwrap();
    let second = rank(&place, &["plain.toml", "--set", "train.lr=0.1"], 1, "2", &port).spawn().unwrap();
    ended(second).refused(&["rank 1 has another experiment"]);
    let first = ended(first);
    assert_eq!(first.code, Some(1), "{}", first.err);
    assert!(first.err.contains("error: rank 1 failed: rank 1 has another experiment"), "{}", first.err);
}

#[test]
fn a_rank_with_other_buckets_is_named() {
    let place = Place::new();
    place.file("plain.toml", PLAIN);
    let port = free_port();
    let first = rank(&place, &["plain.toml"], 0, "2", &port).spawn().unwrap();
    let second = rank(&place, &["plain.toml"], 1, "2", &port).env(IN_BUCKETS.0, IN_BUCKETS.1).spawn().unwrap();
    ended(second).refused(&["rank 1 has another STRATA_BUCKET_MIB than rank 0"]);
    ended(first);
}

#[test]
fn what_a_launcher_may_get_wrong_is_said_before_anything_runs() {
    let place = Place::with_tiny();
    let alone = |number, world, port: &str, arguments: &[&str]| {
        let mut command = rank(&place, arguments, number, world, port);
        Ran::from(command.env("STRATA_RANKS_TIMEOUT", "2").output().unwrap())
    };
    alone(2, "2", "29500", &["tiny.toml"]).refused(&["RANK=2 is not below WORLD_SIZE=2"]);
    alone(0, "two", "29500", &["tiny.toml"]).refused(&["WORLD_SIZE=two is not a number"]);
    alone(0, "2", "no", &["tiny.toml"]).refused(&["MASTER_PORT=no is not a port"]);
    alone(0, "3", &free_port(), &["tiny.toml"]).refused(&["rank 0 of 3 cannot meet the others", "within 2 s"]);
    alone(0, "99", &free_port(), &["tiny.toml"]).refused(&["ranks"]);
    let held = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    alone(0, "2", &port, &["tiny.toml"]).refused(&["is in use", "MASTER_PORT"]);
    place.strata(&["train", "tiny.toml", "--set", "train.ranks=2"]).refused(&["train.ranks = 2", "torchrun"]);
    assert!(!place.path("results").exists());
    // Ranks that were told of different numbers: the second to meet says so.
    let port = free_port();
    let mut first = rank(&place, &["tiny.toml"], 0, "2", &port).spawn().unwrap();
    let second = alone(1, "3", &port, &["tiny.toml"]);
    assert_eq!(second.code, Some(2), "{}", second.err);
    first.kill().unwrap();
    let said = second.err + &ended(first).err;
    assert!(said.contains("1 was told of 3 ranks, another of 2") || said.contains("0 was told of 2 ranks"), "{said}");
}
