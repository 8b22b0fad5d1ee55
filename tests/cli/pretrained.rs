//! Runs that start from weights: `[init]`.

use crate::place::{Place, TINY};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use strata::model::{read_tensors, write_tensors};
use tch::Tensor;

fn weights(place: &Place, name: &str) -> BTreeMap<String, Tensor> {
    read_tensors(&place.run(name).path("checkpoint/best/weights.safetensors")).unwrap()
}

/// Whether each tensor, by name, is the same in both.
fn same(a: &BTreeMap<String, Tensor>, b: &BTreeMap<String, Tensor>) -> BTreeMap<String, bool> {
    a.iter().map(|(name, tensor)| (name.clone(), b.get(name).is_some_and(|other| other == tensor))).collect()
}

/// A place with the finished run `tiny`, and `next.toml`, which starts from it.
fn place(init: &str, sets: &[&str]) -> (Place, String) {
    let place = Place::trained("tiny", TINY);
    place.file("next.toml", format!("{TINY}{init}"));
    let mut command = vec!["train", "next.toml"];
    sets.iter().for_each(|set| command.extend(["--set", set]));
    let ran = place.strata(&command);
    let said = ran.err.clone();
    ran.good();
    (place, said)
}

#[test]
fn a_linear_probe_changes_the_classifier_alone() {
    let (place, said) = place("[init]\nfrom = 'tiny'\nfreeze = 'backbone'\n", &["train.weight_decay=0.1"]);
    for words in ["starts from", "frozen: conv1, layer1, layer2, layer3; 330 of ", "running statistics"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let changed: Vec<String> = same(&weights(&place, "tiny"), &weights(&place, "next"))
        .into_iter()
        .filter(|(_, same)| !same)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(changed, ["fc.bias", "fc.weight"]);
    // The run is what it is without the folder that it started from, and its own file gives its key.
    std::fs::remove_dir_all(place.path("results/runs/tiny")).unwrap();
    let file = place.run("next").path("experiment.toml");
    let out = place.strata(&["train", file.to_str().unwrap()]).good();
    assert!(out.contains(place.run("next").key()), "{out}");
    let table = place.run("next").read("summary.csv");
    assert!(table.contains("init.sha256") && table.contains(",tiny/"), "{table}");
    let written = place.run("next").read("experiment.toml");
    assert!(written.contains("from = \"tiny/") && !written.contains(place.path("").to_str().unwrap()), "{written}");
}

#[test]
fn a_classifier_of_other_classes_is_drawn() {
    let (place, said) = place("[init]\nfrom = 'tiny@best'\n", &["model.classes=12", "train.lr=0"]);
    assert!(
        said.contains("fc.weight, fc.bias are drawn from the seed: the file has 10 classes, the network 12"),
        "{said}"
    );
    let same = same(&weights(&place, "tiny"), &weights(&place, "next"));
    for (name, same) in same.iter().filter(|(name, _)| !name.contains("running")) {
        assert_eq!(*same, !name.starts_with("fc."), "{name}");
    }
}

#[test]
fn weights_that_do_not_fit_are_refused_before_a_run_begins() {
    let place = Place::trained("tiny", TINY);
    let train = |init: &str| {
        place.file("next.toml", format!("{TINY}[init]\n{init}\n"));
        place.strata(&["train", "next.toml"])
    };
    train("from = 'tine'").refused(&["init.from: there is nothing called `tine`", "did you mean `tiny`?"]);
    train("from = 'none.safetensors'").refused(&["cannot read", "none.safetensors"]);
    train("from = 'tiny'\nfreeze = ['layer9']").refused(&["there is no row `layer9`", "backbone"]);
    train("from = 'tiny'\nfrozen = []").refused(&["there is no key `frozen`", "freeze"]);
    let file = |name: &str, change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let mut tensors = weights(&place, "tiny");
        change(&mut tensors);
        write_tensors(&place.path(name), &tensors.into_iter().collect::<Vec<_>>()).unwrap();
    };
    file("less.safetensors", &|tensors| drop(tensors.remove("conv1.weight")));
    train("from = 'less.safetensors'").refused(&["has no tensor `conv1.weight`", "init.replace to re-initialise"]);
    let wide = |tensors: &mut BTreeMap<String, Tensor>| {
        let tensor = Tensor::zeros([16, 1, 3, 3], (tch::Kind::Float, tch::Device::Cpu));
        drop(tensors.insert("conv1.weight".to_owned(), tensor));
    };
    file("wide.safetensors", &wide);
    train("from = 'wide.safetensors'")
        .refused(&["`conv1.weight` has shape [16, 1, 3, 3]", "init.replace to re-initialise"]);
    train("from = 'wide.safetensors'\nsha256 = 'abc'").refused(&["is not the file that init.sha256 is the hash of"]);
    assert!(!Path::new(&place.path("results/runs/next")).exists());
    let said = train("from = 'wide.safetensors'\nreplace = 'conv1'").err;
    let run = place.run("next").path("experiment.toml");
    assert!(fs::read_to_string(&run).unwrap().contains("from = \"wide.safetensors\""));
    let again = place.strata(&["train", run.to_str().unwrap(), "--force"]);
    assert!(again.err.contains("starts from wide.safetensors"), "the run's own file finds the weights: {}", again.err);
    assert!(said.contains("init.replace: conv1.weight, ") && said.contains(" are drawn from the seed"), "{said}");
}

#[test]
fn a_whitened_convolution_that_is_frozen_stays_as_it_is() {
    let whole = Place::new();
    whole.file("white.toml", format!("{TINY}[init]\nwhiten = true\nfreeze = 'conv1'\n"));
    let ran = whole.strata(&["train", "white.toml"]);
    assert!(ran.err.contains("conv1.weight whitens the patches") && ran.err.contains("frozen: conv1;"), "{}", ran.err);
    ran.good();
    let trained = weights(&whole, "white");
    let first = &trained["conv1.weight"];
    assert_eq!(first.narrow(0, 4, 4), first.narrow(0, 0, 4) * -1.0);
    assert!(first.abs().max().double_value(&[]) > 0.1);
    // A run that goes on has them from its checkpoint.
    let resumed = Place::new();
    resumed.file("white.toml", format!("{TINY}[init]\nwhiten = true\nfreeze = 'conv1'\n"));
    resumed.strata(&["train", "white.toml", "--until", "1"]).good();
    resumed.strata(&["train", "white.toml"]).good();
    assert!(same(&trained, &weights(&resumed, "white")).values().all(|same| *same));
}
