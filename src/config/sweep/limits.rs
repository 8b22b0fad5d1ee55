//! Limits on cost: points outside are excluded before anything trains.

use crate::arch::Cost;
use crate::config::problem::{Problem, from_serde};
use serde::Deserialize;
use toml::de::{DeTable, ValueDeserializer};

/// `macs = [low, high]` and `params = [low, high]`, both ends included.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    macs: Option<[f64; 2]>,
    params: Option<[f64; 2]>,
}

/// The range of costs of all points, including those outside the limits.
#[derive(Clone, Debug)]
pub(super) struct Met {
    macs: [u64; 2],
    params: [u64; 2],
}

impl Limits {
    /// Takes the limits out of a `[sweep]` table.
    pub(super) fn take(sweep: &mut DeTable) -> Result<Limits, Problem> {
        let mut limit = |key: &str| {
            let Some(value) = sweep.remove(key) else { return Ok(None) };
            let span = value.span();
            let limit = <[f64; 2]>::deserialize(ValueDeserializer::from(value))
                .map_err(|error| from_serde(&error, "sweep", &[]).help(format!("{key} = [lowest, highest]")))?;
            if limit[0] <= limit[1] {
                return Ok(Some(limit));
            }
            Err(Problem::span(span, format!("`{key}` is [lowest, highest]: {} is more than {}", limit[0], limit[1])))
        };
        Ok(Limits { macs: limit("macs")?, params: limit("params")? })
    }

    pub(super) fn hold(&self, cost: Cost) -> bool {
        let inside = |limit: Option<[f64; 2]>, value: u64| {
            limit.is_none_or(|[low, high]| (low..=high).contains(&(value as f64)))
        };
        inside(self.macs, cost.macs) && inside(self.params, cost.params)
    }
}

impl Met {
    /// Extends the ranges by a cost.
    pub(super) fn add(met: &mut Option<Met>, cost: Cost) {
        let met = met.get_or_insert(Met { macs: [cost.macs; 2], params: [cost.params; 2] });
        for (range, value) in [(&mut met.macs, cost.macs), (&mut met.params, cost.params)] {
            *range = [range[0].min(value), range[1].max(value)];
        }
    }
}

impl std::fmt::Display for Met {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Met { macs, params } = self;
        write!(f, "multiply-adds from {} to {}, parameters from {} to {}", macs[0], macs[1], params[0], params[1])
    }
}
