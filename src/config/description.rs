//! The network of a file that need not be a whole experiment.

use super::architecture::Architectures;
use super::data::Data;
use super::experiment::{Experiment, build_shared, read};
use super::machine::Machine;
use super::problem::{ConfigError, Missing, Problem};
use super::to_toml::model_rows;
use super::top_level::{TopLevel, missing};
use super::train;
use crate::arch::Network;
use std::path::Path;
use std::sync::Arc;
use toml::de::DeTable;

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
    /// Reads a file with overrides. If keys that only training needs are missing, only the network is read; without a dataset,
    /// `input` and `classes` must be set in `[model]`. The network is built for `input`, `[channels, height, width]`, if given,
    /// instead of the file's input, scaled or not.
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
    let keys = TopLevel::read(root, name)?;
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
