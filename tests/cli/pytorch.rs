//! The snippets of docs/pytorch.md, carried out by PyTorch, torchvision and timm where they are installed.

use crate::place::Place;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use strata::model::read_tensors;

const PAGE: &str = include_str!("../../docs/pytorch.md");

/// The network of `imagenet/resnet18` on ten classes of small images.
const RESNET18: &str = r#"
[data]
dataset = "synthetic"
validation = 100
limit = 64

[model]
preset = "resnet"
depth = 18
input = [3, 32, 32]

[train]
epochs = 1
batch = 32
precision = "fp32"
"#;

/// Saves an input and what `model` makes of it.
const LOGITS: &str = r#"
import torch
from safetensors.torch import load_file, save_file
torch.manual_seed(0)
x = torch.randn(2, 3, 64, 64)
save_file({"input": x}, "x.safetensors")
with torch.no_grad():
    save_file({"logits": model(x)}, "wanted.safetensors")
"#;

/// An interpreter with the packages of the page: that of `make bench-peers` if they were added to it, or the one on the `PATH`.
fn python() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let imports = "import safetensors.torch, timm, torch, torchvision";
    let has = |python: &PathBuf| {
        Command::new(python).args(["-c", imports]).output().is_ok_and(|output| output.status.success())
    };
    [cache.join("strata/peers/bin/python"), PathBuf::from("python3")].into_iter().find(has)
}

/// The one Python block of the page that has these words.
fn block(words: &[&str]) -> &'static str {
    let mut blocks = PAGE.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next());
    let block = blocks.find(|block| words.iter().all(|words| block.contains(words)));
    block.unwrap_or_else(|| panic!("no block of docs/pytorch.md has {words:?}"))
}

