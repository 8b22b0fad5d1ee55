//! Expands the table into points.

use super::axes::{Axis, Value, collect, set, text_of};
use super::halving::Halving;
use super::limits::{Limits, Met};
use super::random::Random;
use super::scaling::{Solved, Target};
use super::{Point, Sweep};
use crate::config::MAX_LEVELS;
use crate::config::architecture::Architectures;
use crate::config::experiment::{build, build_shared};
use crate::config::machine::Machine;
use crate::config::problem::{Location, Problem};
use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use toml::de::{DeTable, DeValue};

/// The most points of a sweep; more are taken for a mistake.
const MAX_POINTS: usize = 10_000;

/// The most keys that vary: each is a column of the sweep's table.
const MAX_KEYS: usize = 100;

/// The `[sweep]` table, read.
struct Spec<'a> {
    span: Range<usize>,
    limits: Limits,
    random: Option<Random<'a>>,
    target: Option<Target>,
    halving: Option<Halving>,
    axes: Vec<Axis<'a>>,
}

pub(super) fn expand(root: &DeTable, name: &str, machine: Machine) -> Result<Sweep, Problem> {
    let mut base = root.clone();
    let spec = Spec::take(&mut base)?;
    let mut expander = Expander {
        spec: &spec,
        base: &base,
        name,
        machine,
        architectures: Architectures::default(),
        solved: HashMap::new(),
        seen: HashMap::new(),
        met: None,
        sweep: Sweep {
            name: name.to_owned(),
            file: PathBuf::new(),
            overrides: Vec::new(),
            columns: spec.columns(),
            points: Vec::new(),
            halving: spec.halving.clone(),
            left_out: 0,
            repeats: 0,
        },
    };
    match &spec.random {
        None => expander.grid(&[])?,
        Some(random) => expander.samples(random)?,
    }
    let Expander { sweep, met, .. } = expander;
    if let Some(halving) = &spec.halving {
        halving.check(sweep.points.iter().map(|point| point.experiment.train.epochs))?;
    }
    match met {
        Some(met) if sweep.points.is_empty() => {
            Err(Problem::span(spec.span, format!("every point lies outside the limits; the points have {met}")))
        }
        _ => Ok(sweep),
    }
}

const EXAMPLE: &str = "[sweep] lists the values of keys, and every combination is run:\n\
                       [sweep]\n\
                       model.depth = [20, 32, 44]\n\
                       seed = [0, 1, 2]\n\
                       `strata train` runs the file as a single experiment";

impl<'a> Spec<'a> {
    fn take(base: &mut DeTable<'a>) -> Result<Spec<'a>, Problem> {
        let Some(sweep) = base.remove("sweep") else {
            return Err(Problem::at("", "this file has no [sweep] table").help(EXAMPLE));
        };
        let span = sweep.span();
        let DeValue::Table(mut sweep) = sweep.into_inner() else {
            return Err(Problem::span(span, "`sweep` is a table of lists: [sweep] model.depth = [20, 32]"));
        };
        let limits = Limits::take(&mut sweep)?;
        let random = Random::take(&mut sweep)?;
        let target = Target::take(&mut sweep)?;
        let halving = Halving::take(&mut sweep)?;
        let mut axes = Vec::new();
        collect(sweep, "", &mut axes)?;
        for axis in &axes {
            axis.check()?;
        }
        let spec = Spec { span, limits, random, target, halving, axes };
        spec.check()?;
        Ok(spec)
    }

    fn columns(&self) -> Vec<String> {
        let random = self.random.iter().flat_map(Random::keys);
        let scaling = self.target.iter().flat_map(Target::columns);
        random.chain(scaling).chain(self.axes.iter().flat_map(|axis| axis.keys.clone())).collect()
    }

    fn check(&self) -> Result<(), Problem> {
        if self.axes.is_empty() && self.random.is_none() && self.target.is_none() {
            let message = "this [sweep] varies nothing: it needs a list of values for at least one key";
            return Err(Problem::span(self.span.clone(), message).help("seed = [0, 1, 2]"));
        }
        let sizes = self.axes.iter().map(|axis| axis.steps.len());
        let sizes = sizes.chain(self.random.iter().map(|random| random.count));
        let mut sizes = sizes.chain(self.target.iter().map(|target| target.len()));
        let count = sizes.try_fold(1usize, usize::checked_mul).unwrap_or(usize::MAX);
        if count == 0 || count > MAX_POINTS {
            let message = format!("a sweep has 1 to {MAX_POINTS} points, not {count}");
            return Err(Problem::span(self.span.clone(), message));
        }
        let columns = self.columns();
        if columns.len() > MAX_KEYS {
            let message = format!("a sweep varies at most {MAX_KEYS} keys, not {}", columns.len());
            return Err(Problem::span(self.span.clone(), message));
        }
        // Dots in quotes come here: each makes a table.
        if columns.iter().any(|key| key.matches('.').count() > MAX_LEVELS) {
            let message = format!("a swept key has at most {MAX_LEVELS} dots");
            return Err(Problem::span(self.span.clone(), message));
        }
        for (index, key) in columns.iter().enumerate() {
            if columns[..index].contains(key) {
                return Err(Problem::span(self.span.clone(), format!("`{key}` is swept twice")));
            }
            // A table that is set after one of its keys would overwrite it.
            if let Some(part) = columns[..index].iter().find(|part| part.starts_with(&format!("{key}."))) {
                let message =
                    format!("`{key}` is swept after `{part}`, which is a part of it and would be overwritten");
                return Err(Problem::span(self.span.clone(), message).help(format!("put `{key}` first")));
            }
        }
        Ok(())
    }
}

struct Expander<'s> {
    spec: &'s Spec<'s>,
    /// The file without `[sweep]`.
    base: &'s DeTable<'s>,
    name: &'s str,
    machine: Machine,
    architectures: Architectures,
    /// Multipliers by network, axis and cost: seeds and rates do not change them.
    solved: HashMap<String, Solved>,
    /// Points by the short form of their keys, which names their files and folders.
    seen: HashMap<String, usize>,
    met: Option<Met>,
    sweep: Sweep,
}

