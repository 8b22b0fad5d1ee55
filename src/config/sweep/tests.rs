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
    let keys: std::collections::HashSet<String> = sweep.points.iter().map(|p| p.experiment.key()).collect();
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
fn what_cannot_be_swept_is_said() {
    assert_eq!(sweep("").unwrap_err(), "this file has no [sweep] table");
    assert_eq!(sweep("[sweep]\nseed = 3").unwrap_err(), "`seed` is swept, so it is a list of values");
    assert!(sweep("[sweep]\nmodel.dept = [8]").unwrap_err().contains("`dept`"));
    assert!(sweep("[sweep]\nzip = [{ seed = [1, 2], train.lr = [1] }]").unwrap_err().contains("one length"));
}
