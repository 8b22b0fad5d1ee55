//! An experiment: read, completed, checked; and written down again.

use super::architecture::Architectures;
use super::data::Data;
use super::document::{Document, overridden};
use super::expect::Expect;
use super::key::Key;
use super::model::{Origin, Shared};
use super::pretrained::Pretrained;
use super::problem::{ConfigError, Missing, Problem, from_serde};
use super::serialize::to_table;
use super::train::{self, ASIDE, Train};
use crate::arch::params::Role;
use crate::arch::presets::Preset;
use crate::arch::rows::Row;
use crate::arch::{Network, NetworkError, Scaling};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

/// Everything that decides a result, with nothing left open.
#[derive(Clone, Debug)]
pub struct Experiment {
    pub name: String,
    /// Title of the network's picture, if it is not the name.
    pub title: Option<String>,
    pub seed: u64,
    pub data: Data,
    pub origin: Origin,
    /// Scaled and with every shape known; the points of a sweep that have the same network share it.
    pub network: Arc<Network>,
    pub train: Train,
    pub init: Pretrained,
    pub expect: Option<Expect>,
    /// The file has a `[sweep]`, which is no part of this experiment.
    pub swept: bool,
    pub scaling: Scaling,
    /// The input before scaling.
    base_input: [usize; 3],
    overrides: toml::Table,
}

/// Properties of the machine that `auto` in a file depends on, and the runs that it has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    /// bf16 is computed by the processor itself.
    pub native_bf16: bool,
    /// The number of ranks that this process is one of; 0 stands for 1.
    pub ranks: usize,
    /// Finds the weights of a run that `init.from` names; the error says why there are none. Without it no run is found.
    pub find_run: Option<FindRun>,
}

/// From a run as it is written on the command line to its best weights.
pub type FindRun = fn(&str) -> Result<FoundRun, String>;

/// A run that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRun {
    /// What names this run and no other: NAME/KEY.
    pub name: String,
    /// The file of its best weights.
    pub weights: PathBuf,
}

impl Experiment {
    /// Reads an experiment file with overrides such as `train.epochs=3`.
    ///
    /// # Errors
    /// For a file that cannot be read and for everything in it that is unknown, out of range or cannot work.
    pub fn load(path: &Path, overrides: &[String], machine: Machine) -> Result<Experiment, ConfigError> {
        read(path, overrides, None, |root, name, known| build_shared(root, name, machine, known))
    }

    /// Reads an experiment from a text. Errors call it `file`; `name` is the experiment's where the text has none.
    ///
    /// # Errors
    /// As [`Experiment::load`].
    pub fn parse(
        file: &str,
        text: &str,
        name: &str,
        overrides: &[String],
        machine: Machine,
    ) -> Result<Experiment, ConfigError> {
        let source = overridden(file, text, overrides)?;
        let document = Document::parse(&source)?;
        build(&document.root, name, machine).map_err(|problem| document.error(&problem))
    }

    /// The experiment with the rows as they were written: a preset stays a preset. Reading it gives the same key.
    pub fn to_toml(&self) -> toml::Table {
        let mut model = match &self.origin {
            Origin::Preset(preset) => to_table(preset),
            Origin::Rows(rows) => rows_table(rows),
        };
        let mut shared = Shared { input: Some(self.base_input), ..Shared::of(&self.network.plan) };
        if let Origin::Preset(preset) = &self.origin {
            shared.bn_scale = self.bn_scale_beside(preset);
        }
        model.extend(to_table(&shared));
        if !self.overrides.is_empty() {
            model.insert("override".to_owned(), toml::Value::Table(self.overrides.clone()));
        }
        let mut root = self.frame(model);
        if !self.scaling.is_identity() {
            root.insert("scaling".to_owned(), toml::Value::Table(to_table(&self.scaling)));
        }
        root
    }

    /// `bn_scale` where it is not what the preset has.
    fn bn_scale_beside(&self, preset: &Preset) -> Option<bool> {
        let plan = &self.network.plan;
        let own = preset.expand(plan.classes).map_or(true, |rows| rows.style.bn_scale);
        (plan.style.bn_scale != own).then_some(plan.style.bn_scale)
    }

    /// The experiment with every row written out: presets expanded, overrides and scaling worked in.
    pub fn to_toml_rows(&self) -> toml::Table {
        self.frame(model_rows(&self.network))
    }

