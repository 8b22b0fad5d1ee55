//! Experiments: reading a file, filling in defaults, and validating it.

use super::architecture::Architectures;
use super::data::Data;
use super::document::{Document, overridden};
use super::expect::Expect;
use super::machine::Machine;
use super::model::Origin;
use super::pretrained::Pretrained;
use super::problem::{ConfigError, Problem};
use super::top_level::{TopLevel, missing};
use super::train::Train;
use crate::arch::params::Role;
use crate::arch::{Network, NetworkError, Scaling};
use std::path::Path;
use std::sync::Arc;
use toml::de::DeTable;

/// Everything that determines a result, with all defaults filled in.
#[derive(Clone, Debug)]
pub struct Experiment {
    pub name: String,
    /// Title of the network's diagram, if it is not the name.
    pub title: Option<String>,
    pub seed: u64,
    pub data: Data,
    pub origin: Origin,
    /// The scaled network with all shapes; points of a sweep with the same network share it.
    pub network: Arc<Network>,
    pub train: Train,
    pub init: Pretrained,
    pub expect: Option<Expect>,
    /// Whether the file has a `[sweep]`, which is not part of the experiment.
    pub swept: bool,
    pub scaling: Scaling,
    /// The input before scaling.
    pub(super) base_input: [usize; 3],
    pub(super) overrides: toml::Table,
}

impl Experiment {
    /// Reads an experiment file with overrides such as `train.epochs=3`.
    ///
    /// # Errors
    /// If the file cannot be read, or has unknown keys, values out of range, or a network that cannot be built.
    pub fn load(path: &Path, overrides: &[String], machine: Machine) -> Result<Experiment, ConfigError> {
        read(path, overrides, None, |root, name, known| build_shared(root, name, machine, known))
    }

    /// Reads an experiment from a text. Errors refer to it as `file`; `name` is the default name of the experiment.
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

    /// Builds the network for training images of this height, 0 for its own input. Its parameters do not change.
    ///
    /// # Errors
    /// If the network cannot take such an input.
    pub fn network_at(&self, size: usize) -> Result<Network, NetworkError> {
        network_at(&self.network, size)
    }
}

/// Reads a file with overrides, and with another input where one is given.
pub(super) fn read<T>(
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
    let keys = TopLevel::read(root, name)?;
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

/// Checks that a network trained with `sync_bn` has batch normalisation.
fn check_sync_bn(network: &Network, train: &Train) -> Result<(), Problem> {
    let has_norm = network.params().iter().any(|param| param.role == Role::RunningMean);
    if has_norm || !train.sync_bn {
        return Ok(());
    }
    Err(Problem::at("train.sync_bn", "the network has no batch normalisation"))
}

/// The network for inputs of another height and the same aspect ratio; the network itself for height 0.
fn network_at(network: &Network, size: usize) -> Result<Network, NetworkError> {
    let mut plan = network.plan.clone();
    let [_, height, width] = plan.input;
    if size > 0 {
        plan.input = [plan.input[0], size, (size * width / height).max(1)];
    }
    Network::new(plan)
}
