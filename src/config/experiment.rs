//! An experiment: read, completed, checked; and written down again.

use super::data::Data;
use super::document::{Document, overridden};
use super::expect::Expect;
use super::key::Key;
use super::model::{self, Origin, Shared};
use super::problem::{ConfigError, Problem, from_serde};
use super::train::{Train, TrainKeys};
use crate::arch::presets::Preset;
use crate::arch::rows::Row;
use crate::arch::{Network, Scaling};
use crate::data::DataSource;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

/// Everything that decides a result, with nothing left open.
#[derive(Clone, Debug)]
pub struct Experiment {
    pub name: String,
    pub seed: u64,
    pub data: Data,
    pub origin: Origin,
    /// Scaled and with every shape known; the points of a sweep that have the same network share it.
    pub network: Arc<Network>,
    pub train: Train,
    pub expect: Option<Expect>,
    /// The file has a `[sweep]`, which is no part of this experiment.
    pub swept: bool,
    pub(super) scaling: Scaling,
    /// The input before scaling.
    base_input: [usize; 3],
    overrides: toml::Table,
}

/// What the machine decides where the file says `auto`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// bf16 is computed by the processor itself.
    pub native_bf16: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    name: Option<String>,
    #[serde(default)]
    seed: u64,
    // Read by hand below; here so that serde knows and lists them.
    #[allow(dead_code)]
    data: serde::de::IgnoredAny,
    #[allow(dead_code)]
    model: serde::de::IgnoredAny,
    #[serde(default)]
    scaling: Scaling,
    #[serde(default)]
    train: TrainKeys,
    expect: Option<Expect>,
    // What `strata sweep` varies; a single run passes it over.
    sweep: Option<serde::de::IgnoredAny>,
}

impl Experiment {
    /// Reads an experiment file with overrides such as `train.epochs=3`.
    ///
    /// # Errors
    /// For a file that cannot be read and for everything in it that is unknown, out of range or cannot work.
    pub fn load(path: &Path, overrides: &[String], machine: Machine) -> Result<Experiment, ConfigError> {
        Experiment::load_for(path, overrides, machine, None)
    }

    /// As [`Experiment::load`], with the network built for `input`, `[channels, height, width]`, where it is given: in the
    /// place of the input that the file has, scaled or not.
    ///
    /// # Errors
    /// As [`Experiment::load`].
    pub fn load_for(
        path: &Path,
        overrides: &[String],
        machine: Machine,
        input: Option<[usize; 3]>,
    ) -> Result<Experiment, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::file(format!("cannot read {}: {error}", path.display())))?;
        let stem = path.file_stem().map_or_else(|| "experiment".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let mut overrides = overrides.to_vec();
        overrides.extend(input.map(|input| format!("model.input={input:?}")));
        let source = overridden(&path.display().to_string(), &text, &overrides)?;
        let document = Document::parse(&source)?;
        let mut networks = Architectures { input, ..Architectures::default() };
        build_shared(&document.root, &stem, machine, &mut networks).map_err(|problem| document.error(&problem))
    }

    /// Reads an experiment from a text. `file` is what errors call it, `name` what the experiment is called if it does not say.
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
            Origin::Preset(preset) => table(preset),
            Origin::Rows(rows) => rows_table(rows),
        };
        let mut shared = Shared { input: Some(self.base_input), ..Shared::of(&self.network.plan) };
        if let Origin::Preset(preset) = &self.origin {
            shared.bn_scale = self.bn_scale_beside(preset);
        }
        model.extend(table(&shared));
        if !self.overrides.is_empty() {
            model.insert("override".to_owned(), toml::Value::Table(self.overrides.clone()));
        }
        let mut root = self.frame(model);
        if !self.scaling.is_identity() {
            root.insert("scaling".to_owned(), toml::Value::Table(table(&self.scaling)));
        }
        root
    }

    /// `bn_scale` where it is not what the preset has.
    fn bn_scale_beside(&self, preset: &Preset) -> Option<bool> {
        let plan = &self.network.plan;
        let own = preset.recipe(plan.classes).map_or(true, |recipe| recipe.style.bn_scale);
        (plan.style.bn_scale != own).then_some(plan.style.bn_scale)
    }

    /// The same experiment with every row written out: presets expanded, overrides and scaling worked in.
    pub fn to_toml_rows(&self) -> toml::Table {
        let mut model = table(&Shared::of(&self.network.plan));
        model.extend(rows_table(&self.network.plan.rows));
        self.frame(model)
    }

    fn frame(&self, model: toml::Table) -> toml::Table {
        let mut root = toml::Table::new();
        root.insert("name".to_owned(), self.name.clone().into());
        // TOML's integers are signed; seeds above that are refused when the file is read.
        root.insert("seed".to_owned(), toml::Value::Integer(self.seed as i64));
        root.insert("data".to_owned(), toml::Value::Table(table(&self.data)));
        root.insert("model".to_owned(), toml::Value::Table(model));
        root.insert("train".to_owned(), toml::Value::Table(table(&self.train.keys())));
        if let Some(expect) = &self.expect {
            root.insert("expect".to_owned(), toml::Value::Table(table(expect)));
        }
        root
    }

    /// What tells this experiment from others. Two files that expand into the same rows have the same key.
    pub fn key(&self) -> Key {
        let mut root = self.to_toml_rows();
        root.remove("name");
        root.remove("expect");
        // Images that move stay the same ones: their fingerprint tells.
        if let Some(toml::Value::Table(data)) = root.get_mut("data") {
            data.remove("path");
        }
        Key::of(&root.to_string())
    }
}