    fn frame(&self, model: toml::Table) -> toml::Table {
        let mut root = toml::Table::new();
        root.insert("name".to_owned(), self.name.clone().into());
        root.extend(self.title.iter().map(|title| ("title".to_owned(), title.clone().into())));
        // TOML's integers are signed; seeds above that are refused when the file is read.
        root.insert("seed".to_owned(), toml::Value::Integer(self.seed as i64));
        root.insert("data".to_owned(), toml::Value::Table(to_table(&self.data)));
        root.insert("model".to_owned(), toml::Value::Table(model));
        root.insert("train".to_owned(), toml::Value::Table(self.train.table()));
        let init = to_table(&self.init);
        if !init.is_empty() {
            root.insert("init".to_owned(), toml::Value::Table(init));
        }
        if let Some(expect) = &self.expect {
            root.insert("expect".to_owned(), toml::Value::Table(to_table(expect)));
        }
        root
    }

    /// The network for training images of this height, 0 for its own input; its parameters are the same.
    ///
    /// # Errors
    /// When the network takes no such input.
    pub fn network_at(&self, size: usize) -> Result<Network, NetworkError> {
        network_at(&self.network, size)
    }

    /// The hash of everything that decides the result. Two files that expand into the same rows have the same key.
    pub fn key(&self) -> Key {
        let mut root = self.to_toml_rows();
        root.retain(|key, _| !["name", "title", "expect"].contains(&key));
        if let Some(init) = root.get_mut("init") {
            *init = toml::Value::Table(self.init.key_table());
        }
        // Images that move stay the same: their fingerprint is part of the key.
        for (table, key) in ASIDE.map(|key| ("train", key)).into_iter().chain([("data", "path")]) {
            root.get_mut(table).and_then(toml::Value::as_table_mut).map(|table| table.remove(key));
        }
        Key::of(&root.to_string())
    }
}

/// The network of a file, for commands that train nothing.
#[derive(Clone, Debug)]
pub struct Description {
    pub name: String,
    /// Title of the network's picture: that of the file, else its name.
    pub title: String,
    pub network: Arc<Network>,
    /// The file has a `[sweep]`.
    pub swept: bool,
    /// The whole experiment, where the file is one: `[data]` and `[train]` may be missing.
    pub experiment: Option<Experiment>,
}

impl Description {
    /// Reads a file with overrides. One that could not be trained for want of keys is read for its network alone; without a
    /// dataset its input and classes are keys of `[model]`. The network is built for `input`, `[channels, height, width]`,
    /// if given, instead of the file's input, scaled or not.
    ///
    /// # Errors
    /// As [`Experiment::load`], except for keys that only training needs.
    pub fn load(
        path: &Path,
        overrides: &[String],
        machine: Machine,
        input: Option<[usize; 3]>,
    ) -> Result<Description, ConfigError> {
        read(path, overrides, input, |root, name, known| {
            let missing = missing(root);
            if !missing.is_empty() {
                return describe(root, name, known, &missing);
            }
            let experiment = build_shared(root, name, machine, known)?;
            let (name, network, swept) = (experiment.name.clone(), experiment.network.clone(), experiment.swept);
            let title = experiment.title.clone().unwrap_or_else(|| name.clone());
            Ok(Description { name, title, network, swept, experiment: Some(experiment) })
        })
    }

    /// `[model]` with every row written out: presets expanded, overrides and scaling worked in.
    pub fn model(&self) -> toml::Table {
        model_rows(&self.network)
    }
}

fn describe(
    root: &DeTable,
    name: &str,
    known: &mut Architectures,
    missing: &[Missing],
) -> Result<Description, Problem> {
    let keys = Keys::read(root, name)?;
    train::check_keys(root.get("train"))?;
    let lacks = |key: &str| missing.iter().any(|missing| missing.key == key);
    let model =
        root.get("model").filter(|_| !lacks("model")).ok_or_else(|| Problem::missing(&[Missing::new("model")]))?;
    let data = match lacks("data.dataset") {
        true => None,
        false => root.get("data").map(Data::read).transpose()?,
    };
    let written = |key: &str| model.get_ref().get(key).is_some();
    let unsaid = ["input", "classes"].into_iter().filter(|key| data.is_none() && !written(key));
    let unsaid: Vec<Missing> = unsaid.map(|key| Missing::new(format!("model.{key}"))).collect();
    if !unsaid.is_empty() {
        return Err(Problem::missing(&unsaid).help("a dataset has both: [data] dataset = \"cifar10\""));
    }
    let network = known.get(model, &keys.scaling, data.as_ref())?.network;
    let (name, swept) = (keys.name(name), keys.sweep.is_some());
    Ok(Description { title: keys.title.unwrap_or_else(|| name.clone()), name, network, swept, experiment: None })
}

