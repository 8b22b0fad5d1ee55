//! `[sweep.scaling]`: networks of equal cost, scaled along different axes. The multiplier that meets the cost is computed.

use super::axes::{Value, set};
use super::random::{float, rounded};
use crate::config::problem::{Problem, from_serde};
use serde::Deserialize;
use std::fmt;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

/// The target costs of the points, and the axes along which they are scaled.
pub(super) struct Target {
    pub span: Range<usize>,
    pub axes: Vec<By>,
    goals: Vec<Goal>,
    tolerance: f64,
}

/// The cost that networks are scaled to.
#[derive(Clone, Copy)]
pub(super) enum Goal {
    Macs(f64),
    /// A multiple of the unscaled network's multiply-adds.
    Times(f64),
}

/// An axis of scaling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum By {
    Depth,
    Width,
    Resolution,
    /// All three by the exponent φ.
    Compound,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    macs: Option<Numbers>,
    times: Option<Numbers>,
    axes: Vec<By>,
    #[serde(default = "a_tenth")]
    tolerance: f64,
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Goal::Macs(macs) => write!(f, "macs {macs}"),
            Goal::Times(times) => write!(f, "times {times}"),
        }
    }
}

/// A number or a list of them.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number or a list of numbers")]
enum Numbers {
    One(f64),
    Several(Vec<f64>),
}

impl Numbers {
    /// Converts them to goals; `None` if a number is not positive, or if the list is empty or has duplicates.
    fn goals(self, goal: fn(f64) -> Goal) -> Option<Vec<Goal>> {
        let numbers = match self {
            Numbers::One(number) => vec![number],
            Numbers::Several(numbers) => numbers,
        };
        let once = |index: usize| !numbers[..index].contains(&numbers[index]);
        let fits = |index: usize| numbers[index] > 0.0 && numbers[index].is_finite() && once(index);
        let fit = !numbers.is_empty() && (0..numbers.len()).all(fits);
        fit.then(|| numbers.into_iter().map(goal).collect())
    }
}

fn a_tenth() -> f64 {
    0.1
}

const KEYS: [&str; 4] = ["macs", "times", "axes", "tolerance"];

impl Target {
    /// Removes the target from `[sweep.scaling]` and reads it; lists on other keys remain, as axes of the grid.
    pub(super) fn take(sweep: &mut DeTable) -> Result<Option<Target>, Problem> {
        let Some(scaling) = sweep.get_mut("scaling") else { return Ok(None) };
        let span = scaling.span();
        let DeValue::Table(table) = scaling.get_mut() else { return Ok(None) };
        let mut keys = DeTable::new();
        for key in KEYS {
            if let Some((key, value)) = table.remove_entry(key) {
                keys.insert(key, value);
            }
        }
        if keys.is_empty() {
            return Ok(None);
        }
        let solved = |key: &str| ["depth", "width", "resolution", "phi"].contains(&key);
        if let Some((key, _)) = table.iter().find(|(key, _)| solved(key.get_ref())) {
            let message = format!("`scaling.{}` is solved for, so it cannot be swept too", key.get_ref());
            return Err(Problem::span(key.span(), message));
        }
        // A value that is not a list is not an axis of the grid, but a misspelt key of this table.
        if let Some((key, _)) = table.iter().find(|(_, value)| !value.get_ref().is_array()) {
            let message = format!("there is no key `{}` in sweep.scaling", key.get_ref());
            let location = crate::config::problem::Location::Span(key.span());
            return Err(Problem::not_one_of(location, message, key.get_ref(), &KEYS));
        }
        let Keys { macs, times, axes, tolerance } =
            Keys::deserialize(Deserializer::from(Spanned::new(span.clone(), keys)))
                .map_err(|error| from_serde(&error, "sweep.scaling", &[]))?;
        let goals = match (macs, times) {
            (Some(macs), None) => macs.goals(Goal::Macs),
            (None, Some(times)) => times.goals(Goal::Times),
            (Some(_), Some(_)) => return Err(Problem::span(span, "a target is `macs` or `times`, not both")),
            (None, None) => {
                return Err(Problem::span(span, "[sweep.scaling] needs a target: `macs = 82e6` or `times = 2`"));
            }
        };
        let Some(goals) = goals else { return Err(Problem::span(span, "a target is a number above 0, or several")) };
        if !(0.0..=1.0).contains(&tolerance) {
            return Err(Problem::at("sweep.scaling.tolerance", format!("tolerance is 0 to 1, not {tolerance}")));
        }
        if axes.is_empty() || (1..axes.len()).any(|index| axes[..index].contains(&axes[index])) {
            let message = "`axes` names each axis once: depth, width, resolution, compound";
            return Err(Problem::at("sweep.scaling.axes", message));
        }
        Ok(Some(Target { span, axes, goals, tolerance }))
    }

