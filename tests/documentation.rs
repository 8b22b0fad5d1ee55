//! The pages in docs/ and the README: their examples are experiments, their links lead somewhere, and no key is missing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use strata::arch::activations::Act;
use strata::arch::presets::PresetName;
use strata::arch::rows::OpName;
use strata::config::{Experiment, Machine, Sweep};
use strata::data::DatasetName;
use strata::named::Named;
use strata::recipe::{losses::LossName, optimizers::OptimizerName, schedules::ScheduleName};
use strata::study::StudyName;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown page with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let files = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let markdown = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let paths = files(root().to_owned()).chain(files(root().join("docs"))).filter(markdown);
    paths.map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn whole_examples_are_experiments() {
    let mut examples = 0;
    for (page, text) in pages() {
        let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        for block in blocks.filter(|block| block.contains("[model]")) {
            let file = page.display().to_string();
            // An example's own images do not exist here.
            let mut block = block.replace("\"folder\"", "\"synthetic\"");
            if let Some(path) = block.lines().find(|line| line.starts_with("path = ")).map(str::to_owned) {
                block = block.replace(&path, "");
            }
            let valid = if block.contains("[sweep]") {
                Sweep::parse(&file, &block, "example", &[], Machine::default()).map(|_| ())
            } else {
                Experiment::parse(&file, &block, "example", &[], Machine::default()).map(|_| ())
            };
            valid.unwrap_or_else(|error| panic!("{error}"));
            examples += 1;
        }
    }
    assert!(examples >= 3, "only {examples} examples");
}

#[test]
fn links_lead_to_files() {
    for (page, text) in pages() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") {
                assert!(page.with_file_name(file).exists(), "{}: {target}", page.display());
            }
        }
    }
}

/// The keys of a table and of all tables in it, without the numbers and names that users choose.
fn keys(table: &toml::Table, found: &mut BTreeSet<String>) {
    for (key, value) in table {
        found.insert(key.clone());
        let inner: Vec<&toml::Value> = value.as_array().map_or_else(|| vec![value], |list| list.iter().collect());
        inner.into_iter().filter_map(toml::Value::as_table).for_each(|table| keys(table, found));
    }
}

/// The names of a list, with their keys.
fn named<N: Named>() -> impl Iterator<Item = String> {
    N::TEXTS.iter().copied().chain(N::all_keys()).map(str::to_owned)
}

/// The page names everything that is chosen by name, with its keys, and every key that an experiment has when it is written out.
#[test]
fn every_key_is_on_the_page_of_keys() {
    let page = fs::read_to_string(root().join("docs/keys.md")).unwrap();
    let mut names: BTreeSet<String> =
        PresetName::TEXTS.iter().chain(OpName::TEXTS).map(|&name| name.to_owned()).collect();
    names.extend(
        named::<DatasetName>()
            .chain(named::<OptimizerName>())
            .chain(named::<ScheduleName>())
            .chain(named::<LossName>()),
    );
    names.extend(Act::ALL.iter().map(|act| act.name().to_owned()));
    // Written only when they are on.
    names.extend(
        [
            "patience",
            "log_every",
            "log_gradients",
            "keep_every",
            "layer_decay",
            "bias_lr_factor",
            "accumulate",
            "sam_rho",
            "sync_bn",
        ]
        .map(str::to_owned),
    );
    names.extend(["size", "stages", "test_flip"].map(str::to_owned));
    let augment = [
        "lighting",
        "repeats",
        "color_jitter",
        "auto_augment",
        "rand_augment",
        "trivial_augment",
        "erasing",
        "cutout",
        "mixup",
        "cutmix",
    ];
    names.extend(augment.map(str::to_owned));
    names.extend(["from", "replace", "freeze", "sha256", "classes"].map(str::to_owned));
    let train = |keys: &str| format!("[train]\nepochs = 1\n{keys}\n");
    let recipes = [
        "optimizer = 'adam'\nschedule = 'cosine'",
        "optimizer = 'rmsprop'\nschedule = 'exponential'",
        "schedule = 'step'\nmilestones = [1]",
        "schedule = 'one_cycle'",
    ];
    for preset in PresetName::TEXTS {
        for recipe in recipes {
            let text = format!("[data]\ndataset = 'imagenet'\n[model]\npreset = '{preset}'\n{}", train(recipe));
            let text =
                if ["wide_resnet", "highway"].contains(preset) { text.replace("imagenet", "cifar10") } else { text };
            let experiment = Experiment::parse("keys", &text, "keys", &[], Machine::default())
                .unwrap_or_else(|error| panic!("{error}"));
            keys(&experiment.to_toml(), &mut names);
            keys(&experiment.to_toml_rows(), &mut names);
        }
    }
    let missing: Vec<&String> = names
        .iter()
        .filter(|name| !page.contains(&format!("`{name}")) && !page.contains(&format!(".{name}`")))
        .filter(|name| !page.contains(&format!("`\"{name}\"`")))
        .collect();
    assert!(missing.is_empty(), "docs/keys.md does not have {missing:?}");
}

/// Every study has a part of the page of studies, with its options.
#[test]
fn every_study_is_on_the_page_of_studies() {
    let page = fs::read_to_string(root().join("docs/studies.md")).unwrap();
    for study in StudyName::ALL {
        let (_, part) =
            page.split_once(&format!("\n## `{}`", study.text())).unwrap_or_else(|| panic!("{}", study.text()));
        let part = part.split("\n## ").next().unwrap_or_default();
        let missing: Vec<&str> =
            study.keys().iter().copied().filter(|key| !part.contains(&format!("`{key}"))).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", study.text());
    }
}

/// Words in code marks, without those in blocks of code.
fn marked(text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).collect();
    prose.split('`').skip(1).step_by(2).filter(|word| !word.contains(char::is_whitespace)).map(str::to_owned).collect()
}

#[test]
fn source_files_that_pages_name_are_there() {
    for (page, text) in pages() {
        let files = marked(&text).into_iter().filter(|word| word.starts_with("src/") || word.starts_with("tests/"));
        for file in files.filter(|file| !file.contains("NAME") && !file.contains('*')) {
            assert!(root().join(&file).exists(), "{}: there is no {file}", page.display());
        }
    }
}

/// The page on extending names tests that an entry of a list has to pass.
#[test]
fn tests_that_the_page_on_extending_names_are_there() {
    let files = ["src", "tests"].map(|folder| files_below(&root().join(folder))).concat();
    let sources: String = files.iter().map(|file| fs::read_to_string(file).unwrap_or_default()).collect();
    let page = fs::read_to_string(root().join("docs/extending.md")).unwrap();
    let is_test =
        |word: &String| word.split('_').count() > 3 && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    for test in marked(&page).into_iter().filter(is_test) {
        assert!(sources.contains(&format!("fn {test}(")), "there is no test {test}");
    }
}

/// The source files below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] });
    below.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}