/// Reads a file with overrides, and with another input where one is given.
fn read<T>(
    path: &Path,
    overrides: &[String],
    input: Option<[usize; 3]>,
    build: impl FnOnce(&DeTable, &str, &mut Architectures) -> Result<T, Problem>,
) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::file(format!("cannot read {}: {error}", path.display())))?;
    let stem = path.file_stem().map_or_else(|| "experiment".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let mut overrides = overrides.to_vec();
    overrides.extend(input.map(|input| format!("model.input={input:?}")));
    let source = overridden(&path.display().to_string(), &text, &overrides)?;
    let document = Document::parse(&source)?;
    build(&document.root, &stem, &mut Architectures::new(input)).map_err(|problem| document.error(&problem))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    name: Option<String>,
    title: Option<String>,
    #[serde(default)]
    seed: u64,
    // These four are read by hand; they are here so that serde knows and lists them.
    #[allow(dead_code)]
    data: Option<IgnoredAny>,
    #[allow(dead_code)]
    model: Option<IgnoredAny>,
    #[serde(default)]
    scaling: Scaling,
    #[allow(dead_code)]
    train: Option<IgnoredAny>,
    #[allow(dead_code)]
    init: Option<IgnoredAny>,
    expect: Option<Expect>,
    // What `strata sweep` varies; a single run passes it over.
    sweep: Option<IgnoredAny>,
    // What `strata claims` decides by the sweep.
    #[allow(dead_code)]
    claim: Option<IgnoredAny>,
}

impl Keys {
    fn read(root: &DeTable, name: &str) -> Result<Keys, Problem> {
        let keys = Keys::deserialize(Deserializer::from(Spanned::new(0..0, root.clone())))
            .map_err(|error| from_serde(&error, "", &[]))?;
        if keys.seed > i64::MAX as u64 {
            return Err(Problem::at("seed", format!("a seed is between 0 and {}", i64::MAX)));
        }
        check_name(&keys.name(name))?;
        keys.expect.as_ref().map_or(Ok(()), Expect::check)?;
        Ok(keys)
    }

    fn name(&self, stem: &str) -> String {
        self.name.clone().unwrap_or_else(|| stem.to_owned())
    }
}

/// The keys, dotted, without which nothing can be trained and which the file lacks.
fn missing(root: &DeTable) -> Vec<Missing> {
    let mut missing = Vec::new();
    if root.get("data").is_none_or(Data::lacks_dataset) {
        missing.push(Missing::new("data.dataset"));
    }
    if root.get("model").is_none() {
        missing.push(Missing::new("model"));
    }
    missing.extend(train::missing(root.get("train")));
    missing
}

pub(super) fn build(root: &DeTable, name: &str, machine: Machine) -> Result<Experiment, Problem> {
    build_shared(root, name, machine, &mut Architectures::default())
}

/// Builds an experiment as [`build`] does, with a cache of networks that other experiments share.
pub(super) fn build_shared(
    root: &DeTable,
    name: &str,
    machine: Machine,
    known: &mut Architectures,
) -> Result<Experiment, Problem> {
    let keys = Keys::read(root, name)?;
    let missing = missing(root);
    let (Some(data), Some(model), []) = (root.get("data"), root.get("model"), missing.as_slice()) else {
        return Err(Problem::missing(&missing));
    };
    let data = Data::read(data)?;
    let architecture = known.get(model, &keys.scaling, Some(&data))?;
    data.check_augment(architecture.network.plan.input)?;
    let train = Train::read(root.get("train"), machine)?;
    check_sizes(&architecture.network, &train, &data)?;
    check_sync_bn(&architecture.network, &train)?;
    let init = Pretrained::read(root.get("init"), &architecture.network, machine)?;
    Ok(Experiment {
        name: keys.name(name),
        title: keys.title,
        seed: keys.seed,
        data,
        origin: architecture.origin,
        network: architecture.network,
        train,
        init,
        expect: keys.expect,
        swept: keys.sweep.is_some(),
        scaling: keys.scaling,
        base_input: architecture.base_input,
        overrides: architecture.overrides,
    })
}