    /// The number of networks: every axis at every cost.
    pub(super) fn len(&self) -> usize {
        self.axes.len() * self.goals.len()
    }

    /// The axis and the cost of a network.
    pub(super) fn point(&self, index: usize) -> (By, Goal) {
        (self.axes[index % self.axes.len()], self.goals[index / self.axes.len()])
    }

    /// The columns that [`Solved::values`] fills.
    pub(super) fn columns(&self) -> Vec<String> {
        let mut columns = vec!["axis", "target_macs", "depth", "width", "resolution"];
        if self.axes.contains(&By::Compound) {
            columns.push("phi");
        }
        columns.iter().map(|column| format!("scaling.{column}")).collect()
    }

    /// Finds the multiplier along an axis with which a network comes nearest to the target. `cost` counts the multiply-adds of
    /// a table. Cost never falls by more than rounding when a multiplier grows, so halving an interval finds the multiplier;
    /// where it goes in steps, as with depth, the nearer step counts.
    pub(super) fn solve(
        &self,
        (by, goal): (By, Goal),
        table: &DeTable,
        cost: &mut dyn FnMut(&DeTable) -> Result<u64, Problem>,
    ) -> Result<Solved, Problem> {
        let unscaled = cost(table)?;
        let goal = match goal {
            Goal::Macs(macs) => macs,
            Goal::Times(times) => (times * unscaled as f64).round(),
        };
        let mut search = Search { by, table, cost, goal, best: (by.neutral(), unscaled) };
        if goal != unscaled as f64 {
            search.narrow(goal > unscaled as f64)?;
        }
        search.simplify()?;
        let (value, macs) = search.best;
        let off = (macs as f64 - goal).abs() / goal;
        if off > self.tolerance {
            let message = format!(
                "scaling by {} comes to {:.2} M multiply-adds at the nearest ({} = {value}), {:.1} % off the target of {:.2} M",
                by.name(),
                macs as f64 / 1e6,
                by.key(),
                100.0 * off,
                goal / 1e6,
            );
            let finer = match by {
                By::Width | By::Compound => "; a smaller `round` in [scaling] makes finer widths",
                By::Depth | By::Resolution => "",
            };
            let help = format!(
                "the unscaled network has {:.2} M; a larger `tolerance` (here {}) lets the point in{finer}",
                unscaled as f64 / 1e6,
                self.tolerance,
            );
            return Err(Problem::span(self.span.clone(), message).help(help));
        }
        Ok(Solved { by, goal, value })
    }
}

/// A multiplier that meets the target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Solved {
    by: By,
    goal: f64,
    value: f64,
}

impl Solved {
    /// The key to set, and its value as TOML.
    pub(super) fn setting(&self) -> (&'static str, String) {
        (self.by.key(), float(self.value))
    }

