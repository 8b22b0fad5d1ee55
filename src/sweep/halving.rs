//! Successive halving: which settings go on after a rung, an epoch at which settings are compared.
//!
//! Decisions are a function of the runs' results alone. Results of a rung are considered in the order in which settings came to
//! it, whatever order they arrive in, so that decisions depend neither on `--jobs`, nor on the machines that share a sweep,
//! nor on interruptions.

use crate::config::{Halving, Sweep};
use crate::runs::{Epochs, Record, RunError, Status, Store, Table, median};
use std::collections::HashMap;
use std::path::Path;

/// The next action for a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Train up to this epoch; `None` is the last one of the run.
    Epoch(Option<usize>),
    /// Wait for the results of others.
    Wait,
    /// Stop: it is not among the best at a rung.
    Stop,
}

/// A result at a rung.
#[derive(Clone, Debug, PartialEq)]
struct Decision {
    rung: usize,
    setting: usize,
    score: f64,
    /// Whether the setting continues; `None` while that is undecided.
    kept: Option<bool>,
}

/// The rungs of a sweep and the results so far.
pub(super) struct Rungs<'a> {
    sweep: &'a Sweep,
    halving: &'a Halving,
    settings: Vec<Vec<usize>>,
    /// Scores by point and rung. They never change.
    scores: HashMap<(usize, usize), f64>,
    decisions: Vec<Decision>,
}