/// Checks that the network takes training images of other sizes with the same parameters.
fn check_sizes(network: &Network, train: &Train, data: &Data) -> Result<(), Problem> {
    for size in train.sizes() {
        let refused =
            |message: String| Problem::at("train.size", format!("training images of {size} pixels: {message}"));
        let sized = network_at(network, size).map_err(|error| refused(error.to_string()))?;
        if sized.cost().params != network.cost().params {
            let message =
                "the network's parameters depend on the size of its input; it needs a global pooling".to_owned();
            return Err(refused(message));
        }
        data.check_augment(sized.plan.input)?;
    }
    Ok(())
}

/// Checks that there is something to synchronise.
fn check_sync_bn(network: &Network, train: &Train) -> Result<(), Problem> {
    let has_norm = network.params().iter().any(|param| param.role == Role::RunningMean);
    if has_norm || !train.sync_bn {
        return Ok(());
    }
    Err(Problem::at("train.sync_bn", "the network has no batch normalisation"))
}

/// The network for inputs of another height, of the same shape; the network itself for the height 0.
fn network_at(network: &Network, size: usize) -> Result<Network, NetworkError> {
    let mut plan = network.plan.clone();
    let [_, height, width] = plan.input;
    if size > 0 {
        plan.input = [plan.input[0], size, (size * width / height).max(1)];
    }
    Network::new(plan)
}

/// `[model]` of a network, with every row written out.
fn model_rows(network: &Network) -> toml::Table {
    let mut model = to_table(&Shared::of(&network.plan));
    model.extend(rows_table(&network.plan.rows));
    model
}

/// A name becomes a folder, so it stays below the one it is put in.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && name.len() <= 100 && name.chars().all(fits) && !name.starts_with('.') {
        return Ok(());
    }
    Err(Problem::at(
        "name",
        format!(
            "{name:?} is not a valid name: use at most 100 letters, digits, `-`, `_` and `.`, not starting with `.`"
        ),
    ))
}

fn rows_table(rows: &[Row]) -> toml::Table {
    let rows = rows.iter().map(|row| toml::Value::Table(to_table(row))).collect();
    toml::Table::from_iter([("rows".to_owned(), toml::Value::Array(rows))])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Experiment {
        Experiment::parse("test.toml", text, "test", &[], Machine::default()).unwrap()
    }

    /// Rows that were scaled used to be written down scaled, and scaled again when they were read.
    #[test]
    fn an_experiment_written_down_is_the_same_experiment() {
        let frame = "[data]\ndataset = 'synthetic'\nvalidation = 400\n[train]\nepochs = 1\n";
        let rows = "[model]\nrows = [{ op = 'conv', kernel = 3, width = 16, name = 'stem' }, \
                    { op = 'basic', width = 24, repeat = 2, stride = 2 }, { op = 'global_avg_pool' }, { op = 'classifier' }]\n";
        let preset = "[model]\npreset = 'efficientnet'\nstem_stride = 1\n";
        let scaling = "[scaling]\nphi = 1\nwidth = 1.5\nresolution = 0.9\n";
        let expect = "[expect]\ntest_top1 = 0.5\nsource = 'nobody'\n";
        let untitled = parsed(&format!("{frame}{rows}")).key();
        let titled = parsed(&format!("title = 'A network'\n{frame}{rows}"));
        assert_eq!((titled.key(), parsed(&titled.to_toml().to_string()).title), (untitled, titled.title));
        for (model, row) in [(rows, "stem"), (preset, "features.3")] {
            for overrides in ["", "[model.override.ROW]\nwidth = 40\n"] {
                for more in ["", scaling, expect] {
                    let overrides = overrides.replace("ROW", &format!("'{row}'"));
                    let first = parsed(&format!("{frame}{model}{overrides}{more}"));
                    for written in [first.to_toml(), first.to_toml_rows()] {
                        let again = parsed(&written.to_string());
                        assert_eq!(again.key(), first.key(), "{written}");
                        assert_eq!(again.network, first.network);
                    }
                }
            }
        }
    }
}
