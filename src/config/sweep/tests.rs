//! Points of a sweep from its table.

use super::*;

const BASE: &str = "[data]\ndataset = 'synthetic'\nvalidation = 400\n[model]\npreset = 'resnet'\nlayout = 'cifar'\ndepth = 8\n[train]\nepochs = 1\n";

fn sweep(text: &str) -> Result<Sweep, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sizes.toml");
    std::fs::write(&path, format!("{BASE}{text}")).unwrap();
    Sweep::load(&path, &[], Machine::default()).map_err(|error| error.message)
}

#[test]
fn lists_make_a_grid_whose_last_axis_turns_fastest() {
    let sweep = sweep("[sweep]\nmodel.depth = [8, 14]\nseed = [0, 1, 2]").unwrap();
    assert_eq!(sweep.columns, ["model.depth", "seed"]);
    let values: Vec<String> = sweep.points.iter().map(|point| point.values.join("/")).collect();
    assert_eq!(values, ["8/0", "8/1", "8/2", "14/0", "14/1", "14/2"]);
    let keys: std::collections::HashSet<_> = sweep.points.iter().map(|p| p.experiment.key()).collect();
    assert_eq!(keys.len(), 6);
}

#[test]
fn zip_varies_together_and_whole_models_can_vary() {
    let text = "[sweep]\nzip = [{ name = ['a', 'b'], model = [{ preset = 'nin' }, { preset = 'highway' }] }]";
    let sweep = sweep(text).unwrap();
    let names: Vec<&str> = sweep.points.iter().map(|point| point.experiment.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_file_without_a_sweep_is_told_what_one_looks_like() {
    let error = Sweep::parse("x.toml", BASE, "x", &[], Machine::default()).unwrap_err().rendered;
    assert!(
        error.contains("x.toml\n") && error.contains("[sweep]\n") && error.contains("seed = [0, 1, 2]\n"),
        "{error}"
    );
    assert!(!error.lines().any(|line| line.trim() == "|"), "no empty frame of code: {error}");
}

#[test]
fn what_cannot_be_swept_is_said() {
    assert_eq!(sweep("").unwrap_err(), "this file has no [sweep] table");
    assert_eq!(sweep("[sweep]\nseed = 3").unwrap_err(), "`seed` is swept, so it is a list of values");
    assert!(sweep("[sweep]").unwrap_err().contains("varies nothing"));
    assert!(sweep("[sweep]\nmacs = [1, 2]").unwrap_err().contains("varies nothing"));
    assert!(sweep("[sweep]\ntrain.lr = []").unwrap_err().contains("`train.lr` is swept and its list is empty"));
    assert!(sweep("[sweep]\nmodel.dept = [8]").unwrap_err().contains("`dept`"));
    assert!(sweep("[sweep]\nzip = [{ seed = [1, 2], train.lr = [1] }]").unwrap_err().contains("one length"));
}

/// Keys were compared with each other before their number was: 100,000 axes took hours.
#[test]
fn too_many_axes_are_refused_at_once() {
    let axes: String = (0..100_000).map(|key| format!("a{key} = [1]\n")).collect();
    let error = sweep(&format!("[sweep]\n{axes}")).unwrap_err();
    assert_eq!(error, "a sweep varies at most 100 keys, not 100000");
    let error = sweep(&format!("[sweep.random]\ncount = 1\n{axes}")).unwrap_err();
    assert_eq!(error, "a sweep varies at most 100 keys, not 100000");
    let group = axes.replace('\n', ", ");
    let error = sweep(&format!("[sweep]\nzip = [{{ {} }}]\n", group.trim_end_matches(", "))).unwrap_err();
    assert_eq!(error, "a sweep varies at most 100 keys, not 100000");
}

/// Each part of a key is a table in the one before: 20,000 of them in quotes overflowed the stack, and so did 80 in each of
/// 78 brackets.
#[test]
fn a_key_of_many_dots_is_refused() {
    let key = vec!["a"; 20_000].join(".");
    let part = vec!["a"; 79].join(".");
    let nested = (0..78).fold("1".to_owned(), |inner, _| format!("{{ {part} = {inner} }}"));
    for text in [
        format!("[sweep]\n{key} = [1]"),
        format!("[sweep]\nseed = [0]\n[{key}]\nb = 1"),
        format!("[sweep]\nseed = [{nested}]"),
        format!("{part} = {nested}"),
    ] {
        let error = sweep(&text).unwrap_err();
        assert_eq!(error, "tables and lists are nested at most 32 levels deep");
    }
    for text in ["[sweep]\n'KEY' = [1]", "[sweep.random]\ncount = 1\n'KEY' = [1]", "[sweep]\nzip = [{ 'KEY' = [1] }]"] {
        assert_eq!(sweep(&text.replace("KEY", &key)).unwrap_err(), "a swept key has at most 32 dots");
    }
    let set = |text: String| Experiment::parse("x", BASE, "x", &[text], Machine::default()).unwrap_err().message;
    for text in [format!("{key}=1"), format!("a={{ {key} = 1 }}"), format!("a={}", "[".repeat(20_000))] {
        assert_eq!(set(text), "tables and lists are nested at most 32 levels deep");
    }
}

fn column(sweep: &Sweep, name: &str) -> Vec<String> {
    let at = sweep.columns.iter().position(|column| column == name).unwrap();
    sweep.points.iter().map(|point| point.values[at].clone()).collect()
}

#[test]
fn slips_in_lists_are_said() {
    assert_eq!(sweep("[sweep]\nseed = [0, 1, 0]").unwrap_err(), "`seed` has the value 0 twice");
    assert!(sweep("[sweep]\nmodel.depth = [8]\nmodel.width = [8]\nmodel.depht = [8]").is_err());
    let behind = "[sweep]\nmodel.depth = [8]\nzip = [{ model = [{ preset = 'nin' }] }]";
    assert!(sweep(behind).unwrap_err().contains("`model` is swept after `model.depth`"));
    // In a group the values of one list may repeat.
    assert_eq!(sweep("[sweep]\nzip = [{ seed = [0, 1], train.lr = [0.1, 0.1] }]").unwrap().points.len(), 2);
}

#[test]
fn points_that_are_one_experiment_are_run_once() {
    // One number, written in two ways.
    let sweep = sweep("[sweep]\ntrain.lr = [0.1, 1e-1, 0.2]").unwrap();
    assert_eq!((sweep.points.len(), sweep.repeats), (2, 1));
}

/// A name decides nothing, and two points of one key used to share a log.
#[test]
fn points_that_differ_in_their_name_alone_are_one_experiment() {
    let sweep = sweep("[sweep]\nname = ['a', 'b']").unwrap();
    assert_eq!((sweep.points.len(), sweep.repeats), (1, 1));
}

#[test]
fn samples_are_distinct_quantised_and_independent_of_other_keys() {
    let ranges =
        "train.lr = { log_uniform = [0.001, 1.0], digits = 2 }\ntrain.batch = { uniform = [32, 256], step = 32 }\n";
    let text = |more: &str| format!("[sweep]\nseed = [0, 1]\n[sweep.random]\ncount = 20\nseed = 3\n{ranges}{more}");
    let first = sweep(&text("")).unwrap();
    assert_eq!(first.columns, ["train.lr", "train.batch", "seed"]);
    assert_eq!(first.points.len(), 40);
    let (rates, batches) = (column(&first, "train.lr"), column(&first, "train.batch"));
    for (rate, batch) in rates.iter().zip(&batches) {
        let value: f64 = rate.parse().unwrap();
        assert!((0.001..=1.0).contains(&value), "{rate}");
        assert!(rate.trim_start_matches(['0', '.']).len() <= 2, "two digits: {rate}");
        assert!(batch.parse::<usize>().unwrap().is_multiple_of(32), "{batch}");
    }
    let below = rates.iter().filter(|rate| rate.parse::<f64>().unwrap() < 0.0316).count();
    assert!((8..32).contains(&below), "half of a logarithmic range lies below its middle: {below} of 40");
    // Another key more leaves what the others are.
    let second = sweep(&text("model.shortcut = ['A', 'none']\n")).unwrap();
    assert_eq!(column(&second, "train.lr"), rates);
    assert!(column(&second, "model.shortcut").contains(&"none".to_owned()));
    // Another seed draws other samples.
    assert_ne!(column(&sweep(&text("").replace("seed = 3", "seed = 4")).unwrap(), "train.lr"), rates);
}

#[test]
fn whole_numbers_stay_whole_and_ends_are_met() {
    let text = "[sweep.random]\ncount = 3\nmodel.width = { uniform = [7, 9] }\n";
    let sweep = sweep(text).unwrap();
    let mut widths = column(&sweep, "model.width");
    widths.sort();
    assert_eq!(widths, ["7", "8", "9"]);
}

#[test]
fn ranges_that_hold_too_little_are_said() {
    let error = sweep("[sweep.random]\ncount = 4\nmodel.width = { uniform = [7, 9] }\n").unwrap_err();
    assert!(error.contains("of 1000 samples 3 are distinct and within the limits, not 4"), "{error}");
    for (range, part) in [
        ("{ uniform = [9, 7] }", "from low to high, not from 9 to 7"),
        ("{ log_uniform = [0, 7] }", "begins above 0"),
        ("{ uniform = [1, 7], step = 7 }", "at most 6"),
        ("{ uniform = [1, 7], step = 2, digits = 2 }", "not both"),
        ("{ uniform = [1, 7], stop = 2 }", "`stop`"),
        ("3", "it is a range or a list, not 3"),
    ] {
        let error = sweep(&format!("[sweep.random]\ncount = 2\nmodel.width = {range}\n")).unwrap_err();
        assert!(error.contains(part), "{range}: {error}");
    }
    for (count, range) in [(2, "uniform = [0, 1]"), (20, "uniform = [0, 1]"), (2, "log_uniform = [1, 10]")] {
        let error = sweep(&format!("[sweep.random]\ncount = {count}\ntrain.lr = {{ {range} }}\n")).unwrap_err();
        assert!(error.contains("`train.lr` is a real number"), "{range}: {error}");
    }
    assert!(sweep("[sweep.random]\ncount = 2\ntrain.lr = { uniform = [1, 3], step = 1 }\n").is_ok());
    assert!(sweep("[sweep.random]\nseed = 2\n").unwrap_err().contains("needs a `count`"));
    assert!(sweep("[sweep.random]\ncount = 2\n").unwrap_err().contains("nothing to draw"));
}

#[test]
fn points_outside_the_limits_are_left_out_and_counted() {
    let grid = sweep("[sweep]\nmodel.depth = [8, 14, 20, 26]\nseed = [0, 1]\nmacs = [15e6, 32e6]").unwrap();
    assert_eq!((grid.points.len(), grid.left_out), (4, 4));
    assert!(grid.points.iter().all(|point| (15_000_000..=32_000_000).contains(&point.cost.macs)));
    let error = sweep("[sweep]\nmodel.depth = [8, 14]\nparams = [1, 2]").unwrap_err();
    let costs = [8, 14].map(|depth| sweep(&format!("[sweep]\nmodel.depth = [{depth}]")).unwrap().points[0].cost);
    assert!(error.contains(&format!("parameters from {} to {}", costs[0].params, costs[1].params)), "{error}");
    assert!(error.contains(&costs[1].macs.to_string()), "{error}");
    assert!(sweep("[sweep]\nseed = [1]\nmacs = [2, 1]").unwrap_err().contains("2 is more than 1"));
    // Samples are drawn until this many fit.
    let random = "[sweep]\nmacs = [15e6, 32e6]\n[sweep.random]\ncount = 5\nmodel.width = { uniform = [4, 40] }\n";
    let random = sweep(random).unwrap();
    assert!(random.points.len() == 5 && random.left_out > 0);
}

#[test]
fn scaled_points_meet_one_cost_along_every_axis() {
    let base = sweep("[sweep]\nseed = [0]").unwrap().points[0].cost.macs as f64;
    let text = "[sweep]\nseed = [0, 1]\n[sweep.scaling]\ntimes = 3\naxes = ['depth', 'width', 'resolution', 'compound']\ntolerance = 0.12\n";
    let scaled = sweep(text).unwrap();
    assert_eq!(column(&scaled, "scaling.axis")[..4], ["depth", "depth", "width", "width"]);
    for point in &scaled.points {
        assert!((point.cost.macs as f64 / base / 3.0 - 1.0).abs() < 0.12, "{:?}", point.values);
        assert_eq!(point.values[1], format!("{:.0}", 3.0 * base));
    }
    // Depth alone: one block a stage becomes three, and the multiplier is the round one that does it.
    assert_eq!(column(&scaled, "scaling.depth")[0], "3");
    assert_eq!(column(&scaled, "scaling.width")[0], "1");
    let network = |index: usize| &scaled.points[index].experiment.network.plan;
    assert_eq!((network(0).input, network(4).input[0]), ([1, 28, 28], 1));
    assert!(network(4).input[1] > 28 && network(6).input[1] > 28, "resolution and compound");
    // Several targets: every axis at each of them.
    let several = sweep(&text.replace("times = 3", "times = [3, 6]")).unwrap();
    assert_eq!(several.points.len(), 16);
    let costs = |first: usize| several.points[first..first + 8].iter().map(|point| point.cost.macs as f64 / base);
    assert!(
        costs(0).all(|times| (times / 3.0 - 1.0).abs() < 0.12)
            && costs(8).all(|times| (times / 6.0 - 1.0).abs() < 0.12)
    );
    // Smaller than the network is as good a target.
    let smaller = text.replace("times = 3", "times = 0.6").replace("'depth', ", "") + "[scaling]\nround = 1\n";
    assert_eq!(sweep(&smaller).unwrap().points.len(), 6);
}

#[test]
fn a_target_that_is_not_met_says_how_near_it_came() {
    let text = "[sweep.scaling]\ntimes = 1.5\naxes = ['depth']\ntolerance = 0.01\n";
    let error = sweep(text).unwrap_err();
    assert!(error.contains("scaling by depth comes to") && error.contains("% off the target"), "{error}");
    for (keys, part) in [
        ("macs = 1e6\ntimes = 2\naxes = ['width']", "not both"),
        ("axes = ['width']", "needs a target"),
        ("times = 2\naxes = ['with']", "unknown value `with`"),
        ("times = 2\naxes = ['width', 'width']", "once"),
        ("time = 2\naxes = ['width']", "no key `time`"),
        ("times = 2\naxes = ['width']\nwidth = [1, 2]", "solved for"),
        ("times = [2, 2]\naxes = ['width']", "a number above 0, or several"),
        ("times = []\naxes = ['width']", "a number above 0, or several"),
        ("times = 'two'\naxes = ['width']", "a number or a list of numbers"),
    ] {
        let error = sweep(&format!("[sweep.scaling]\n{keys}\n")).unwrap_err();
        assert!(error.contains(part), "{keys}: {error}");
    }
    let set = sweep("[sweep.scaling]\ntimes = 2\naxes = ['width']\n[scaling]\nwidth = 2\n").unwrap_err();
    assert!(set.contains("cannot be set here too"), "{set}");
    let narrow = sweep("[sweep.scaling]\nmacs = 8e6\naxes = ['width']\ntolerance = 0.01\n").unwrap_err();
    assert!(narrow.contains("scaling by width"), "{narrow}");
    // Without the target the same table is a grid.
    assert_eq!(sweep("[sweep]\nscaling.phi = [0, 1, 2]").unwrap().points.len(), 3);
}

/// The text that an error shows is the sweep's, not what it takes the place of.
#[test]
fn a_value_that_cannot_be_is_shown_where_it_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sizes.toml");
    for (table, shown) in [
        ("[sweep]\ntrain.lr = [0.1, -1]", "train.lr = [0.1, -1]"),
        ("[sweep]\nmodel.depth = [8, 9]", "model.depth = [8, 9]"),
        ("[sweep]\nzip = [{ data.validation = [400, 0] }]", "zip = ["),
        ("[sweep.random]\ncount = 1\ntrain.lr = { uniform = [-2.0, -1.0] }", "[sweep.random]"),
    ] {
        std::fs::write(&path, format!("{BASE}lr = 0.1\n{table}\n")).unwrap();
        let error = Sweep::load(&path, &[], Machine::default()).unwrap_err();
        assert!(error.rendered.contains(&format!("| {shown}")), "{}", error.rendered);
    }
}

#[test]
fn the_example_of_the_documentation_is_a_sweep() {
    let text = include_str!("../../../docs/sweeps.md");
    let example = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("widths.toml");
    std::fs::write(&path, example).unwrap();
    let sweep = Sweep::load(&path, &[], Machine::default()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(sweep.points.len(), 5 * 2 * 3 * 2);
}

/// The second of two experiments with the same 40 bits was dropped as a repetition of the first.
#[test]
fn points_with_the_same_short_key_are_refused() {
    // Found by trying them all; another pair, where what a key is made of changes.
    let [one, other] = [550497, 610180];
    let error = sweep(&format!("[sweep]\nseed = [{one}, 3, {other}]")).unwrap_err();
    assert!(error.contains(&format!("seed={one} and seed={other} share the short key")), "{error}");
}