impl<'a> Rungs<'a> {
    /// `None` for a sweep without halving.
    pub(super) fn new(sweep: &'a Sweep) -> Option<Rungs<'a>> {
        let halving = sweep.halving.as_ref()?;
        Some(Rungs { sweep, halving, settings: sweep.settings(), scores: HashMap::new(), decisions: Vec::new() })
    }

    /// Whether a point has a result at the rung of epoch `rung`.
    pub(super) fn has_reached(&mut self, point: usize, rung: usize, store: &Store) -> bool {
        self.score(point, rung, store).is_some()
    }

    /// The goal of every point. Each result is read once: a run that reaches its rung during this call keeps that rung as its goal, and
    /// the next call sees it. Points in `failed` rank last.
    pub(super) fn goals(&mut self, store: &Store, failed: &[usize]) -> Vec<Goal> {
        let (halving, settings) = (self.halving, self.settings.clone());
        let mut value = |setting: usize, rung: usize| {
            let scores = settings[setting].iter().map(|&point| {
                let score = self.score(point, rung, store);
                score.or(failed.contains(&point).then_some(f64::NEG_INFINITY))
            });
            // Reads every seed, also after the first one without a result: `scores` decides below which of them wait.
            let scores: Vec<Option<f64>> = scores.collect();
            scores.into_iter().collect::<Option<Vec<f64>>>().map(|scores| median(&scores))
        };
        let (by_setting, decisions) = decide(halving, settings.len(), &mut value);
        self.decisions = decisions;
        let mut goals = vec![Goal::Wait; self.sweep.points.len()];
        for (points, goal) in settings.iter().zip(by_setting) {
            for &point in points {
                goals[point] = match goal {
                    // Another seed of its setting lags behind.
                    Goal::Epoch(Some(rung)) if self.scores.contains_key(&(point, rung)) => Goal::Wait,
                    goal => goal,
                };
            }
        }
        goals
    }

    /// The best value of a run up to the epoch of a rung, higher is better; `None` until it gets there. A loss that is
    /// NaN or infinite ranks last.
    fn score(&mut self, point: usize, rung: usize, store: &Store) -> Option<f64> {
        if let Some(&score) = self.scores.get(&(point, rung)) {
            return Some(score);
        }
        let folder = store.folder_of(&self.sweep.points[point]);
        let record = Record::read(&folder).filter(|record| record.is_of(&self.sweep.points[point].key));
        let status = record.and_then(|record| record.status());
        let rows = Epochs::find(&folder).ok().flatten().unwrap_or_default();
        let sign = if self.halving.is_loss() { -1.0 } else { 1.0 };
        let values = rows.iter().take(rung).filter_map(|row| row.get(&self.halving.by)).map(|value| sign * value);
        let score = match status {
            _ if rows.len() >= rung => values.fold(f64::NEG_INFINITY, f64::max),
            Some(Status::Diverged) => f64::NEG_INFINITY,
            // It stopped early (train.patience).
            Some(Status::Done) => values.fold(f64::NEG_INFINITY, f64::max),
            _ => return None,
        };
        self.scores.insert((point, rung), score);
        Some(score)
    }

    /// Writes the results at the rungs and what followed from them to `halving.csv`.
    pub(super) fn write(&self, folder: &Path) -> Result<(), RunError> {
        let columns = self.sweep.columns.iter().enumerate().filter(|(_, name)| *name != "seed");
        let (columns, names): (Vec<usize>, Vec<&str>) = columns.map(|(column, name)| (column, name.as_str())).unzip();
        let median = format!("{}_median", self.halving.by);
        let mut table = Table::new(&[&["rung"][..], &names, &[&median, "decision"]].concat());
        for Decision { rung, setting, score, kept } in &self.decisions {
            let first = self.settings[*setting].first().map(|&point| &self.sweep.points[point].values);
            let value = |&column: &usize| first.and_then(|values| values.get(column)).cloned().unwrap_or_default();
            let score = if self.halving.is_loss() { -score } else { *score };
            let score = if score.is_finite() { format!("{score:.6}") } else { String::new() };
            let decision = match kept {
                Some(true) => "continues",
                Some(false) => "stops",
                None => "",
            };
            let head = std::iter::once(rung.to_string()).chain(columns.iter().map(value));
            table.rows.push(head.chain([score, decision.to_owned()]).collect());
        }
        table.write(&folder.join("halving.csv"))
    }
}

/// The goal of each setting, and the results so far by rung. `value` is the result of a setting at a rung, higher is better.
fn decide(
    halving: &Halving,
    settings: usize,
    value: &mut dyn FnMut(usize, usize) -> Option<f64>,
) -> (Vec<Goal>, Vec<Decision>) {
    let mut goals = vec![Goal::Wait; settings];
    let mut decisions = Vec::new();
    // Settings that came to the rung, in this order, and whether no others will.
    let mut entered: Vec<usize> = (0..settings).collect();
    let mut complete = true;
    for &rung in &halving.rungs {
        let values: Vec<Option<f64>> = entered.iter().map(|&setting| value(setting, rung)).collect();
        let known: Vec<f64> = values.iter().map_while(|&value| value).collect();
        complete = complete && known.len() == entered.len();
        let kept = kept(halving, &known, complete);
        for (position, &setting) in entered.iter().enumerate() {
            let goes_on = if kept.contains(&position) { Some(true) } else { complete.then_some(false) };
            goals[setting] = match (values[position], goes_on) {
                (None, _) => Goal::Epoch(Some(rung)),
                (Some(_), Some(false)) => Goal::Stop,
                (Some(_), _) => Goal::Wait,
            };
            if let Some(&score) = known.get(position) {
                decisions.push(Decision { rung, setting, score, kept: goes_on });
            }
        }
        entered = kept.into_iter().map(|position| entered[position]).collect();
    }
    entered.into_iter().for_each(|setting| goals[setting] = Goal::Epoch(None));
    (goals, decisions)
}

/// Indices of the results that continue, in the order in which that is decided; of equal results the first. At least one
/// continues once all are known.
fn kept(halving: &Halving, values: &[f64], complete: bool) -> Vec<usize> {
    let (mut kept, mut ranked): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    for (position, value) in values.iter().enumerate() {
        let rank = ranked.partition_point(|&other| values[other] >= *value);
        ranked.insert(rank, position);
        if halving.asynchronous {
            let best = &ranked[..halving.kept(position + 1)];
            kept.extend(best.iter().filter(|position| !kept.contains(position)).copied().collect::<Vec<_>>());
        }
    }
    if complete {
        let best = &ranked[..halving.kept(ranked.len()).max(1).min(ranked.len())];
        kept.extend(best.iter().filter(|position| !kept.contains(position)).copied().collect::<Vec<_>>());
    }
    kept
}

#[cfg(test)]
#[path = "halving_tests.rs"]
mod tests;
