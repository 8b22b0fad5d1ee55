//! What a comparison must hold, on tables written here.

use super::*;
use crate::runs::Origin;

fn records(text: &str) -> Records {
    let mut lines = text.trim().lines().map(|line| line.trim().split(',').map(str::to_owned).collect::<Vec<_>>());
    let table = Table { columns: lines.next().unwrap(), rows: lines.collect() };
    let ours = table.column("key").is_some();
    let origins = vec![Origin { ours, ..Origin::default() }; table.rows.len()];
    Records::new(table, origins)
}

/// Lines of the comparison, cells divided by `|`.
fn lines(text: &str, request: Request) -> Vec<String> {
    let comparison = compare(&mut records(text), &request).unwrap();
    std::iter::once(&comparison.table.columns).chain(&comparison.table.rows).map(|cells| cells.join("|")).collect()
}

fn error(text: &str, request: Request) -> String {
    compare(&mut records(text), &request).unwrap_err().to_string()
}

const RUNS: &str = "
    name,key,status,seed,epochs,val_top1,seconds,train.lr,train.batch
    plain,a0,done,0,2,0.50,9,0.1,64
    plain,a1,done,1,2,0.60,8,0.1,64
    plain,a2,done,2,2,0.70,9,0.1,64
    resnet,b0,done,0,2,0.71,9,0.1,64
    resnet,b1,done,1,2,0.80,8,0.1,64
    resnet,b2,done,2,2,0.92,9,0.1,64
    resnet,c0,done,0,2,0.40,9,0.5,64";