/// A slip of a digit shall not ask for terabytes.
const MAX_PARAMS: u64 = 100_000_000_000;

pub(super) fn build(root: &DeTable, name: &str, machine: Machine) -> Result<Experiment, Problem> {
    build_shared(root, name, machine, &mut Architectures::default())
}

/// As [`build`], with the networks that were built for other experiments.
pub(super) fn build_shared(
    root: &DeTable,
    name: &str,
    machine: Machine,
    known: &mut Architectures,
) -> Result<Experiment, Problem> {
    let keys = Keys::deserialize(Deserializer::from(Spanned::new(0..0, root.clone())))
        .map_err(|error| from_serde(&error, "", &[]))?;
    if keys.seed > i64::MAX as u64 {
        return Err(Problem::at("seed", format!("a seed is between 0 and {}", i64::MAX)));
    }
    let name = keys.name.unwrap_or_else(|| name.to_owned());
    check_name(&name)?;
    let data = root.get("data").cloned().ok_or_else(|| Problem::at("", "the key `data` is missing"))?;
    let data = Data::read(data)?;
    data.check()?;
    if let Some(expect) = &keys.expect {
        expect.check()?;
    }
    let Some(model) = root.get("model").filter(|value| value.get_ref().is_table()) else {
        return Err(Problem::at("model", "`model` is a table: [model]"));
    };
    let architecture = known.get(model, &keys.scaling, &data.source)?;
    let [_, height, width] = architecture.network.plan.input;
    data.check_augment([height, width])?;
    let train = keys.train.resolve(machine.native_bf16)?;
    Ok(Experiment {
        name,
        seed: keys.seed,
        data,
        origin: architecture.origin,
        network: architecture.network,
        train,
        expect: keys.expect,
        swept: keys.sweep.is_some(),
        scaling: keys.scaling,
        base_input: architecture.base_input,
        overrides: architecture.overrides,
    })
}

/// A `[model]` with its `[scaling]`, built.
#[derive(Clone)]
struct Architecture {
    origin: Origin,
    network: Arc<Network>,
    base_input: [usize; 3],
    overrides: toml::Table,
}

/// Networks by what they were written as: most points of a sweep have the network of another.
#[derive(Default)]
pub(super) struct Architectures {
    known: HashMap<String, Architecture>,
    /// Input that the networks are built for, whatever is written; `[scaling]` does not multiply it.
    input: Option<[usize; 3]>,
}

impl Architectures {
    fn get(&mut self, model: &Spanned<DeValue>, scaling: &Scaling, data: &DataSource) -> Result<Architecture, Problem> {
        // Places in the text are part of this, which costs a hit now and then but never mixes two up.
        let written = format!("{} {} {scaling:?} {model:?}", data.info().name, data.classes());
        if let Some(known) = self.known.get(&written) {
            return Ok(known.clone());
        }
        let built = architecture(model.clone(), scaling, data, self.input)?;
        // Samples may have thousands of networks, most of which are left out: what nobody holds is let go.
        if self.known.len() >= 1000 {
            self.known.retain(|_, known| Arc::strong_count(&known.network) > 1);
        }
        self.known.insert(written, built.clone());
        Ok(built)
    }
}

