//! The keys of an experiment file outside its tables, and the tables that must be there.

use super::data::Data;
use super::expect::Expect;
use super::problem::{Missing, Problem, from_serde};
use super::train;
use crate::arch::Scaling;
use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

/// The top level of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopLevel {
    name: Option<String>,
    pub title: Option<String>,
    #[serde(default)]
    pub seed: u64,
    // These four are read by hand; they are here so that serde knows and lists them.
    #[allow(dead_code)]
    data: Option<IgnoredAny>,
    #[allow(dead_code)]
    model: Option<IgnoredAny>,
    #[serde(default)]
    pub scaling: Scaling,
    #[allow(dead_code)]
    train: Option<IgnoredAny>,
    #[allow(dead_code)]
    init: Option<IgnoredAny>,
    pub expect: Option<Expect>,
    // The values that `strata sweep` varies; ignored by a single run.
    pub sweep: Option<IgnoredAny>,
    // The claim that `strata claims` decides.
    #[allow(dead_code)]
    claim: Option<IgnoredAny>,
}

impl TopLevel {
    pub(super) fn read(root: &DeTable, name: &str) -> Result<TopLevel, Problem> {
        let keys = TopLevel::deserialize(Deserializer::from(Spanned::new(0..0, root.clone())))
            .map_err(|error| from_serde(&error, "", &[]))?;
        if keys.seed > i64::MAX as u64 {
            return Err(Problem::at("seed", format!("a seed is between 0 and {}", i64::MAX)));
        }
        check_name(&keys.name(name))?;
        keys.expect.as_ref().map_or(Ok(()), Expect::check)?;
        Ok(keys)
    }

    pub(super) fn name(&self, stem: &str) -> String {
        self.name.clone().unwrap_or_else(|| stem.to_owned())
    }
}

/// The required keys, dotted, that are missing.
pub(super) fn missing(root: &DeTable) -> Vec<Missing> {
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

/// Checks a name, which becomes the name of a folder.
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