impl Expander<'_> {
    /// Draws until `count` samples have contributed a new point within the limits.
    fn samples(&mut self, random: &Random) -> Result<(), Problem> {
        let mut kept = 0;
        for number in 0..random.tries() {
            let texts = random.draw(number);
            let before = self.sweep.points.len();
            self.grid(&random.sample(number, &texts))?;
            kept += usize::from(self.sweep.points.len() > before);
            if kept == random.count {
                break;
            }
        }
        self.check_whole(random)?;
        if kept == random.count {
            return Ok(());
        }
        let tries = random.tries();
        let met = self.met.as_ref().map_or_else(String::new, |met| format!("; they have {met}"));
        let message =
            format!("of {tries} samples {kept} are distinct and within the limits, not {}{met}", random.count);
        Err(Problem::span(random.span.clone(), message)
            .help("widen the ranges or the limits, draw more `digits`, or lower `count`"))
    }

    /// Rejects a range with integer ends for a real-valued key: it would give integers, and only two from `[0, 1]`.
    fn check_whole(&self, random: &Random) -> Result<(), Problem> {
        let whole: Vec<&str> = random.whole().collect();
        let real = |written: &toml::Value, key: &str| {
            key.split('.').try_fold(written, |table, word| table.get(word)).is_some_and(toml::Value::is_float)
        };
        // A point that is not scaled, or has another optimizer, lacks the key.
        let real_of = |point: &Point| {
            let written = toml::Value::Table(point.experiment.to_toml());
            whole.iter().find(|key| real(&written, key))
        };
        match self.sweep.points.iter().filter(|_| !whole.is_empty()).find_map(real_of) {
            Some(key) => {
                let message =
                    format!("`{key}` is a real number, but integers are drawn from a range with integer ends");
                Err(Problem::span(random.span.clone(), message)
                    .help("write the ends with a decimal point, as in [0.0, 1.0], or give a `step`"))
            }
            None => Ok(()),
        }
    }

    /// Adds every point of the grid with the values of one sample.
    fn grid(&mut self, sample: &[(&str, Value)]) -> Result<(), Problem> {
        match &self.spec.target {
            None => self.combinations(sample, None),
            Some(target) => (0..target.len()).try_for_each(|index| self.combinations(sample, Some((target, index)))),
        }
    }

    fn combinations(&mut self, sample: &[(&str, Value)], scaled: Option<(&Target, usize)>) -> Result<(), Problem> {
        let axes = &self.spec.axes;
        let count = axes.iter().map(|axis| axis.steps.len()).product();
        for number in 0..count {
            // The last axis turns fastest, as the innermost of nested loops.
            let mut rest = number;
            let mut chosen: Vec<(&Axis, usize)> = Vec::with_capacity(axes.len());
            for axis in axes.iter().rev() {
                chosen.push((axis, rest % axis.steps.len()));
                rest /= axis.steps.len();
            }
            let grid = chosen.into_iter().rev().flat_map(|(axis, step)| axis.keys.iter().zip(&axis.steps[step]));
            let grid: Vec<(&str, &Value)> = grid.map(|(key, value)| (key.as_str(), value)).collect();
            self.point(sample, scaled, &grid)?;
        }
        Ok(())
    }

    fn point(
        &mut self,
        sample: &[(&str, Value)],
        scaled: Option<(&Target, usize)>,
        grid: &[(&str, &Value)],
    ) -> Result<(), Problem> {
        let setting;
        let mut table: DeTable = self.base.clone();
        let mut values = Vec::with_capacity(self.sweep.columns.len());
        for (key, value) in sample {
            values.push(text_of(value.get_ref()));
            set(&mut table, key, value.clone())?;
        }
        for (key, value) in grid {
            set(&mut table, key, (*value).clone())?;
        }
        let solved = match scaled {
            Some((target, index)) => Some((target, self.solve(target, index, &table)?)),
            None => None,
        };
        if let Some((_, solved)) = &solved {
            setting = solved.setting();
            let value = DeValue::parse(&setting.1).map_err(|error| Problem::at("sweep.scaling", error.to_string()))?;
            set(&mut table, setting.0, value)?;
        }
        let built = build_shared(&table, self.name, self.machine, &mut self.architectures);
        let experiment = built.map_err(|problem| self.blame(problem, sample, grid))?;
        if let Some((target, solved)) = &solved {
            values.extend(solved.values(experiment.scaling.total(), target.columns().len()));
        }
        values.extend(grid.iter().map(|(_, value)| text_of(value.get_ref())));
        let cost = experiment.network.cost();
        Met::add(&mut self.met, cost);
        if !self.spec.limits.hold(cost) {
            self.sweep.left_out += 1;
            return Ok(());
        }
        let key = experiment.key();
        let index = self.sweep.points.len();
        let seen = *self.seen.entry(key.short().to_owned()).or_insert(index);
        match self.sweep.points.get(seen) {
            Some(point) if point.key == key => {
                self.sweep.repeats += 1;
                return Ok(());
            }
            Some(point) => return Err(self.collision(&values, point)),
            None => self.sweep.points.push(Point { values, experiment, key, cost }),
        }
        Ok(())
    }

    /// Two experiments in 2^40 share the short form of their keys; one would take the other's folder.
    fn collision(&self, values: &[String], point: &Point) -> Problem {
        let (one, other) = (self.sweep.label_of(&point.values), self.sweep.label_of(values));
        let message = format!("the points {one} and {other} share the short key {}", point.key);
        Problem::span(self.spec.span.clone(), message).help("leave one of them out, or change its seed")
    }

    /// Moves an error about a swept key to its value in `[sweep]`.
    fn blame(&self, problem: Problem, sample: &[(&str, Value)], grid: &[(&str, &Value)]) -> Problem {
        let (Location::Key(key) | Location::Word(key)) = &problem.location else { return problem };
        let of = |swept: &str| key == swept || key.starts_with(&format!("{swept}."));
        let in_grid = grid.iter().find(|(swept, _)| of(swept)).map(|(_, value)| value.span());
        let in_sample = sample.iter().find(|(swept, _)| of(swept)).map(|(_, value)| value.span());
        match in_grid.or(in_sample) {
            Some(span) => Problem { location: Location::Span(span), ..problem },
            None => problem,
        }
    }

    fn solve(&mut self, target: &Target, index: usize, table: &DeTable) -> Result<Solved, Problem> {
        let (by, goal) = target.point(index);
        let part = |key: &str| table.get(key).map(|value| format!("{value:?}")).unwrap_or_default();
        let written = format!("{} {goal} {} {} {}", by.name(), part("data"), part("model"), part("scaling"));
        if let Some(solved) = self.solved.get(&written) {
            return Ok(*solved);
        }
        if !build(table, self.name, self.machine)?.scaling.is_identity() {
            let message = "[sweep.scaling] solves for depth, width, resolution and phi: they cannot be set here too";
            return Err(Problem::at("scaling", message).help("alpha, beta, gamma and round may stay"));
        }
        let mut cost = |table: &DeTable| Ok(build(table, self.name, self.machine)?.network.cost().macs);
        let solved = target.solve((by, goal), table, &mut cost)?;
        self.solved.insert(written, solved);
        Ok(solved)
    }
}
