//! Exported ONNX models, run by the onnx package's reference evaluator and by onnxruntime where `scripts/onnx.sh` has installed
//! them.

use super::place::{Place, TINY};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use strata::arch::activations::Act;
use strata::arch::{Network, Plan};
use strata::config::{Experiment, Machine};
use strata::export::onnx;
use strata::model::{Model, read_tensors, write_tensors};
use tch::{Device, Kind, Tensor};

/// The environment of `scripts/onnx.sh`.
fn python() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    Some(cache.join("strata/onnx/bin/python")).filter(|python| python.is_file())
}

/// A process that runs models; see tests/data/run_onnx.py.
struct Runner {
    process: Child,
}

impl Runner {
    /// `None`, said, where there is no environment.
    fn start(test: &str) -> Option<Runner> {
        let Some(python) = python() else {
            let _ =
                writeln!(std::io::stderr(), "SKIPPED {test}: scripts/onnx.sh has not installed onnx and onnxruntime");
            return None;
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/run_onnx.py");
        let mut command = Command::new(python);
        let process = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Some(Runner { process })
    }

    /// The largest difference to the logits in `tensors`, relative to the largest of them.
    fn difference(&mut self, model: &Path, tensors: &Path, reference: bool) -> f64 {
        let mode = if reference { "reference" } else { "runtime" };
        writeln!(self.process.stdin.as_mut().unwrap(), "{} {} {mode}", model.display(), tensors.display()).unwrap();
        let mut line = String::new();
        BufReader::new(self.process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let all: Vec<f64> = line.split_whitespace().map(|number| number.parse().unwrap()).collect();
        assert_eq!(all.len(), if reference { 2 } else { 1 }, "{}: {line}", model.display());
        all.into_iter().fold(0.0, f64::max)
    }
}

/// The plan with the smallest of a few inputs that the network takes, and statistics of batch normalisation that one batch sets.
fn small(mut plan: Plan) -> Network {
    let own = plan.input;
    plan.style.bn_momentum = 1.0;
    let sides = [own[1].min(64), own[1].min(96), own[1].min(128), own[1]];
    let fits = sides.into_iter().find_map(|side| {
        plan.input = [own[0], side, side];
        Network::inference(plan.clone()).ok()
    });
    fits.unwrap()
}

/// A model with numbers in every tensor, none of them 0 or 1 by its beginning, and images. Statistics are those of these images: on
/// others, numbers grow from layer to layer of a deep network, and rounding with them.
fn model(network: &Network) -> (Model, Tensor) {
    let model = Model::new(network, Device::Cpu, 1).unwrap();
    let _no_grad = tch::no_grad_guard();
    tch::manual_seed(1);
    for (param, tensor) in model.params().iter().filter(|(param, _)| param.shape.len() == 1) {
        let around = if param.name.ends_with("weight") { 1.0 } else { 0.0 };
        tensor.shallow_clone().copy_(&(Tensor::rand_like(tensor) * 0.4 - 0.2 + around));
    }
    let [c, h, w] = network.plan.input.map(|side| side as i64);
    let images = Tensor::randn([4, c, h, w], (Kind::Float, Device::Cpu));
    model.forward(&images, true);
    (model, images)
}

/// Experiment files that are networks, below a folder.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    files.retain(|path| !std::fs::read_to_string(path).unwrap().contains("[sweep]"));
    files.sort();
    files
}

fn check(test: &str, files: Vec<PathBuf>, chosen: impl Fn(&Network) -> bool) {
    let experiments = files.iter().map(|file| Experiment::load(file, &[], Machine::default()).unwrap());
    check_all(test, experiments, chosen);
}

fn check_all(test: &str, experiments: impl Iterator<Item = Experiment>, chosen: impl Fn(&Network) -> bool) {
    let Some(mut runner) = Runner::start(test) else { return };
    let place = Place::new();
    let [path, tensors] = ["x.onnx", "x.safetensors"].map(|name| place.path(name));
    for experiment in experiments {
        let network = small(experiment.network.plan.clone());
        if !chosen(&network) {
            continue;
        }
        let start = Instant::now();
        let (mut model, images) = model(&network);
        let _no_grad = tch::no_grad_guard();
        let input = images.narrow(0, 0, 2).contiguous();
        let logits = model.forward(&input, false).logits;
        let bytes = onnx::encode(&network, &model.named_tensors(), &experiment.name, &[]).unwrap();
        std::fs::write(&path, bytes).unwrap();
        // The tolerance is ten times the difference between our float32 and float64 logits: rounding grows from layer to layer.
        model.to_kind(Kind::Double);
        let exact = model.forward(&input.to_kind(Kind::Double), false).logits;
        let rounding = ((&logits - &exact).abs().max() / exact.abs().max()).double_value(&[]);
        write_tensors(&tensors, &[("input".to_owned(), input), ("logits".to_owned(), logits)]).unwrap();
        // The reference evaluator computes grouped convolutions one by one, in Python.
        let reference = network.layers().len() < 700;
        let off = runner.difference(&path, &tensors, reference);
        println!("{}: {off:.1e} of {rounding:.1e}, {:.1} s", experiment.name, start.elapsed().as_secs_f64());
        let most = if network.layers().len() < 500 { 5e-3 } else { 0.1 };
        assert!(off < (1e-5 + 10.0 * rounding).min(most), "{}: {off}, and float64 {rounding}", experiment.name);
    }
}

#[test]
fn networks_for_small_images_run_in_onnx() {
    check("networks_for_small_images_run_in_onnx", files(""), |_| true);
}

#[test]
fn networks_for_imagenet_run_in_onnx() {
    check("networks_for_imagenet_run_in_onnx", files("imagenet"), |network| network.cost().params < 13_000_000);
}

#[test]
fn every_activation_runs_in_onnx() {
    let experiments = Act::ALL.iter().map(|act| {
        let act = act.name();
        let text = format!(
            "[data]\ndataset = 'synthetic'\n[model]\nrows = [{{ op = 'conv', kernel = 3, width = 8, act = '{act}' }}, \
             {{ op = 'act', act = '{act}' }}, {{ op = 'global_avg_pool' }}, {{ op = 'classifier' }}]\n[train]\nepochs = 1"
        );
        Experiment::parse(act, &text, act, &[], Machine::default()).unwrap()
    });
    check_all("every_activation_runs_in_onnx", experiments, |_| true);
}

/// Ten gigabytes are written and read.
#[test]
#[ignore = "takes minutes: `cargo test --release --test cli onnx -- --ignored`"]
fn large_networks_run_in_onnx() {
    let all = [files("imagenet"), files("cifar10"), files("deck")].concat();
    check("large_networks_run_in_onnx", all, |network| network.cost().params >= 13_000_000);
}

#[test]
fn a_run_is_exported_with_its_weights() {
    let place = Place::trained("tiny", TINY);
    place.strata(&["export", "onnx", "tiny", "tiny"]).refused(&["one run or experiment file"]);
    place.strata(&["export", "wandb", "tiny", "--input", "1x14x14"]).refused(&["options of `strata export onnx`"]);
    place.strata(&["export", "onnx", "tiny", "--input", "1x0x4"]).refused(&["cannot take an input of [1, 0, 4]"]);
    assert_eq!(place.strata(&["export", "onnx", "tiny"]).wrote(), ["tiny.onnx"]);
    let weights = place.run("tiny").path("checkpoint/best/weights.safetensors");
    let weights = weights.to_str().unwrap();
    place.strata(&["export", "onnx", "tiny.toml", "--weights", weights, "-o", "file.onnx"]).good();
    let [run, file] = ["tiny.onnx", "file.onnx"].map(|name| std::fs::read(place.path(name)).unwrap());
    assert!(run == file);
    let Some(mut runner) = Runner::start("a_run_is_exported_with_its_weights") else { return };
    let input = Tensor::randn([3, 1, 14, 14], (Kind::Float, Device::Cpu));
    let tensor = |name: &str, tensor: &Tensor| (name.to_owned(), tensor.shallow_clone());
    write_tensors(&place.path("x.safetensors"), &[tensor("input", &input)]).unwrap();
    place.strata(&["predict", "tiny", "--input", "x.safetensors", "--output", "y.safetensors"]).good();
    let logits = read_tensors(&place.path("y.safetensors")).unwrap()["logits"].shallow_clone();
    write_tensors(&place.path("x.safetensors"), &[tensor("input", &input), tensor("logits", &logits)]).unwrap();
    let off = runner.difference(&place.path("tiny.onnx"), &place.path("x.safetensors"), true);
    assert!(off < 1e-4, "{off}");
}
