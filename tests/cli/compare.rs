//! `strata compare` and `strata diff`.

use super::place::{Place, TINY};
use std::fs;

/// Runs of two depths under three seeds, as a run leaves them; one of the six has not ended.
fn place() -> Place {
    let place = Place::new();
    for (depth, base) in [(8, 0.5), (14, 0.7)] {
        for seed in 0..3 {
            let folder = format!("results/runs/net{depth}/{depth}{seed}");
            let ended = (depth, seed) != (14, 2);
            let head = format!("name = \"net{depth}\"\nseed = {seed}\n");
            let experiment = match ended {
                true => format!("{head}{}", TINY.replace("depth = 8", &format!("depth = {depth}"))),
                false => format!("{head}[model]\ndepth = {depth}\n"),
            };
            place.file(&format!("{folder}/experiment.toml"), experiment);
            let top1 = base + 0.01 * f64::from(seed * seed);
            let row =
                |epoch: i32, top1: f64| format!("{epoch},{epoch},0.05,2,0.1,0.5,2,{top1:.6},0.9,1.000,100.0,50\n");
            let header = strata::runs::Epochs::header();
            place.file(&format!("{folder}/epochs.csv"), format!("{header}\n{}{}", row(1, top1), row(2, top1 - 0.1)));
            if ended {
                let summary = format!(
                    "name,key,status,seed,params,macs,val_top1,test_top1,git,model.depth\n\
                     net{depth},{depth}{seed},done,{seed},1000{depth},20000,{top1:.6},{top1:.6},abc{seed},{depth}\n"
                );
                place.file(&format!("{folder}/summary.csv"), summary);
            }
        }
    }
    place
}

#[test]
fn compare_without_a_path_shows_all_runs() {
    let out = place().strata(&["compare"]).good();
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[1].contains("net14") && lines[2].contains("net8"), "the best first: {out}");
    assert!(lines[2].contains("51.67 ± 2.08 (3)") && lines[2].contains("10 008"), "{out}");
    assert!(lines[1].contains("70.50 ± 0.71 (2)") && lines[1].contains("2 done, 1 interrupted"), "{out}");
    assert!(!["macs", "git", "val_loss"].iter().any(|column| lines[0].contains(column)), "{out}");
    assert!(out.contains("means are those of finished runs"), "{out}");
}

#[test]
fn columns_of_epochs_and_differences_in_every_format() {
    let place = place();
    let columns = "model.depth, max val_top1,epoch of max  val_top1,final train_loss";
    let csv = place.strata(&["compare", "--columns", columns, "--format", "csv", "--sort", "-max val_top1"]).good();
    assert!(
        csv.starts_with("model.depth,n,max val_top1_mean,max val_top1_std,max val_top1_low,max val_top1_high,epoch of max val_top1_mean,"),
        "{csv}"
    );
    assert!(csv.lines().nth(1).unwrap().starts_with("14,2,0.705000,0.00707"), "{csv}");
    let csv = place.strata(&["compare", "--baseline", "net8", "--format", "csv"]).good();
    assert!(csv.lines().nth(1).unwrap().ends_with(",0.200000,0.200000,0.200000,2,yes"), "{csv}");
    let markdown = place.strata(&["compare", "--format", "markdown", "--where", "model.depth=8", "--all"]).good();
    assert!(markdown.lines().nth(1).unwrap().starts_with("|--") && markdown.contains("abc0, abc1, abc2"), "{markdown}");
    // What programs are given is a table that can be compared again.
    place.file("again.csv", place.strata(&["compare", "--format", "csv"]).good());
    assert!(place.strata(&["compare", "again.csv", "--top", "1"]).good().contains("net14"));
}

#[test]
fn epochs_are_a_long_table() {
    let place = place();
    let csv = place.strata(&["compare", "net14", "--epochs", "--format", "csv"]).good();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], format!("name,key,seed,{}", strata::runs::Epochs::header()));
    assert_eq!(lines.len(), 7, "two epochs of each of three runs: {csv}");
    assert!(lines[1].starts_with("net14,140,0,1,1,0.05,2,0.100000,") && lines[1].contains(",0.700000,"), "{csv}");
    let table = place.strata(&["compare", "--epochs", "--format", "markdown"]).good();
    assert!(table.contains("val_top1 (%)") && table.contains(" 70.00 |") && table.lines().count() == 14, "{table}");
    assert!(place.strata(&["compare", "--epochs"]).good().lines().all(|line| line.chars().count() <= 100));
    place.file("foreign.csv", "net,acc\nx,0.5\n");
    place.strata(&["compare", "foreign.csv", "--epochs"]).refused(&["--epochs shows the epochs.csv"]);
}

#[test]
fn other_tables_are_not_among_runs() {
    let place = place();
    place.file("results/bench/table.csv", "network,ms\nresnet50,3\nvgg11,4\n");
    let ran = place.strata(&["compare", "-v"]);
    assert!(ran.err.contains("results/bench/table.csv is left out") && !ran.out.contains("resnet50"), "{}", ran.err);
    assert_eq!(place.strata(&["compare"]).err, "");
    assert!(place.strata(&["compare", "results/bench"]).good().contains("resnet50"));
    place.file("experiments/resnet20.toml", TINY);
    place.strata(&["compare", "resnet20"]).refused(&["`resnet20` has not run yet: `strata train resnet20` runs it"]);
}

