//! The `[model]` table: a preset with its keys, or rows, and the keys that both share.

use super::problem::{Location, Problem, from_serde};
use crate::arch::activations::Act;
use crate::arch::network::{Decay, Plan, StochasticDepth};
use crate::arch::node::SurvivalGate;
use crate::arch::presets::{Preset, PresetName, PresetRows};
use crate::arch::rows::{OpName, Row};
use crate::arch::style::{Init, Norm, Scheme, Style};
use crate::named::{Named, check_range};
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, ValueDeserializer};

/// Keys of every network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Shared {
    /// `[channels, height, width]`; the dataset's where it is missing.
    pub input: Option<[usize; 3]>,
    pub classes: Option<usize>,
    pub norm: Option<Norm>,
    pub act: Option<Act>,
    pub bn_eps: Option<f64>,
    pub bn_momentum: Option<f64>,
    /// Whether normalisations learn a factor γ; not written if they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bn_scale: Option<bool>,
    pub init: Option<InitKeys>,
    pub stochastic_depth: Option<StochasticDepthKeys>,
}

pub(super) const SHARED: &[&str] =
    &["input", "classes", "norm", "act", "bn_eps", "bn_momentum", "bn_scale", "init", "stochastic_depth"];

/// [`Init`] as written; missing keys have the preset's values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct InitKeys {
    pub conv: Option<Scheme>,
    pub linear: Option<Scheme>,
    pub conv_std: Option<f64>,
    pub linear_std: Option<f64>,
    pub bias: Option<f64>,
}

/// [`StochasticDepth`] as written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StochasticDepthKeys {
    pub survival: Option<f64>,
    pub decay: Option<Decay>,
    pub gate: Option<SurvivalGate>,
}

/// Where the rows come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    Preset(Preset),
    /// The rows as they were written, before overrides and scaling.
    Rows(Vec<Row>),
}

/// The `[model]` table, read.
pub(super) struct Model {
    pub origin: Origin,
    /// Before scaling.
    pub plan: Plan,
    /// `[model.override]`, kept for writing the experiment down.
    pub overrides: toml::Table,
}

/// Reads `[model]`. `input` and `classes` are those of the dataset, used where the table does not set them.
pub(super) fn read(table: Spanned<DeTable>, input: [usize; 3], classes: usize) -> Result<Model, Problem> {
    let span = table.span();
    let mut table = table.into_inner();
    let preset = table.remove_entry("preset");
    let rows = table.remove_entry("rows");
    let overrides = table.remove("override");
    let mut shared = DeTable::new();
    for key in SHARED {
        if let Some((key, value)) = table.remove_entry(*key) {
            shared.insert(key, value);
        }
    }
    let shared = Shared::deserialize(Deserializer::from(Spanned::new(span.clone(), shared)))
        .map_err(|error| from_serde(&error, "model", &[]))?;
    let classes = shared.classes.unwrap_or(classes);
    let input = shared.input.unwrap_or(input);
    check_input(input, classes)?;

    let (origin, mut plan) = match (preset, rows) {
        (Some((key, _)), Some(_)) => {
            return Err(Problem::span(key.span(), "a model has a `preset` or `rows`, not both")
                .help("`strata show FILE` writes a preset's rows out"));
        }
        (None, None) => {
            let presets = PresetName::TEXTS.join(", ");
            return Err(Problem::at("model", "a model needs a `preset` or `rows`").help(format!("presets: {presets}")));
        }
        (Some((_, name)), None) => from_preset(name, table, span, input, classes)?,
        (None, Some((_, rows))) => {
            if let Some((key, _)) = table.iter().next() {
                let allowed: Vec<&str> = ["rows", "preset", "override"].iter().chain(SHARED).copied().collect();
                let location = Location::Span(key.span());
                let message = format!("there is no key `{}` in a model of rows", key.get_ref());
                return Err(Problem::unknown_key(location, message, key.get_ref(), &allowed));
            }
            let rows = read_rows(rows)?;
            let origin = Origin::Rows(rows.clone());
            (origin, plain_plan(rows, Style::default(), StochasticDepth::default(), input, classes))
        }
    };
    shared.apply(&mut plan)?;
    let overrides = match overrides {
        Some(overrides) => override_rows(&mut plan.rows, overrides)?,
        None => toml::Table::new(),
    };
    Ok(Model { origin, plan, overrides })
}

/// Checks that a network can take images of this shape; errors point to `key`.
pub(super) fn check_sides(key: &str, [c, h, w]: [usize; 3]) -> Result<(), Problem> {
    if !(1..=1024).contains(&c) || ![h, w].iter().all(|side| (1..=8192).contains(side)) {
        let message = format!("input is [channels, height, width] within 1024, 8192, 8192, not [{c}, {h}, {w}]");
        return Err(Problem::at(key, message));
    }
    Ok(())
}

