//! What the program prints of a results folder, and the keys of the experiments, word for word: `tests/golden`.

use super::place::Place;
use super::snapshot::{expect, expect_all, kept};
use std::fs;
use std::path::Path;
use strata::config::{Experiment, Machine};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => assert!(fs::copy(entry.path(), target).is_ok()),
        }
    }
}

/// A place with the results of `tests/golden`, and the experiments of the repository.
fn place() -> Place {
    let place = Place::new();
    copy(&kept("golden/results"), &place.path("results"));
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments"), &place.path("experiments"));
    for table in ["foreign.csv", "logged.csv"] {
        fs::copy(kept("golden").join(table), place.path(table)).unwrap();
    }
    place
}

const COMMANDS: [(&str, &[&str]); 21] = [
    ("compare", &["compare", "--all"]),
    ("compare-csv", &["compare", "--all", "--format", "csv"]),
    ("compare-names", &["compare", "small", "large", "stopped", "spoilt"]),
    ("compare-markdown", &["compare", "small", "large", "--format", "markdown"]),
    ("compare-runs", &["compare", "small", "large", "--runs"]),
    ("compare-baseline", &["compare", "small", "large", "--baseline", "small"]),
    ("compare-by", &["compare", "degradation", "--by", "model.depth"]),
    ("compare-plain", &["compare", "degradation", "--plain"]),
    ("compare-epochs", &["compare", "small", "stopped", "--columns", "max val_top1"]),
    ("compare-sweep", &["compare", "mixed", "--runs"]),
    ("compare-sweep-csv", &["compare", "mixed", "--format", "csv"]),
    ("compare-archived", &["compare", "results/resnet18", "results/vgg11"]),
    ("compare-foreign", &["compare", "foreign.csv"]),
    ("compare-logged", &["compare", "logged.csv"]),
    ("compare-mixed", &["compare", "foreign.csv", "small"]),
    ("diff", &["diff", "small/aaaaaaaaa0", "large/bbbbbbbbb0"]),
    ("cost", &["cost", "resnet20", "imagenet/resnet50", "googlenet", "efficientnet-b0"]),
    ("cost-layers", &["cost", "inception_resnet", "--layers", "--format", "csv"]),
    ("show", &["show", "resnet20", "--set", "train.precision=fp32"]),
    ("show-efficientnet", &["show", "efficientnet-b0", "--set", "train.precision=fp32"]),
    ("dry-run", &["sweep", "sweeps/degradation", "--dry-run", "--set", "train.precision=bf16"]),
];

#[test]
fn commands_print_what_they_printed() {
    let place = place();
    let texts: Vec<(String, String)> = COMMANDS
        .iter()
        .map(|(name, arguments)| {
            let ran = place.strata(arguments);
            (format!("golden/{name}.txt"), format!("{:?}\n{}{}", ran.code, ran.out, ran.err))
        })
        .collect();
    expect_all(texts.iter().map(|(file, text)| (file.clone(), text.as_str())));
}

/// The report without its pictures and the moment in which it was written.
#[test]
fn the_report_says_what_it_said() {
    let place = place();
    place.strata(&["report", "-o", "page.html"]).good();
    let page = fs::read_to_string(place.path("page.html")).unwrap();
    let page = page.split_once("<body").unwrap().1;
    let mut text = String::new();
    for (index, part) in page.split("<svg").enumerate() {
        text.push_str(if index == 0 { part } else { part.split_once("</svg>").map_or("", |(_, rest)| rest) });
    }
    let text: String = text.lines().filter(|line| !line.contains(" UTC")).map(|line| format!("{line}\n")).collect();
    let text = text.split_once("<script").map_or(text.as_str(), |(before, _)| before);
    expect("golden/report.html", text);
}

/// A key that changes makes everybody's results strangers.
#[test]
fn experiments_keep_their_keys() {
    let mut files = Vec::new();
    for folder in ["experiments", "experiments/cifar10", "experiments/imagenet", "experiments/deck"] {
        let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
    }
    files.sort();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let keys: String = files
        .iter()
        .map(|path| {
            let key = Experiment::load(path, &[], Machine { native_bf16: true, ..Machine::default() }).unwrap().key();
            format!("{},{}\n", path.strip_prefix(root).unwrap().display(), key.sha256())
        })
        .collect();
    expect("golden/keys.csv", &keys);
}

/// `[train]` as it is written down, and the key, for every optimizer, schedule and precision, with and without their own keys.
#[test]
fn recipes_keep_their_keys() {
    let optimizers = [
        ("sgd", "momentum = 0.5\nnesterov = true\n"),
        ("adam", "beta1 = 0.8\nbeta2 = 0.99\neps = 1e-7\n"),
        ("adamw", "beta1 = 0.8\nbeta2 = 0.99\neps = 1e-7\n"),
        ("rmsprop", "alpha = 0.99\nmomentum = 0.5\neps = 1e-8\n"),
        ("lamb", "beta1 = 0.8\nbeta2 = 0.99\neps = 1e-7\nalways_adapt = true\n"),
        ("lion", "beta1 = 0.8\nbeta2 = 0.98\n"),
        ("muon", "momentum = 0.9\nnesterov = false\nns_steps = 3\nadamw_lr = 1e-3\nbeta1 = 0.8\n"),
    ];
    let schedules = [
        ("constant", "", ""),
        ("step", "milestones = [1, 2.5]\n", "gamma = 0.2\n"),
        ("cosine", "", "final_lr = 0.01\n"),
        ("one_cycle", "", "peak_at = 0.4\nfinal_lr = 0.01\n"),
        ("exponential", "", "every = 1\ngamma = 0.9\n"),
    ];
    let shared = "batch = 32\nlr = 0.02\nweight_decay = 1e-4\ndecay_all = true\nwarmup = 0.5\nlabel_smoothing = 0.1\n\
                  clip_norm = 1\nema = 0.99\nrewrites = false\n";
    let model = "[data]\ndataset = 'synthetic'\nvalidation = 400\n[model]\nrows = [{ op = 'classifier' }]\n[train]\nepochs = 3\n";
    let mut text = String::new();
    for (optimizer, own) in optimizers {
        for (schedule, needed, more) in schedules {
            for precision in ["fp32", "bf16"] {
                for all in [format!("{own}{more}{shared}"), String::new()] {
                    let file = format!(
                        "{model}optimizer = '{optimizer}'\nschedule = '{schedule}'\nprecision = '{precision}'\n{needed}{all}"
                    );
                    let experiment = Experiment::parse("x.toml", &file, "x", &[], Machine::default()).unwrap();
                    text += &format!("{}\n# {}\n", experiment.to_toml()["train"], experiment.key().sha256());
                }
            }
        }
    }
    expect("golden/train_tables.txt", &text);
}
