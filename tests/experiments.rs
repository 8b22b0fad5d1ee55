//! The experiment files that come with Strata: all of them can be read, and they cost what torchvision counts.

use std::path::{Path, PathBuf};
use strata::arch::Network;
use strata::arch::rows::Row;
use strata::config::{ClaimFile, Experiment, Machine, Sweep};
use strata::model::Model;
use tch::Device;

fn experiments() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments")
}

fn load(path: &Path) -> Experiment {
    Experiment::load(path, &[], Machine::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// Every TOML file below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
}

#[test]
fn every_file_is_valid_and_says_what_it_is() {
    let mut found = Vec::new();
    files(&experiments(), &mut found);
    assert!(found.len() > 60, "only {} files", found.len());
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        if text.contains("[claim]") {
            ClaimFile::load(&path, Machine::default()).unwrap_or_else(|error| panic!("{error}"));
        } else if text.contains("[sweep]") {
            Sweep::load(&path, &[], Machine::default()).unwrap_or_else(|error| panic!("{error}"));
        } else {
            let experiment = load(&path);
            assert!(experiment.network.cost().params > 0, "{}", path.display());
            // Written down, as it was or with all rows, it is the same experiment.
            for written in [experiment.to_toml(), experiment.to_toml_rows()] {
                let text = written.to_string();
                let again = Experiment::parse("written", &text, "written", &[], Machine::default());
                let again = again.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                assert_eq!(
                    (again.key(), &again.network),
                    (experiment.key(), &experiment.network),
                    "{}",
                    path.display()
                );
            }
        }
        assert!(text.starts_with("# "), "{}: no comment on top", path.display());
    }
}

/// Machines with and without native bf16 share the table of a claim.
#[test]
fn a_claims_runs_have_one_key_on_every_machine() {
    let keys = |native_bf16| {
        let machine = Machine { native_bf16, ..Machine::default() };
        let claims = ClaimFile::all(&experiments().join("claims"), machine).unwrap();
        let sweeps = claims.into_iter().filter_map(|file| file.sweep);
        sweeps.flat_map(|sweep| sweep.points).map(|point| point.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(true), keys(false));
}

/// `params` and `macs` of torchvision's models, counted over the modules that torchvision builds.
#[test]
fn the_imagenet_files_cost_what_torchvision_counts() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/torchvision_costs.csv");
    let mut reader = csv::Reader::from_path(table).unwrap();
    let mut models = 0;
    for record in reader.records() {
        let record = record.unwrap();
        let [model, side, params, macs] = std::array::from_fn(|index| record.get(index).unwrap().to_owned());
        let experiment = load(&experiments().join("imagenet").join(format!("{model}.toml")));
        let cost = experiment.network.cost();
        let [channels, height, width] = experiment.network.plan.input;
        assert_eq!([channels, height, width].map(|n| n.to_string()), ["3", &side, &side], "{model}");
        assert_eq!([cost.params, cost.macs].map(|n| n.to_string()), [params, macs], "{model}");
        models += 1;
    }
    assert_eq!(models, 29);
}

/// He et al. 2015, table 1: 1.8, 3.6, 3.8, 7.6, 11.3 x 10⁹. Of these only the 3.8 is cut and not rounded.
#[test]
fn the_resnet_papers_row_of_flops() {
    let files = ["plain18", "resnet34_a", "resnet50_v1", "resnet101_v1", "resnet152_v1"];
    let macs =
        files.map(|file| load(&experiments().join(format!("imagenet/{file}.toml"))).network.cost().macs as f64 / 1e9);
    let written = macs.map(|giga| format!("{giga:.2}"));
    assert_eq!(written, ["1.79", "3.64", "3.86", "7.57", "11.28"]);
}

#[test]
fn plain_and_residual_twins_cost_the_same() {
    for [plain, residual] in [["plain20", "resnet20"], ["imagenet/plain34", "imagenet/resnet34_a"]] {
        let cost = |name: &str| load(&experiments().join(format!("{name}.toml"))).network.cost();
        assert_eq!(cost(plain), cost(residual));
    }
}

/// The Inception row alone, without the classifier that makes it a network.
#[test]
fn the_decks_inception_modules() {
    for (name, macs, classifier) in
        [("inception_naive", 854_196_224, 672 * 10), ("inception_reduced", 271_351_808, 480 * 10)]
    {
        let network = load(&experiments().join(format!("deck/{name}.toml"))).network;
        assert_eq!(network.cost().macs, macs + classifier, "{name}");
    }
}