fn check_input(input: [usize; 3], classes: usize) -> Result<(), Problem> {
    check_sides("model.input", input)?;
    if !(2..=100_000).contains(&classes) {
        return Err(Problem::at("model.classes", format!("classes is between 2 and 100000, not {classes}")));
    }
    Ok(())
}

fn plain_plan(
    rows: Vec<Row>,
    style: Style,
    stochastic_depth: StochasticDepth,
    input: [usize; 3],
    classes: usize,
) -> Plan {
    Plan { rows, style, stochastic_depth, input, classes }
}

fn from_preset(
    name: Spanned<DeValue>,
    keys: DeTable,
    span: std::ops::Range<usize>,
    input: [usize; 3],
    classes: usize,
) -> Result<(Origin, Plan), Problem> {
    let location = Location::Span(name.span());
    let name = String::deserialize(ValueDeserializer::from(name)).map_err(|error| from_serde(&error, "model", &[]))?;
    let keys = Deserializer::from(Spanned::new(span, keys));
    let Some(known) = PresetName::parse(&name) else {
        return Err(Problem::unknown(location, "preset", &name, PresetName::TEXTS));
    };
    let preset = known.read(keys).map_err(|error| {
        let mut problem = from_serde(&error, &format!("preset {name}"), SHARED);
        if let Some(key) = problem.message.strip_prefix("duplicate field ") {
            problem.message = format!("{key} and `variant` are the same key: give one of them");
        }
        problem
    })?;
    let PresetRows { rows, style, stochastic_depth } =
        preset.expand(classes).map_err(|error| Problem::of_key("model", error))?;
    let plan = plain_plan(rows, style, stochastic_depth, input, classes);
    Ok((Origin::Preset(preset), plan))
}

fn read_rows(rows: Spanned<DeValue>) -> Result<Vec<Row>, Problem> {
    let span = rows.span();
    let DeValue::Array(rows) = rows.into_inner() else {
        return Err(Problem::span(
            span,
            "`rows` is a list of tables, one a row: { op = \"conv\", kernel = 3, width = 64 }",
        ));
    };
    if rows.is_empty() {
        return Err(Problem::span(span, "`rows` is empty; the smallest network is one `classifier` row"));
    }
    rows.into_iter().map(read_row).collect()
}

fn read_row(row: Spanned<DeValue>) -> Result<Row, Problem> {
    let span = row.span();
    let DeValue::Table(mut columns) = row.into_inner() else {
        return Err(Problem::span(span, "a row is a table such as { op = \"conv\", kernel = 3, width = 64 }"));
    };
    let Some(op) = columns.remove("op") else {
        return Err(
            Problem::span(span, "this row has no `op`").help(format!("operations: {}", OpName::TEXTS.join(", ")))
        );
    };
    columns.values().try_for_each(check_nested)?;
    let location = Location::Span(op.span());
    let op = String::deserialize(ValueDeserializer::from(op)).map_err(|error| from_serde(&error, "row", &[]))?;
    let Some(known) = OpName::parse(&op) else {
        return Err(Problem::unknown(location, "operation", &op, OpName::TEXTS));
    };
    known.read(Deserializer::from(Spanned::new(span.clone(), columns))).map_err(|error| {
        let mut problem = from_serde(&error, &format!("{op} rows"), &["op"]);
        if !matches!(problem.location, Location::Span(_)) {
            problem.location = Location::Span(span);
        }
        problem
    })
}

/// Reads nested rows one by one, because serde loses the locations of errors in them.
fn check_nested(value: &Spanned<DeValue>) -> Result<(), Problem> {
    match value.get_ref() {
        DeValue::Array(items) => items.iter().try_for_each(check_nested),
        DeValue::Table(columns) if columns.contains_key("op") => read_row(value.clone()).map(drop),
        _ => Ok(()),
    }
}

/// `[model.override]`: columns set in rows that are named by their `name` or `row3`.
fn override_rows(rows: &mut [Row], overrides: Spanned<DeValue>) -> Result<toml::Table, Problem> {
    let span = overrides.span();
    let written = toml::Table::deserialize(ValueDeserializer::from(overrides.clone()))
        .map_err(|error| from_serde(&error, "model.override", &[]))?;
    let DeValue::Table(table) = overrides.into_inner() else {
        return Err(Problem::span(span, "`override` is a table: [model.override.layer2] stride = 1"));
    };
    for (label, columns) in table {
        let labels: Vec<String> = rows
            .iter()
            .enumerate()
            .map(|(index, row)| row.name().first().map_or_else(|| format!("row{}", index + 1), str::to_owned))
            .collect();
        let numbered = label.get_ref().strip_prefix("row").and_then(|number| number.parse::<usize>().ok());
        let index = labels
            .iter()
            .position(|name| name == label.get_ref().as_ref())
            .or(numbered.and_then(|number| number.checked_sub(1)).filter(|&index| index < rows.len()));
        let Some(index) = index else {
            let allowed: Vec<&str> = labels.iter().map(String::as_str).collect();
            return Err(Problem::unknown(Location::Span(label.span()), "row", label.get_ref(), &allowed));
        };
        rows[index] = overridden(&rows[index], columns)?;
    }
    Ok(written)
}