    /// The cells of [`Target::columns`]; `total` has the multipliers of depth, width and resolution that come out.
    pub(super) fn values(&self, total: (f64, f64, f64), columns: usize) -> Vec<String> {
        let short = |value: f64| rounded(value, 5).to_string();
        let phi = if self.by == By::Compound { self.value } else { 0.0 };
        let mut cells = vec![self.by.name().to_owned(), format!("{:.0}", self.goal)];
        cells.extend([total.0, total.1, total.2, phi].map(short));
        cells.truncate(columns);
        cells
    }
}

impl By {
    pub(super) fn name(self) -> &'static str {
        match self {
            By::Depth => "depth",
            By::Width => "width",
            By::Resolution => "resolution",
            By::Compound => "compound",
        }
    }

    fn key(self) -> &'static str {
        match self {
            By::Depth => "scaling.depth",
            By::Width => "scaling.width",
            By::Resolution => "scaling.resolution",
            By::Compound => "scaling.phi",
        }
    }

    /// The neutral value of the multiplier.
    fn neutral(self) -> f64 {
        if self == By::Compound { 0.0 } else { 1.0 }
    }

    /// The search is over powers of two; φ is an exponent already. Both are rounded to this many digits.
    fn value(self, power: f64) -> f64 {
        rounded(if self == By::Compound { power } else { power.exp2() }, 6)
    }

    /// The largest multiplier: larger ones are useless, and networks become slow to count.
    fn furthest(self) -> u32 {
        if self == By::Compound { 16 } else { 6 }
    }
}

struct Search<'t, 'f> {
    by: By,
    table: &'t DeTable<'t>,
    cost: &'f mut dyn FnMut(&DeTable) -> Result<u64, Problem>,
    goal: f64,
    best: (f64, u64),
}

impl Search<'_, '_> {
    /// The cost at a value; `None` for an invalid network (a map smaller than its kernel, too many parameters).
    fn at(&mut self, value: f64) -> Result<Option<u64>, Problem> {
        let text = float(value);
        let parsed: Value = match DeValue::parse(&text) {
            Ok(parsed) => parsed,
            Err(_) => return Ok(None),
        };
        let mut table = self.table.clone();
        set(&mut table, self.by.key(), parsed)?;
        let Ok(macs) = (self.cost)(&table) else { return Ok(None) };
        if (macs as f64 - self.goal).abs() < (self.best.1 as f64 - self.goal).abs() {
            self.best = (value, macs);
        }
        Ok(Some(macs))
    }

    fn narrow(&mut self, up: bool) -> Result<(), Problem> {
        let sign = if up { 1.0 } else { -1.0 };
        let (mut near, mut far) = (0.0, None);
        for power in 1..=self.by.furthest() {
            let power = sign * f64::from(power);
            let macs = self.at(self.by.value(power))?;
            if macs.is_none_or(|macs| if up { macs as f64 >= self.goal } else { macs as f64 <= self.goal }) {
                far = Some(power);
                break;
            }
            near = power;
        }
        let Some(mut far) = far else { return Ok(()) };
        for _ in 0..24 {
            let middle = (near + far) / 2.0;
            let macs = self.at(self.by.value(middle))?;
            let beyond = macs.is_none_or(|macs| if up { macs as f64 >= self.goal } else { macs as f64 <= self.goal });
            *(if beyond { &mut far } else { &mut near }) = middle;
        }
        Ok(())
    }

    /// Shortens a value as far as the cost stays the same: 2 rather than 1.66667.
    fn simplify(&mut self) -> Result<(), Problem> {
        let (value, macs) = self.best;
        if value == self.by.neutral() {
            return Ok(());
        }
        for digits in 1..6 {
            let near = rounded(value, digits);
            let unit = 10f64.powi(value.abs().log10().floor() as i32 + 1 - digits as i32);
            for candidate in [near, rounded(near + unit, 6), rounded(near - unit, 6)] {
                if candidate != 0.0 && self.at(candidate)? == Some(macs) {
                    self.best = (candidate, macs);
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