/// The written rows of B0 are those of its preset. Their depthwise filters used to start 34 times smaller.
#[test]
fn efficientnet_b0_in_rows_is_the_preset() {
    let rows = load(&experiments().join("efficientnet-b0.toml"));
    let text = std::fs::read_to_string(experiments().join("efficientnet-b0-phi1.toml")).unwrap();
    let unscaled = Experiment::parse("b0", &text, "b0", &["scaling.phi=0".to_owned()], Machine::default()).unwrap();
    let (rows, preset) = (&rows.network, &unscaled.network);
    assert_eq!(rows.cost(), preset.cost());
    assert_eq!(rows.plan.stochastic_depth, preset.plan.stochastic_depth);
    assert_eq!(rows.plan.style, preset.plan.style);
    // Weights are drawn from their names, which differ, so their deviations agree as far as samples do.
    let deviations = |network: &Network| -> Vec<f64> {
        let model = Model::new(network, Device::Cpu, 0).unwrap();
        let large = model.params().iter().filter(|(param, _)| param.role.is_weight() && param.count() > 1000);
        large.map(|(_, tensor)| tensor.std(true).double_value(&[])).collect()
    };
    let (rows, preset) = (deviations(rows), deviations(preset));
    assert_eq!(rows.len(), preset.len());
    assert!(rows.iter().zip(&preset).all(|(a, b)| (a / b - 1.0).abs() < 0.1), "{rows:?}\n{preset:?}");
}

/// He et al. 2016, table 3: pre-activation ResNets of 9n+2 layers with 1.7 and 10.2 million parameters.
#[test]
fn the_cifar10_files_are_the_papers_deep_networks() {
    for (name, depth, params) in [("resnet164_preact", 164, 1_703_258), ("resnet1001_preact", 1001, 10_327_706)] {
        let network = load(&experiments().join(format!("cifar10/{name}.toml"))).network;
        assert_eq!((network.depth(), network.cost().params, network.plan.input), (depth, params, [3, 32, 32]));
    }
}

/// The paper's α multiplies a sum over channels, a row's is divided by their number (Krizhevsky et al. 2012, section 3.3).
#[test]
fn alexnets_response_normalisation_is_the_papers() {
    let mut rows = 0;
    for name in ["alexnet", "imagenet/alexnet_paper"] {
        for row in &load(&experiments().join(format!("{name}.toml"))).network.plan.rows {
            if let Row::Lrn(lrn) = row {
                assert_eq!((lrn.size, lrn.k, lrn.beta), (5, 2.0, 0.75), "{name}");
                assert!((lrn.alpha / lrn.size as f64 - 1e-4).abs() < 1e-12, "{name}");
                rows += 1;
            }
        }
    }
    assert_eq!(rows, 4);
}

/// The authors' Caffe model has biases in squeeze-and-excitation: 28,088,024 parameters.
#[test]
fn se_resnet50_has_the_parameters_of_the_authors_model() {
    let network = load(&experiments().join("imagenet/se_resnet50.toml")).network;
    assert_eq!(network.cost().params, 25_557_032 + 2_514_944 + 16_048);
}

/// The licences of crates that are no longer there, or of other versions, are nobody's to rely on.
#[test]
fn the_page_of_licences_is_of_the_locked_crates() {
    let read = |name: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    let (page, lock, notices) = (read("docs/licences.md"), read("Cargo.lock"), read("docs/notices.txt"));
    let table = page.split("| licence | crates |").nth(1).unwrap().split("\n\n").next().unwrap();
    let crates: Vec<&str> = table.lines().skip(2).filter_map(|row| row.split(" | ").nth(1)).collect();
    let crates: Vec<&str> = crates.iter().flat_map(|row| row.trim_end_matches(" |").split(", ")).collect();
    assert!(crates.len() > 100, "{crates:?}");
    for name in crates {
        let (krate, version) = name.split_once(' ').unwrap();
        let locked = format!("name = \"{krate}\"\nversion = \"{version}\"\n");
        assert!(lock.contains(&locked) && notices.contains(name), "{name}: python3 scripts/licences.py");
    }
}