fn carry_out(python: &Path, place: &Place, code: &str) {
    let output = Command::new(python).current_dir(place.path("")).args(["-c", code]).output().unwrap();
    assert!(output.status.success(), "{code}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// The largest difference between PyTorch's logits and Strata's.
fn difference(place: &Place, predict: &[&str]) -> f64 {
    let files = ["--input", "x.safetensors", "--output", "y.safetensors"];
    place.strata(&[&["predict"], predict, &files].concat()).good();
    let [wanted, ours] = ["wanted", "y"]
        .map(|name| read_tensors(&place.path(&format!("{name}.safetensors"))).unwrap()["logits"].shallow_clone());
    assert_eq!(wanted.size(), ours.size());
    (wanted - ours).abs().max().double_value(&[])
}

#[test]
fn weights_go_to_pytorch_and_back() {
    let Some(python) = python() else {
        // Not with `eprintln!`, which the test runner keeps to itself.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED weights_go_to_pytorch_and_back: no Python with torch, torchvision, timm and safetensors; `make bench-peers`, \
             then ~/.cache/strata/peers/bin/pip install 'torchvision==0.28.*' timm safetensors"
        );
        return;
    };
    let place = Place::trained("resnet18", RESNET18);
    let run = std::fs::read_dir(place.path("results/runs/resnet18")).unwrap().next().unwrap().unwrap();
    for library in ["import torchvision", "import timm"] {
        let load = block(&[library, "load_state_dict"]).replace("KEY", &run.file_name().to_string_lossy());
        carry_out(&python, &place, &format!("{load}{LOGITS}"));
        let off = difference(&place, &["resnet18"]);
        assert!(off < 1e-4, "{library}: logits differ by {off}");
    }

    let save = block(&["import torchvision", "save_file"]).replace("weights=\"DEFAULT\"", "weights=None");
    let again = "from safetensors.torch import load_file\nmodel = torchvision.models.resnet18()\n\
                 model.load_state_dict(load_file('r18.safetensors'))\nmodel.eval()\n";
    carry_out(&python, &place, &format!("{save}{again}{LOGITS}torch.save(model.state_dict(), 'r18.pth')"));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/imagenet/resnet18.toml");
    let predict = [file, "--weights", "r18.safetensors"];
    let off = difference(&place, &predict);
    assert!(off < 1e-4, "torchvision's weights: logits differ by {off}");
    std::fs::remove_file(place.path("r18.safetensors")).unwrap();
    carry_out(&python, &place, block(&["torch.load("]));
    assert_eq!(difference(&place, &predict), off, "from r18.pth");
}

/// Networks whose layers other libraries call differently: the library's name, the experiment file with `--set`, and the model.
const RENAMED: [(&str, &[&str], &str); 6] = [
    ("timm", &["imagenet/efficientnet_b0"], "import timm\nmodel = timm.create_model('efficientnet_b0')"),
    ("timm", &["imagenet/mobilenet_v2"], "import timm\nmodel = timm.create_model('mobilenetv2_100')"),
    ("timm", &["imagenet/vgg11"], "import timm\nmodel = timm.create_model('vgg11', num_classes=20)"),
    ("timm", &["imagenet/se_resnet50", "model.stride_in=3x3"], "import timm\nmodel = timm.create_model('seresnet50')"),
    (
        "efficientnet-pytorch",
        &["imagenet/efficientnet_b0", "model.padding=same", "model.bn_eps=1e-3"],
        "from efficientnet_pytorch import EfficientNet\nmodel = EfficientNet.from_name('efficientnet-b0', image_size=64)",
    ),
    (
        "facenet",
        &["imagenet/inception_resnet_v1", "model.form=facenet", "model.bn_scale=true"],
        "from facenet_pytorch import InceptionResnetV1\nmodel = InceptionResnetV1(classify=True, num_classes=30)",
    ),
];

/// Numbers in every tensor, and the logits of an input that all networks take.
const FILL: &str = r#"
import torch
from safetensors.torch import save_file
torch.manual_seed(0)
for name, tensor in model.state_dict().items():
    if tensor.dim() == 1:
        tensor.copy_(torch.rand_like(tensor) * 0.2 + (0.9 if name.endswith(("weight", "running_var")) else -0.1))
model.eval()
x = torch.randn(2, 3, 160, 160)
torch.save(model.state_dict(), "theirs.pth")
with torch.no_grad():
    save_file({"input": x}, "x.safetensors")
    save_file({"logits": model(x)}, "wanted.safetensors")
"#;

#[test]
fn weights_change_names_and_stay_the_same() {
    let Some(python) = python() else {
        let _ = writeln!(std::io::stderr(), "SKIPPED weights_change_names_and_stay_the_same: no Python with timm");
        return;
    };
    for (library, network, model) in RENAMED {
        let place = Place::new();
        let module = model.split_whitespace().nth(1).unwrap();
        let has = Command::new(&python).args(["-c", &format!("import {module}")]).output().unwrap();
        if !has.status.success() {
            let _ = writeln!(std::io::stderr(), "SKIPPED the names of {library}: no package {module}");
            continue;
        }
        let model = format!("{model}\nmodel.requires_grad_(False)\n");
        carry_out(&python, &place, &format!("{model}{FILL}"));
        let file = format!("{}/experiments/{}.toml", env!("CARGO_MANIFEST_DIR"), network[0]);
        let sets: Vec<&str> = network[1..].iter().flat_map(|set| ["--set", set]).collect();
        let convert = |from: &str, to: &str, side: &str| {
            let all = ["convert", from, "-o", to, side, library, "--network", &file];
            place.strata(&[&all[..], &sets].concat()).good();
        };
        convert("theirs.pth", "ours.safetensors", "--from");
        let classes =
            format!("model.classes={}", read_tensors(&place.path("wanted.safetensors")).unwrap()["logits"].size()[1]);
        let predict = [&[&file, "--weights", "ours.safetensors", "--set", &classes], &sets[..]].concat();
        let off = difference(&place, &predict);
        assert!(off < 1e-3, "{library}, {network:?}: logits differ by {off}");
        if library != "facenet" {
            convert("ours.safetensors", "theirs.safetensors", "--to");
            let load = "from safetensors.torch import load_file\nmodel.load_state_dict(load_file('theirs.safetensors'))\n\
                        import torch\nfor name, tensor in torch.load('theirs.pth').items():\n    \
                        assert name.endswith('num_batches_tracked') or torch.equal(tensor, model.state_dict()[name]), name\n";
            carry_out(&python, &place, &format!("{model}{load}"));
        }
    }
}
