//! The `[sweep]` table: lists on dotted keys, every combination of which is an experiment; samples, limits on cost, and
//! scaling to one cost.
//!
//! ```toml
//! [sweep]
//! model.depth = [20, 32, 44]        # with the next line a grid of nine
//! seed = [0, 1, 2]
//! zip = [{ name = ["a", "b"], model = [{ preset = "nin" }, { preset = "vgg" }] }]   # these vary together
//! macs = [35e6, 45e6]               # points outside are left out
//!
//! [sweep.random]                    # samples, each of which goes through the grid
//! count = 20
//! train.lr = { log_uniform = [0.001, 1.0], digits = 2 }
//!
//! [sweep.scaling]                   # the multiplier of each axis that comes to the target is solved for
//! macs = 82e6
//! axes = ["depth", "width", "resolution", "compound"]
//!
//! [sweep.halving]                   # after these epochs only the best third of the settings goes on
//! rungs = [2, 6]
//! keep = "1/3"
//! ```

mod axes;
mod expand;
mod halving;
mod limits;
mod random;
mod scaling;
#[cfg(test)]
mod tests;

pub use halving::Halving;

use super::document::{Document, overridden};
use super::experiment::Experiment;
use super::key::Key;
use super::machine::Machine;
use super::problem::ConfigError;
use super::top_level::check_name;
use crate::arch::Cost;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A sweep: its points in the order they are run.
#[derive(Debug)]
pub struct Sweep {
    pub name: String,
    /// The path of the sweep's file.
    pub file: PathBuf,
    /// Overrides of keys in the file, `KEY=VALUE`.
    pub overrides: Vec<String>,
    /// Columns of the sweep's table: the keys that vary and, for scaled points, the multipliers that were solved for.
    pub columns: Vec<String>,
    pub points: Vec<Point>,
    pub halving: Option<Halving>,
    /// Number of points whose cost is outside the limits.
    pub left_out: usize,
    /// Number of points that were the same experiment as an earlier one.
    pub repeats: usize,
}

/// Longest value, in characters, that is part of a point's label.
const LONGEST: usize = 40;

/// One experiment of a sweep.
#[derive(Debug)]
pub struct Point {
    /// The values in the sweep's columns.
    pub values: Vec<String>,
    pub experiment: Experiment,
    /// The experiment's key and cost, computed once.
    pub key: Key,
    pub cost: Cost,
}

impl Sweep {
    /// Reads the sweep of an experiment file and checks every point of it.
    ///
    /// # Errors
    /// As [`Experiment::load`], for the file and for each point; and for a file without `[sweep]`.
    pub fn load(path: &Path, overrides: &[String], machine: Machine) -> Result<Sweep, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::file(format!("cannot read {}: {error}", path.display())))?;
        let name = path.file_stem().map_or_else(|| "sweep".to_owned(), |stem| stem.to_string_lossy().into_owned());
        Sweep::parse(&path.display().to_string(), &text, &name, overrides, machine)
    }

    /// Reads a sweep from a text. Errors refer to it as `file`; `name` is the name of the sweep, and the default name of its
    /// experiments.
    ///
    /// # Errors
    /// As [`Sweep::load`].
    pub fn parse(
        file: &str,
        text: &str,
        name: &str,
        overrides: &[String],
        machine: Machine,
    ) -> Result<Sweep, ConfigError> {
        check_name(name).map_err(|problem| ConfigError::file(format!("{file}: {}", problem.message)))?;
        let source = overridden(file, text, overrides)?;
        let document = Document::parse(&source)?;
        let mut sweep = expand::expand(&document.root, name, machine).map_err(|problem| document.error(&problem))?;
        sweep.file = file.into();
        sweep.overrides = overrides.to_vec();
        let set = overrides.iter().filter_map(|text| Some(text.split_once('=')?.0.trim()));
        let lost =
            |key: &&str| sweep.columns.iter().any(|swept| *key == swept || key.starts_with(&format!("{swept}.")));
        match set.into_iter().find(lost) {
            Some(key) => Err(ConfigError::file(format!(
                "`{key}` is swept, so --set {key} changes nothing; --set 'sweep.{key}=[…]' changes its values"
            ))),
            None => Ok(sweep),
        }
    }

    /// The points of each setting, which differ in the seed only, in the order of their first points.
    pub fn settings(&self) -> Vec<Vec<usize>> {
        let seed = self.columns.iter().position(|column| column == "seed");
        let mut settings: Vec<Vec<usize>> = Vec::new();
        let mut known: HashMap<Vec<&String>, usize> = HashMap::new();
        for (index, point) in self.points.iter().enumerate() {
            let values = point.values.iter().enumerate().filter(|(column, _)| Some(*column) != seed);
            let setting = *known.entry(values.map(|(_, value)| value).collect()).or_insert(settings.len());
            match settings.get_mut(setting) {
                Some(points) => points.push(index),
                None => settings.push(vec![index]),
            }
        }
        settings
    }

    /// The label of a point: `model.depth=20 seed=1`.
    pub fn label(&self, index: usize) -> String {
        let Some(point) = self.points.get(index) else { return String::new() };
        let label = self.label_of(&point.values);
        // Without their long values, points could have the same label.
        if point.values.iter().any(|value| value.len() > LONGEST) {
            format!("{label} (point {})", index + 1)
        } else {
            label
        }
    }

    fn label_of(&self, values: &[String]) -> String {
        let short = |text: &String| if text.len() > LONGEST { "…".to_owned() } else { text.clone() };
        let pairs = self.columns.iter().zip(values).map(|(key, value)| format!("{key}={}", short(value)));
        pairs.collect::<Vec<_>>().join(" ")
    }
}
