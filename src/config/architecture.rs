//! The network of an experiment file: `[model]` with `[scaling]`.

use super::data::Data;
use super::model::{self, Origin};
use super::problem::Problem;
use crate::arch::rows::Row;
use crate::arch::{Network, Scaling};
use std::collections::HashMap;
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeValue;

/// The largest number of parameters: a typing error in a width should not exhaust the memory.
const MAX_PARAMS: u64 = 100_000_000_000;

/// A `[model]` with its `[scaling]`, built.
#[derive(Clone)]
pub(super) struct Architecture {
    pub origin: Origin,
    /// Scaled, with every shape resolved.
    pub network: Arc<Network>,
    /// The input before scaling.
    pub base_input: [usize; 3],
    /// `[model.override]` as it was written.
    pub overrides: toml::Table,
}

/// A cache of networks by their text: most points of a sweep share a network.
#[derive(Default)]
pub(super) struct Architectures {
    known: HashMap<String, Architecture>,
    /// The input that all networks are built for, instead of the file's; `[scaling]` does not change it.
    input: Option<[usize; 3]>,
}

impl Architectures {
    pub(super) fn new(input: Option<[usize; 3]>) -> Architectures {
        Architectures { input, known: HashMap::new() }
    }

    /// Builds a `[model]`, or returns the one that was built from the same text. Without a dataset, `[model]` must set `input`
    /// and `classes`.
    ///
    /// # Errors
    /// For invalid keys, rows and shapes, and for a network with fewer outputs than the dataset has classes.
    pub(super) fn get(
        &mut self,
        model: &Spanned<DeValue>,
        scaling: &Scaling,
        dataset: Option<&Data>,
    ) -> Result<Architecture, Problem> {
        // Positions in the text are part of the cache key: this misses some hits, but never confuses two networks.
        let written =
            format!("{:?} {scaling:?} {model:?}", dataset.map(|set| (set.source.info().name, set.class_count())));
        if let Some(known) = self.known.get(&written) {
            return Ok(known.clone());
        }
        let built = architecture(model.clone(), scaling, dataset, self.input)?;
        // Random samples can need thousands of networks, most of which the limits exclude: those that no point holds are dropped.
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
    dataset: Option<&Data>,
    input: Option<[usize; 3]>,
) -> Result<Architecture, Problem> {
    let span = model.span();
    let DeValue::Table(table) = model.into_inner() else {
        return Err(Problem::at("model", "`model` is a table: [model]"));
    };
    let (shape, classes) = dataset.map_or(([0; 3], 0), |set| (set.source.info().shape, set.class_count()));
    let model = model::read(Spanned::new(span, table), shape, classes)?;
    if let Some(set) = dataset.filter(|set| model.plan.classes < set.class_count() && !set.source.info().open) {
        let name = set.source.info().name;
        let message = format!("{name} has {} classes, but model.classes = {}", set.class_count(), model.plan.classes);
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
        let message = format!("the network has {params} parameters; at most {MAX_PARAMS} are supported");
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