#[test]
fn curves_are_drawn() {
    let place = place();
    place.strata(&["compare", "net8", "net14", "--plot", "curves.svg"]).good();
    let svg = fs::read_to_string(place.path("curves.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("net14"), "{svg}");
    // The depths have the same multiply-adds here, and parameters that differ.
    place.strata(&["compare", "--plot-cost", "cost.svg"]).good();
    let svg = fs::read_to_string(place.path("cost.svg")).unwrap();
    assert!(
        svg.contains("parameters") && svg.contains("depth=14: 70.50 %") && !svg.contains("multiply-adds ("),
        "{svg}"
    );
    let out = place.strata(&["compare", "net8", "--plot-cost", "x.svg"]).good();
    assert!(out.contains("net8") && out.contains("no picture of the cost") && !place.path("x.svg").exists(), "{out}");
    place.strata(&["compare", "net8", "--plot-cost", "-"]).refused(&["differ in `macs` or `params`"]);
    place.file("foreign.csv", "net,acc\nx,0.5\n");
    place.strata(&["compare", "foreign.csv", "--plot", "x.svg"]).refused(&["epochs.csv"]);
    place.strata(&["compare", "--plot", "nowhere/x.svg"]).refused(&["cannot write nowhere/x.svg: there is no folder"]);
    // A picture on standard output is not mixed with the table.
    let out = place.strata(&["compare", "net8", "net14", "--plot", "-"]).good();
    assert!(out.starts_with("<svg") && out.ends_with("</svg>\n"), "{out}");
}

#[test]
fn a_published_result_is_met_or_not() {
    let place = place();
    let path = "results/runs/net8/80/experiment.toml";
    let text = fs::read_to_string(place.path(path)).unwrap();
    place.file(path, format!("{text}[expect]\ntest_top1 = 0.6\nsource = \"Nobody, table 1\"\n"));
    let out = place.strata(&["compare", "net8"]).good();
    assert!(out.contains("60.00") && out.lines().nth(1).unwrap().trim_end().ends_with("no"), "{out}");
    assert!(out.contains("Nobody, table 1") && out.contains("at most 0.5 points below"), "{out}");
}

#[test]
fn a_published_result_that_is_written_down_after_the_run_is_taken_up() {
    let place = Place::trained("tiny", TINY);
    place.file("tiny.toml", format!("{TINY}[expect]\ntest_top1 = 0.999\nsource = 'Nobody'\n"));
    assert!(place.strata(&["train", "tiny.toml"]).good().contains("finished before"));
    let out = place.strata(&["compare", "tiny"]).good();
    assert!(out.contains("99.90") && out.contains("Nobody"), "{out}");
    // Another takes its place whole.
    place.file("tiny.toml", format!("{TINY}[expect]\ntest_top5 = 0.888\nsource = 'Somebody'\n"));
    place.strata(&["train", "tiny.toml"]).good();
    let out = place.strata(&["compare", "tiny"]).good();
    assert!(out.contains("88.80") && out.contains("Somebody") && !out.contains("99.90"), "{out}");
    // A file without one forgets nothing.
    place.file("tiny.toml", TINY);
    place.strata(&["train", "tiny.toml"]).good();
    assert_eq!(place.strata(&["compare", "tiny"]).good(), out);
}

#[test]
fn bad_words_to_compare_are_refused() {
    let place = place();
    place.strata(&["compare", "nett8"]).refused(&["there is nothing called `nett8`: did you mean `net8`?"]);
    place.strata(&["compare", "--where", "depth=8"]).refused(&["no column `depth`", "did you mean `model.depth`?"]);
    place.strata(&["compare", "--where", "depth"]).refused(&["`depth` is not a condition"]);
    place.strata(&["compare", "--columns", "max val_topl"]).refused(&["did you mean `val_top1`?"]);
    place.strata(&["compare", "--baseline", "net9"]).refused(&["no", "baseline `net9`", "did you mean `net8`?"]);
    place.strata(&["compare", "--top", "0"]).refused(&["--top"]);
    place.strata(&["compare", "--set", "seed=1"]).refused(&["`strata compare` reads none; --where COLUMN=VALUE"]);
    place.strata(&["report", "--set", "seed=1"]).refused(&["`strata report` reads none"]);
    place.file("broken.csv", "a,b\n1\n");
    place.strata(&["compare", "broken.csv"]).refused(&["broken.csv, line 2: this line has 1 cell"]);
    Place::new().strata(&["compare"]).refused(&["there is no run below results", "strata train"]);
}

/// Tables from elsewhere used to be able to clear the terminal.
#[test]
fn control_characters_do_not_reach_the_terminal() {
    let place = Place::new();
    place.file("evil.csv", "net,acc\n\u{1b}[2Jx,0.5\n\"a\nb\",0.6\n");
    let out = place.strata(&["compare", "evil.csv"]).good();
    assert!(!out.contains('\u{1b}') && out.lines().count() == 3, "{out:?}");
}

#[test]
fn diff_tells_what_differs() {
    let place = place();
    let out = place.strata(&["diff", "net8/80", "results/runs/net14/140"]).good();
    for part in ["model.depth", "  + basic", "multiply-adds", "val_top1", "+20 points, better", "results/runs/net8/80"]
    {
        assert!(out.contains(part), "`{part}` is missing:\n{out}");
    }
    assert!(!out.contains("train.lr") && out.contains("not compared without a run: environment"), "{out}");
    place.strata(&["diff", "net8", "net14"]).refused(&[
        "`net8` has several runs; name one of them",
        "net8/80",
        "net8@best",
    ]);
    place.strata(&["diff", "net8/80", "net15"]).refused(&["nothing called `net15`", "did you mean `net14`?"]);
    place.file("experiments/a.toml", TINY);
    place.file("b.toml", TINY.replace("lr = 0.05", "lr = 0.1"));
    let out = place.strata(&["diff", "a", "b.toml"]).good();
    assert!(out.contains("train.lr  0.05  0.1") && out.contains("equal: network, cost"), "{out}");
}
