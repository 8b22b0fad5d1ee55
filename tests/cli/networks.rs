//! What the commands make of a network: its input, its scaling, its auxiliary heads, values set from the command line.

use super::place::{Place, TINY};
use strata::config::Experiment;
use strata::model::{read_tensors, write_tensors};
use tch::{Device, Kind, Tensor};

/// The column of the network's line in `strata cost --format csv`.
fn cost(place: &Place, column: &str, arguments: &[&str]) -> String {
    let out = place.strata(&[&["cost", "--format", "csv"], arguments].concat()).good();
    let mut lines = out.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let (header, line) = (lines.next().unwrap(), lines.next().unwrap());
    line[header.iter().position(|name| name == column).unwrap()].clone()
}

/// `--input` used to be multiplied by the experiment's resolution.
#[test]
fn the_input_of_cost_is_not_scaled() {
    let place = Place::new();
    place.file("plain.toml", TINY);
    place.file("scaled.toml", format!("{TINY}[scaling]\nresolution = 2.0\n"));
    place.file("small.toml", format!("{TINY}[scaling]\nresolution = 0.01\n"));
    for file in ["plain.toml", "scaled.toml", "small.toml"] {
        assert_eq!(cost(&place, "input", &[file, "--input", "1x20x24"]), "1x20x24", "{file}");
    }
    assert_eq!(
        cost(&place, "macs", &["scaled.toml", "--input", "1x20x24"]),
        cost(&place, "macs", &["plain.toml", "--input", "1x20x24"])
    );
    assert_eq!(cost(&place, "input", &["scaled.toml"]), "1x28x28");
}

/// `--set data.augment={}` used to change nothing: its keys were merged into those of the file.
#[test]
fn setting_a_whole_table_replaces_it() {
    let place = Place::new();
    place.file("tiny.toml", TINY.replace("limit = 128", "limit = 128\naugment = { crop = 2, flip = true }"));
    let augment = |set: &str| {
        let out = place.strata(&["show", "tiny.toml", "--set", set]).good();
        let shown: toml::Table = toml::from_str(&out).unwrap();
        shown["data"]["augment"].clone()
    };
    let written = |text: &str| toml::from_str::<toml::Table>(text).unwrap();
    let both = |crop: i64, flip: bool, value: toml::Value| {
        assert_eq!((value["crop"].as_integer(), value["flip"].as_bool()), (Some(crop), Some(flip)), "{value}");
    };
    both(0, false, augment("data.augment={}"));
    both(1, false, augment("data.augment={ crop = 1 }"));
    // A dotted key changes that key alone.
    both(1, true, augment("data.augment.crop=1"));
    let out = place.strata(&["show", "tiny.toml", "--set", "model={ preset = \"highway\", depth = 7 }"]).good();
    assert!(written(&out)["model"]["rows"].to_string().contains("highway"), "{out}");
    place.strata(&["show", "tiny.toml", "--set", "train={ epoch = 3 }"]).refused(&["did you mean `epochs`?", "--set"]);
}

/// `predict` used to ask for the weights of auxiliary heads, which files of trained weights often lack.
#[test]
fn predictions_need_no_auxiliary_heads() {
    let place = Place::new();
    let rows = "rows = [{ op = 'conv', kernel = 3, width = 4 }, { op = 'aux', pool = 'strided', width = 4, hidden = 8, name = 'NAME' }, \
                { op = 'conv', kernel = 3, width = 4 }, { op = 'global_avg_pool' }, { op = 'classifier' }]\n";
    let model = "preset = \"resnet\"\nlayout = \"cifar\"\ndepth = 8\nwidth = 8\n";
    let images = Tensor::rand([2, 1, 14, 14], (Kind::Float, Device::Cpu));
    write_tensors(&place.path("x.safetensors"), &[("input".to_owned(), images)]).unwrap();
    for head in ["aux1", "side"] {
        place.file("heads.toml", TINY.replace(model, &rows.replace("NAME", head)));
        let network = Experiment::load(&place.path("heads.toml"), &[], Default::default()).unwrap().network;
        let all: Vec<(String, Tensor)> = network
            .params()
            .into_iter()
            .map(|param| (param.name, Tensor::rand(param.shape, (Kind::Float, Device::Cpu))))
            .collect();
        let of_head = |name: &str| name.starts_with(&format!("{head}."));
        let trunk: Vec<(String, Tensor)> = all
            .iter()
            .filter(|(name, _)| !of_head(name))
            .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
            .collect();
        assert!(trunk.len() < all.len());
        let logits = |weights: &[(String, Tensor)]| {
            write_tensors(&place.path("w.safetensors"), weights).unwrap();
            let files = ["--weights", "w.safetensors", "--input", "x.safetensors", "--output", "y.safetensors"];
            place.strata(&[&["predict", "heads.toml"], &files[..]].concat()).good();
            read_tensors(&place.path("y.safetensors")).unwrap()["logits"].shallow_clone()
        };
        assert_eq!(logits(&all), logits(&trunk), "{head}");
    }
    // An input on which the head's 5x5 windows do not fit is fine too.
    let small = Tensor::rand([1, 1, 4, 4], (Kind::Float, Device::Cpu));
    write_tensors(&place.path("x.safetensors"), &[("input".to_owned(), small)]).unwrap();
    let files = ["--weights", "w.safetensors", "--input", "x.safetensors", "--output", "y.safetensors"];
    place.strata(&[&["predict", "heads.toml"], &files[..]].concat()).good();
}