fn overridden(row: &Row, columns: Spanned<DeValue>) -> Result<Row, Problem> {
    let span = columns.span();
    let DeValue::Table(columns) = columns.into_inner() else {
        return Err(Problem::span(span, "an override is a table of columns: [model.override.layer2] stride = 1"));
    };
    let cannot = |error: &dyn std::fmt::Display| Problem::span(span.clone(), format!("cannot override: {error}"));
    // Through a text, because only tables that were parsed know where their values are: those of `columns` are kept.
    let text = toml::to_string(row).map_err(|error| cannot(&error))?;
    let mut table = DeTable::parse(&text).map_err(|error| cannot(&error))?.into_inner();
    table.remove("op");
    for (key, value) in columns {
        table.remove(key.get_ref().as_ref());
        table.insert(key, value);
    }
    row.kind().read(Deserializer::from(Spanned::new(span, table))).map_err(|error| {
        let op = row.op();
        from_serde(&error, &format!("{op} rows"), &[])
    })
}

impl Shared {
    fn apply(&self, plan: &mut Plan) -> Result<(), Problem> {
        let style = &mut plan.style;
        set(&mut style.norm, self.norm);
        set(&mut style.act, self.act);
        set(&mut style.bn_eps, self.bn_eps);
        set(&mut style.bn_momentum, self.bn_momentum);
        set(&mut style.bn_scale, self.bn_scale);
        if let Some(init) = &self.init {
            set(&mut style.init.conv, init.conv);
            set(&mut style.init.linear, init.linear);
            set(&mut style.init.conv_std, init.conv_std);
            set(&mut style.init.linear_std, init.linear_std);
            set(&mut style.init.bias, init.bias);
        }
        if let Some(depth) = &self.stochastic_depth {
            set(&mut plan.stochastic_depth.survival, depth.survival);
            set(&mut plan.stochastic_depth.decay, depth.decay);
            set(&mut plan.stochastic_depth.gate, depth.gate);
        }
        let survival = plan.stochastic_depth.survival;
        for (key, value, low, high) in [
            ("bn_eps", plan.style.bn_eps, 1e-12, 1.0),
            ("bn_momentum", plan.style.bn_momentum, 0.0, 1.0),
            ("init.conv_std", plan.style.init.conv_std, 0.0, 1e3),
            ("init.linear_std", plan.style.init.linear_std, 0.0, 1e3),
            ("init.bias", plan.style.init.bias, -1e3, 1e3),
            ("stochastic_depth.survival", survival, 0.01, 1.0),
        ] {
            check_range(key, value, low, high).map_err(|error| Problem::of_key("model", error))?;
        }
        Ok(())
    }

    /// The keys of a plan, all of them.
    pub(super) fn of(plan: &Plan) -> Shared {
        let Style { norm, act, bn_eps, bn_momentum, bn_scale, init } = plan.style.clone();
        let Init { conv, linear, conv_std, linear_std, bias } = init;
        let StochasticDepth { survival, decay, gate } = plan.stochastic_depth.clone();
        Shared {
            input: Some(plan.input),
            classes: Some(plan.classes),
            norm: Some(norm),
            act: Some(act),
            bn_eps: Some(bn_eps),
            bn_momentum: Some(bn_momentum),
            bn_scale: (!bn_scale).then_some(false),
            init: Some(InitKeys {
                conv: Some(conv),
                linear: Some(linear),
                conv_std: Some(conv_std),
                linear_std: Some(linear_std),
                bias: Some(bias),
            }),
            stochastic_depth: Some(StochasticDepthKeys {
                survival: Some(survival),
                decay: Some(decay),
                gate: Some(gate),
            }),
        }
    }
}

fn set<T: Copy>(location: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *location = value;
    }
}

/// The help for an error in a row that is not written in the file: where it comes from.
pub(super) fn row_help(origin: &Origin, label: &str) -> Option<String> {
    match origin {
        Origin::Rows(_) => None,
        Origin::Preset(_) => Some(format!(
            "the row is one that the preset expands into ({label}); `strata show FILE` writes all of them out"
        )),
    }
}