#[test]
fn seeds_are_one_line_and_only_what_differs_is_shown() {
    let lines = lines(RUNS, Request::default());
    let expected = [
        "name|train.lr|val_top1 (%)",
        "resnet|0.1|81.00 ± 10.54 (3)",
        "plain|0.1|60.00 ± 10.00 (3)",
        "resnet|0.5|40.00 (1)",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn programs_get_numbers_in_columns() {
    let lines = lines(RUNS, Request { plain: true, top: Some(1), ..Request::default() });
    assert_eq!(
        lines,
        [
            "name|train.lr|n|val_top1_mean|val_top1_std|val_top1_low|val_top1_high",
            "resnet|0.1|3|0.810000|0.105357|0.548280|1.071720"
        ]
    );
}

/// A table of means that is compared again used to become one with two columns of a name, which nothing can read.
#[test]
fn a_mean_does_not_take_the_name_of_a_column_that_is_there() {
    let table = "
        name,seed,val_top1_mean,val_top1
        plain,0,unknown,0.5
        plain,1,unknown,0.6";
    let columns = ["val_top1_mean", "val_top1"].map(str::to_owned).to_vec();
    let by = Some(vec!["name".to_owned()]);
    let lines = lines(table, Request { plain: true, by, columns: Some(columns), ..Request::default() });
    let columns: Vec<&str> = lines[0].split('|').filter(|column| column.starts_with("val_top1_mean")).collect();
    assert_eq!(columns, ["val_top1_mean", "val_top1_mean_2"], "{lines:?}");
}

#[test]
fn every_run_can_have_its_line() {
    let request = Request { runs: true, sort: Some(("seed".to_owned(), true)), top: Some(2), ..Request::default() };
    assert_eq!(
        lines(RUNS, request),
        ["name|train.lr|seed|val_top1 (%)|key", "plain|0.1|2|70.00|a2", "resnet|0.1|2|92.00|b2"]
    );
}

/// Differences 0.21, 0.20, 0.22: the mean is 0.21, the deviation 0.01, so that the half width is 4.302653 · 0.01 / √3.
#[test]
fn differences_are_paired_at_equal_seeds() {
    let request = Request { baseline: vec!["plain".to_owned()], plain: true, ..Request::default() };
    let all = lines(RUNS, request.clone());
    let columns = "delta_val_top1_mean|delta_val_top1_low|delta_val_top1_high|delta_val_top1_n|differs";
    assert!(all[0].ends_with(columns), "{all:?}");
    assert!(all[1].ends_with("|0.210000|0.185159|0.234841|3|yes"), "{all:?}");
    assert!(all[2].ends_with("|3|0.600000|0.100000|0.351586|0.848414|||||"), "the baseline itself: {all:?}");
    assert!(all[3].ends_with("|-0.100000|||1|–"), "one pair has no interval: {all:?}");
    let noise = RUNS.replace("0.92", "0.20");
    assert!(lines(&noise, request.clone()).iter().any(|line| line.ends_with("|3|noise")));
    let people = lines(RUNS, Request { plain: false, sort: Some(("delta".to_owned(), false)), ..request });
    assert_eq!(people[0], "name|train.lr|val_top1 (%)|Δ val_top1 (%)|95 % interval|differs");
    assert_eq!(people[2], "resnet|0.1|81.00 ± 10.54 (3)|+21.00 (3)|[+18.52, +23.48]|yes");
    assert!(people[3].contains("|baseline|"), "without a difference last: {people:?}");
}

/// 0.3 - 0.2 is not 0.4 - 0.3 in binary: such rests used to be taken for a difference, and written with eight digits.
#[test]
fn rests_of_rounding_are_no_difference() {
    let text = "
        net,seed,val_acc
        a,0,0.1
        a,1,0.3
        b,0,0.30000000000000004
        b,1,0.5";
    let request = Request { baseline: vec!["net=a".to_owned()], ..Request::default() };
    assert!(lines(text, request.clone())[1].ends_with("|+0.2000 (2)|[+0.2000, +0.2000]|yes"));
    let same = text.replace("0.30000000000000004", "0.10000000000000002").replace("0.5", "0.3");
    let lines = lines(&same, request);
    assert!(lines.iter().any(|line| line.ends_with("|+0.0000 (2)|[+0.0000, +0.0000]|noise")), "{lines:?}");
}

#[test]
fn a_baseline_of_several_depths_is_that_of_the_same_depth() {
    let text = "
        name,key,seed,val_top1,model.depth,model.shortcut
        plain20,a,0,0.50,20,none
        plain56,b,0,0.40,56,none
        resnet20,c,0,0.55,20,A
        resnet56,d,0,0.60,56,A";
    for baseline in ["name~plain", "model.shortcut=none"] {
        let request = Request { baseline: vec![baseline.to_owned()], plain: true, ..Request::default() };
        let lines = lines(text, request);
        assert!(lines[1].starts_with("resnet56|") && lines[1].contains("|0.200000|"), "{lines:?}");
        assert!(lines[2].starts_with("resnet20|") && lines[2].contains("|0.050000|"), "{lines:?}");
    }
    let request = Request { baseline: vec!["seed=0".to_owned()], ..Request::default() };
    assert!(error(&text.replace("resnet20,c,0", "resnet20,c,1"), request).contains("is 3 experiments"));
}

#[test]
fn a_baseline_that_is_not_there_is_told_what_is() {
    let text = "
        name,key,seed,val_top1,model.depth,model.shortcut
        deg,a,0,0.50,20,none
        deg,b,0,0.40,56,none
        deg,c,0,0.55,20,A";
    let refused = |baseline: &str| error(text, Request { baseline: vec![baseline.to_owned()], ..Request::default() });
    let told = refused("name~plain");
    assert!(told.ends_with("`name` is deg; `model.depth` is 20, 56; `model.shortcut` is none, A"), "{told}");
    assert!(refused("model.shortcut=B").ends_with(": `model.shortcut` is none, A"), "{}", refused("model.shortcut=B"));
}

#[test]
fn an_order_by_differences_needs_a_baseline() {
    let sort = Some(("delta".to_owned(), false));
    assert!(error(RUNS, Request { sort: sort.clone(), ..Request::default() }).contains("--baseline NAME"));
    let foreign = "net,delta\na,2\nb,1";
    assert!(lines(foreign, Request { sort, ..Request::default() })[1].starts_with('b'));
}

/// The interval [-0.00002, 0.38...] holds zero, which two decimals do not show.
#[test]
fn zero_has_no_minus_and_an_end_near_it_has_digits() {
    let text = |b: [f64; 2]| format!("net,seed,val_top1\na,0,0.1\na,1,0.1\nb,0,{}\nb,1,{}", 0.1 + b[0], 0.1 + b[1]);
    let row = |b: [f64; 2]| {
        let request = Request { baseline: vec!["net=a".to_owned()], ..Request::default() };
        lines(&text(b), request).into_iter().find(|line| line.starts_with("b|")).unwrap()
    };
    // Mean m and deviation s of two: the half width is 12.7062 s / √2.
    let end = |low: f64| {
        let (mean, half) = (0.2, 0.2 - low);
        let deviation = half * 2f64.sqrt() / 12.706_204_736;
        [mean - deviation / 2f64.sqrt(), mean + deviation / 2f64.sqrt()]
    };
    assert!(row(end(-0.000_02)).ends_with("|[-0.002, +40.002]|noise"), "{}", row(end(-0.000_02)));
    assert!(row(end(0.000_02)).ends_with("|[+0.002, +39.998]|yes"), "{}", row(end(0.000_02)));
    assert!(row(end(0.01)).ends_with("|[+1.00, +39.00]|yes"), "{}", row(end(0.01)));
    assert!(row([-0.08, 0.079_99]).contains("|+0.00 "), "{}", row([-0.08, 0.079_99]));
}

#[test]
fn chosen_columns_stand_beside_what_tells_lines_apart() {
    let columns = Some(vec!["seconds".to_owned()]);
    let chosen = lines(RUNS, Request { columns: columns.clone(), ..Request::default() });
    assert_eq!(chosen[..2], ["name|train.lr|seconds", "resnet|0.1|8.67 ± 0.58 (3)"].map(str::to_owned));
    let runs = lines(RUNS, Request { columns: columns.clone(), runs: true, ..Request::default() });
    assert_eq!(runs[0], "name|train.lr|seed|seconds");
    let programs = lines(RUNS, Request { columns: columns.clone(), plain: true, ..Request::default() });
    assert_eq!(programs[0], "train.lr|n|seconds_mean|seconds_std|seconds_low|seconds_high");
    let by = Some(vec!["train.lr".to_owned()]);
    assert_eq!(lines(RUNS, Request { columns, by, ..Request::default() })[0], "name|train.lr|seconds");
    let best = RUNS.replace("seconds", "epoch of max val_top1").replace(",8,", ",9,");
    let columns = Some(vec!["epoch of max val_top1".to_owned()]);
    let best = lines(&best, Request { columns, ..Request::default() });
    assert_eq!(best[1], "resnet|0.1|9 ± 0 (3)");
}

#[test]
fn conditions_compare_numbers_as_numbers() {
    let left = |conditions: &[&str]| {
        let conditions = conditions.iter().map(|text| Where::parse(text).unwrap()).collect();
        lines(RUNS, Request { conditions, runs: true, ..Request::default() }).len() - 1
    };
    assert_eq!(left(&["train.lr=1e-1"]), 6);
    assert_eq!(left(&["train.lr!=0.1"]), 1);
    assert_eq!(left(&["name = plain", "val_top1 >= 0.6"]), 2);
    assert_eq!(left(&["name~RES"]), 4);
    assert_eq!(left(&["val_top1<0.5"]), 1);
    assert_eq!(left(&["seed<=1", "seed>0"]), 2);
    for text in ["train.lr", "=3", "", "name!plain"] {
        assert!(Where::parse(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_not_there_gets_the_nearest_name() {
    let condition = |text: &str| Request { conditions: vec![Where::parse(text).unwrap()], ..Request::default() };
    assert!(error(RUNS, condition("train.rl=1")).contains("there is no column `train.rl`: did you mean `train.lr`?"));
    assert!(error(RUNS, condition("batch=64")).contains("did you mean `train.batch`?"));
    assert!(error(RUNS, condition("train.lr=7")).contains("`train.lr` is one of 0.1, 0.5"));
    let columns = Some(vec!["max val_topl".to_owned()]);
    assert!(error(RUNS, Request { columns, ..Request::default() }).contains("did you mean `val_top1`?"));
    let sort = Some(("vall_top1".to_owned(), false));
    assert!(error(RUNS, Request { sort, ..Request::default() }).contains("did you mean `val_top1`?"));
    let baseline = vec!["plian".to_owned()];
    assert!(error(RUNS, Request { baseline, ..Request::default() }).contains("did you mean `plain`?"));
}

#[test]
fn tables_from_elsewhere_are_grouped_by_all_but_results_and_seed() {
    let text = "
        optimizer,weight decay,seed,val_acc,test error
        sgd,0,1,0.5,0.6
        sgd,0,2,0.7,0.4
        adam,0,1,0.8,0.1";
    let lines = lines(text, Request::default());
    assert_eq!(lines[0], "optimizer|val_acc|test error");
    assert_eq!(lines[1], "adam|0.8 (1)|0.1 (1)", "the best first");
    assert_eq!(lines[2], "sgd|0.60 ± 0.14 (2)|0.50 ± 0.14 (2)");
}

/// A point that has not run used to make a group of its own: its precision is not known yet.
#[test]
fn points_that_have_not_run_belong_to_their_group() {
    let text = "
        model.depth,name,key,status,seed,val_top1,precision
        8,net,a,done,0,0.5,fp32
        8,net,b,,1,,
        14,net,c,diverged,0,0.1,fp32
        14,net,d,done,1,0.9,fp32";
    let lines = lines(text, Request::default());
    assert_eq!(lines[1], "net|1 diverged, 1 done|14|90.00 (1)", "means are those of finished runs");
    assert_eq!(lines[2], "net|1 done, 1 –|8|50.00 (1)");
}

#[test]
fn groups_can_be_chosen() {
    let by = Some(vec!["train.lr".to_owned()]);
    let lines = lines(RUNS, Request { by, ..Request::default() });
    assert_eq!(lines[1], "plain, resnet|0.1|70.50 ± 14.72 (6)");
}

#[test]
fn published_results_stand_beside_ours() {
    let text = "
        name,key,seed,val_top1,test_top1,expect.test_top1,expect.source
        a,1,0,0.9,0.90,0.902,a paper
        a,2,1,0.9,0.88,0.902,a paper
        b,3,0,0.8,0.80,,";
    let comparison = compare(&mut records(text), &Request::default()).unwrap();
    let row = &comparison.table.rows[0];
    assert_eq!(comparison.table.columns[3..], ["expected (%)", "met"]);
    assert_eq!(row[3..], ["90.20", "no"], "the mean over seeds counts");
    assert_eq!(comparison.table.rows[1][3..], ["", ""]);
    assert!(comparison.notes.iter().any(|note| note.contains("a paper")), "{:?}", comparison.notes);
    assert!(comparison.notes.iter().any(|note| note.contains("at most 0.5 points below")), "{:?}", comparison.notes);
}

#[test]
fn labels_tell_lines_apart() {
    let labels = compare(&mut records(RUNS), &Request::default()).unwrap().labels;
    assert_eq!(labels, ["resnet lr=0.1", "plain", "resnet lr=0.5"]);
}

#[test]
fn what_makes_a_mean_doubtful_is_told() {
    let text = RUNS.replace("a1,done,1", "a1,done,0");
    let notes = compare(&mut records(&text), &Request::default()).unwrap().notes;
    assert!(notes[0].contains("plain has several runs of one seed"), "{notes:?}");
}

/// The interval of two differences of fractions used to reach beyond one.
#[test]
fn an_interval_of_fractions_ends_at_a_hundred_percent() {
    let text = "net,seed,val_top1\na,0,0.1\na,1,0.1\nb,0,0.2\nb,1,0.9";
    let request = Request { baseline: vec!["net=a".to_owned()], ..Request::default() };
    assert!(lines(text, request)[1].ends_with("|+45.00 (2)|[-100.00, +100.00]|noise"));
    let foreign = "net,top1\na,76.1\nb,0.5";
    assert_eq!(lines(foreign, Request::default())[..2], ["net|top1", "a|76.1"], "percent as written elsewhere");
}

#[test]
fn the_metric_leads_the_results_and_the_order_is_told() {
    let text = "name,key,val_top1,val_loss\na,1,0.5,2\nb,2,0.4,1";
    let comparison = |metric: &str| {
        compare(&mut records(text), &Request { metric: Some(metric.to_owned()), ..Request::default() }).unwrap()
    };
    let found = comparison("val_loss");
    assert_eq!(found.table.columns, ["name", "val_loss", "val_top1 (%)"]);
    assert_eq!(found.table.rows[0][0], "b");
    assert_eq!(found.notes, ["sorted by val_loss, the lowest first"]);
    assert_eq!(comparison("val_top1").notes, ["sorted by val_top1, the highest first"]);
}

#[test]
fn names_of_other_programs_get_ours() {
    let sort = |column: &str| error(RUNS, Request { sort: Some((column.to_owned(), false)), ..Request::default() });
    for column in ["val_acc", "accuracy", "valid/acc", "val_acc1", "acc@1", "val_sparse_categorical_accuracy"] {
        assert!(sort(column).ends_with("did you mean `val_top1`?"), "{}", sort(column));
    }
    let columns = Some(vec!["max train_acc".to_owned()]);
    assert!(error(RUNS, Request { columns, ..Request::default() }).ends_with("did you mean `train_top1`?"));
}

/// 5,000 rows in under a second, this machine's slowest moments allowed for.
#[test]
fn five_thousand_rows_are_quick() {
    let mut text = RUNS.lines().nth(1).unwrap().to_owned();
    for row in 0..5000 {
        let (setting, seed) = (row / 5, row % 5);
        text += &format!("\nnet{},{row:x},done,{seed},2,0.{row},9,{setting},64", setting % 7);
    }
    let mut records = records(&text);
    let start = std::time::Instant::now();
    let comparison = compare(&mut records, &Request { baseline: vec!["train.lr=7".to_owned()], ..Request::default() });
    assert_eq!(comparison.map(|found| found.table.rows.len()).map_err(|error| error.to_string()), Ok(1000));
    assert!(start.elapsed().as_secs_f64() < 1.0, "{:?}", start.elapsed());
}