/// `[scaling] depth` on a network without a row that repeats used to change nothing, silently.
#[test]
fn scaling_that_has_nothing_to_scale_is_refused() {
    let place = Place::new();
    let vgg = TINY.replace(
        "preset = \"resnet\"\nlayout = \"cifar\"\ndepth = 8\nwidth = 8\ninput = [1, 14, 14]",
        "preset = \"vgg\"\ninput = [1, 32, 32]",
    );
    place.file("vgg.toml", &vgg);
    let parts = ["no row of this network has repeats to scale", "--> --set:1:17"];
    place.strata(&["cost", "vgg.toml", "--set", "scaling.depth=2.0"]).refused(&parts);
    place.strata(&["cost", "vgg.toml", "--set", "scaling.width=0.5"]).good();
    // Of the compound rule's three multipliers one may have nothing to multiply.
    place.strata(&["cost", "vgg.toml", "--set", "scaling.phi=1.0"]).good();
    let rows =
        TINY.replace("preset = \"resnet\"\nlayout = \"cifar\"\ndepth = 8\nwidth = 8", "rows = [{ op = 'classifier' }]");
    place.file("linear.toml", &rows);
    place.strata(&["cost", "linear.toml", "--set", "scaling.width=2.0"]).refused(&["has a width to scale"]);
    place.strata(&["cost", "linear.toml", "--set", "scaling.resolution=2.0"]).good();
}

/// What is only counted or drawn needs no dataset and no recipe.
#[test]
fn a_network_alone_is_counted_shown_and_drawn() {
    let place = Place::new();
    place.file("net.toml", "[model]\npreset = \"nin\"\ninput = [3, 32, 32]\nclasses = 10\n");
    assert!(place.strata(&["cost", "net.toml"]).good().contains("3x32x32"));
    let shown = place.strata(&["show", "net.toml"]).good();
    assert!(shown.contains("needs [data] and [train] too") && !shown.contains("[train]\n"), "{shown}");
    place.file("again.toml", &shown);
    let counted = |file: &str| {
        let lines = place.strata(&["cost", file, "--format", "csv", "--layers"]).good();
        lines.lines().map(|line| line.split_once(',').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(counted("again.toml"), counted("net.toml"));
    place.strata(&["show", "net.toml", "--diagram", "net.svg"]).good();
    assert!(place.path("net.svg").exists());
    place.strata(&["train", "net.toml"]).refused(&["the keys `data.dataset` and `train.epochs` are missing"]);

    place.file("less.toml", "[model]\npreset = \"nin\"\n");
    place.strata(&["cost", "less.toml"]).refused(&["the keys `model.input` and `model.classes` are missing"]);
    assert!(place.strata(&["cost", "less.toml", "--input", "3x64x64", "--classes", "7"]).good().contains("3x64x64"));
    place.file(
        "wrong.toml",
        "[model]\npreset = \"nin\"\ninput = [3, 32, 32]\nclasses = 10\n[train]\nlearning_rate = 1\n",
    );
    place.strata(&["show", "wrong.toml"]).refused(&["there is no key `learning_rate` here", "did you mean `lr`?"]);
}