fn architecture(
    model: Spanned<DeValue>,
    scaling: &Scaling,
    data: &DataSource,
    input: Option<[usize; 3]>,
) -> Result<Architecture, Problem> {
    let info = data.info();
    let span = model.span();
    let DeValue::Table(table) = model.into_inner() else { return Err(Problem::at("model", "not a table")) };
    let model = model::read(Spanned::new(span, table), info.shape, data.classes())?;
    let classes = data.classes();
    if model.plan.classes < classes && !info.open {
        let message =
            format!("{} has {classes} classes; a network of {} cannot name them", info.name, model.plan.classes);
        return Err(Problem::at("model.classes", message));
    }
    let base_input = model.plan.input;
    let mut plan = model.plan;
    // Scaling lifts widths and repeats to 1 at least; rows that are not scaled are judged as they are written.
    if !scaling.is_identity() {
        scaling.apply(&mut plan).map_err(|error| {
            let key = error.key.map_or_else(|| "scaling".to_owned(), |key| format!("scaling.{key}"));
            Problem::at(key, error.to_string())
        })?;
        if input.is_none() {
            model::check_sides("scaling", plan.input)?;
        }
    }
    if let Some(input) = input {
        plan.input = input;
    }
    let labels: Vec<String> = plan.rows.iter().map(|row| row.name().first().unwrap_or(row.op()).to_owned()).collect();
    let network = Network::new(plan).map_err(|error| {
        let label = labels.get(error.row).map_or("", String::as_str);
        let mut problem = Problem::at(row_key(&model.origin, &model.overrides, error.row, label), error.to_string());
        problem.help = model::row_help(&model.origin, label);
        problem
    })?;
    check_stochastic_depth(&network)?;
    let params = network.cost().params.saturating_add(network.aux_cost().params);
    if params > MAX_PARAMS {
        let message = format!("the network has {params} parameters; more than {MAX_PARAMS} fit nowhere");
        return Err(Problem::at(if scaling.is_identity() { "model" } else { "scaling" }, message));
    }
    Ok(Architecture { origin: model.origin, network: Arc::new(network), base_input, overrides: model.overrides })
}

/// Where a row is written: in `rows`, or, of a preset's, what overrides it. Dots in a label would be parts of the key.
fn row_key(origin: &Origin, overrides: &toml::Table, index: usize, label: &str) -> String {
    let overridden = !label.contains('.') && overrides.contains_key(label);
    match origin {
        Origin::Preset(_) if overridden => format!("model.override.{label}"),
        _ => format!("model.rows.{index}"),
    }
}

/// Stochastic depth needs blocks with a shortcut. Whether inverted residuals have one follows from their sizes, so that a
/// network of them may come to have none.
fn check_stochastic_depth(network: &Network) -> Result<(), Problem> {
    let by_size = |row: &Row| matches!(row, Row::InvertedResidual(_) | Row::Mbconv(_));
    let drops = network.plan.stochastic_depth.survival < 1.0;
    if drops && network.shortcuts() == 0 && !network.plan.rows.iter().any(by_size) {
        let message =
            "stochastic depth skips a block and keeps its shortcut, but no block of this network has a shortcut";
        return Err(Problem::at("model.stochastic_depth", message));
    }
    Ok(())
}

/// A name becomes a folder, so it stays below the one it is put in.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && name.len() <= 100 && name.chars().all(fits) && !name.starts_with('.') {
        return Ok(());
    }
    Err(Problem::at(
        "name",
        format!("{name:?} cannot name a folder: at most 100 letters, digits, - _ and . after the first place"),
    ))
}

fn rows_table(rows: &[Row]) -> toml::Table {
    let rows = rows.iter().map(|row| toml::Value::Table(table(row))).collect();
    toml::Table::from_iter([("rows".to_owned(), toml::Value::Array(rows))])
}

/// Any of our values as a table; all of them serialise into one.
fn table<T: serde::Serialize>(value: &T) -> toml::Table {
    toml::Table::try_from(value).unwrap_or_default()
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
