//! Lesions (Veit et al. 2016, "Residual networks behave like ensembles of relatively shallow networks", section 4).

use super::reorder::{choose, kendall_tau, swapped};
use super::score::{Frontier, Order, Statistics};
use super::{Protocol, Rows, Split, StudyError, Subject};
use crate::model::{SplitModel, Submodule};
use crate::named::{KeyError, check_range};
use crate::random;
use crate::runs::{Table, accuracy, significant};
use crate::train::Sums;
use serde::{Deserialize, Serialize};

mod picture;

/// Options of the study `lesion`: trained networks without some of their blocks, or with blocks in another order, on the test
/// images. A residual block is replaced by its shortcut. A layer of a network without shortcuts is replaced by the identity,
/// once with the statistics of the normalisations as they are and once with statistics estimated without it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lesion {
    /// Test images; 0 for all.
    pub images: usize,
    /// Numbers of blocks that are deleted together.
    pub deleted: Vec<usize>,
    /// Numbers of swaps of two blocks of equal shape.
    pub swapped: Vec<usize>,
    /// Number of random choices for each of these numbers.
    pub draws: usize,
    /// Number of training images on which statistics are estimated.
    pub estimate: usize,
    pub batch: usize,
    pub seed: u64,
}

impl Default for Lesion {
    fn default() -> Lesion {
        Lesion {
            images: 0,
            deleted: vec![1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20],
            swapped: vec![1, 2, 3, 4, 6, 8, 12, 16, 24],
            draws: 20,
            estimate: 2000,
            batch: 500,
            seed: 0,
        }
    }
}

const COLUMNS: [&str; 11] =
    ["run", "kind", "blocks", "draw", "block", "position", "resizes", "kendall_tau", "statistics", "loss", "top1"];

/// A changed network.
struct Task {
    kind: &'static str,
    count: usize,
    draw: usize,
    /// The part that is deleted alone.
    single: Option<usize>,
    tau: f64,
    estimated: bool,
    order: Order,
}

impl Protocol for Lesion {
    fn about(&self) -> &'static str {
        "blocks deleted or reordered: Top-1 without them"
    }

    fn check(&self) -> Result<(), KeyError> {
        check_range("draws", self.draws as f64, 1.0, 1e4)?;
        check_range("batch", self.batch as f64, 1.0, 1e5)
    }

    fn run(&self, subjects: &[Subject], rows: &mut Rows) -> Result<(), StudyError> {
        let mut work = Vec::new();
        for subject in subjects {
            let parts = subject.parts()?;
            let tasks = self.tasks(&parts);
            if tasks.len() < 2 {
                let name = &subject.name;
                return Err(StudyError::Unfit(format!("{name} has no block or layer that can be removed")));
            }
            work.push((subject, parts, tasks));
        }
        rows.begin(&COLUMNS, work.iter().map(|(.., tasks)| tasks.len()).sum());
        let mut first_row = 0;
        for (subject, parts, tasks) in &work {
            self.of_one(subject, parts, tasks, first_row, rows)?;
            first_row += tasks.len();
        }
        Ok(())
    }

    fn picture(&self, _: &[Subject], table: &Table) -> Result<String, StudyError> {
        Ok(picture::figure(table).svg())
    }
}

impl Lesion {
    /// The changed networks in the order of the table.
    fn tasks(&self, parts: &SplitModel) -> Vec<Task> {
        let list = &parts.list;
        let whole = Order::whole(list.len());
        let residual = list.iter().any(Submodule::has_shortcut);
        let counts = |part: &Submodule| if residual { part.has_shortcut() } else { part.is_removable() };
        let blocks: Vec<usize> = (0..list.len()).filter(|&index| counts(&list[index])).collect();
        let plain = |kind, order| Task { kind, count: 0, draw: 0, single: None, tau: 1.0, estimated: false, order };
        let without = |chosen: &[usize]| {
            let mut order = whole.clone();
            chosen.iter().for_each(|&part| order.0[part].1 = false);
            order
        };
        let mut tasks = vec![plain("whole", whole.clone())];
        for estimated in if residual { vec![false] } else { vec![false, true] } {
            let single =
                |&part: &usize| Task { count: 1, single: Some(part), estimated, ..plain("single", without(&[part])) };
            tasks.extend(blocks.iter().map(single));
        }
        if !residual {
            return tasks;
        }
        let key = |kind: &str, count: usize, draw: usize| random::key(self.seed, kind, &[count as u64, draw as u64]);
        for &count in self.deleted.iter().filter(|&&count| count < blocks.len()) {
            tasks.extend((0..self.draws).map(|draw| {
                let chosen = choose(key("study.lesion.deleted", count, draw), count, blocks.len());
                let chosen: Vec<usize> = chosen.into_iter().map(|block| blocks[block]).collect();
                Task { count, draw, ..plain("deleted", without(&chosen)) }
            }));
        }
        let groups = groups(list, &blocks);
        for &count in self.swapped.iter().filter(|_| groups.iter().any(|group| group.len() > 1)) {
            tasks.extend((0..self.draws).map(|draw| {
                let moved = swapped(key("study.lesion.swapped", count, draw), &groups, blocks.len(), count);
                let mut order = whole.clone();
                blocks.iter().zip(&moved).for_each(|(&position, &block)| order.0[position].0 = blocks[block]);
                Task { count, draw, tau: kendall_tau(&moved), ..plain("swapped", order) }
            }));
        }
        tasks
    }

    fn of_one(
        &self,
        subject: &Subject,
        parts: &SplitModel,
        tasks: &[Task],
        first_row: usize,
        rows: &mut Rows,
    ) -> Result<(), StudyError> {
        // By the first part that changes: activations in front of it are computed once, and only those of one part are kept.
        let mut order: Vec<usize> = (0..tasks.len()).collect();
        order.sort_by_key(|&index| tasks[index].order.first_change());
        let estimates = tasks.iter().any(|task| task.estimated);
        let batches = |split, count| subject.batches(split, count, self.batch);
        let mut test = Frontier::new(subject, parts, batches(Split::Test, self.images)?);
        let estimated = if estimates { batches(Split::Train, self.estimate.max(1))? } else { Vec::new() };
        let mut train = Frontier::new(subject, parts, estimated);
        let statistics = Statistics::of(parts);
        let kept = statistics.copies();
        for index in order {
            let task = &tasks[index];
            let what = format!("{} {}", subject.name, task.kind);
            rows.row(first_row + index, &what, || {
                // Only the head is kept for the whole network.
                let first = task.order.first_change().min(parts.list.len().saturating_sub(1));
                test.advance(first);
                if task.estimated {
                    train.advance(first);
                    train.estimate(&task.order)?;
                }
                let sums = test.score(&task.order);
                statistics.set(&kept);
                Ok(task.cells(subject, parts, sums))
            })?;
        }
        Ok(())
    }
}

impl Task {
    fn cells(&self, subject: &Subject, parts: &SplitModel, sums: Sums) -> Vec<String> {
        let single = self.single.map(|part| &parts.list[part]);
        let removable = |part: &usize| parts.list[*part].is_removable();
        vec![
            subject.name.clone(),
            self.kind.to_owned(),
            self.count.to_string(),
            self.draw.to_string(),
            single.map_or_else(String::new, |part| part.label.clone()),
            self.single.map_or_else(String::new, |part| ((0..=part).filter(removable).count()).to_string()),
            single.map_or("", |part| if part.keeps_shape() { "no" } else { "yes" }).to_owned(),
            significant(self.tau),
            if self.estimated { "estimated" } else { "as trained" }.to_owned(),
            significant(sums.mean_loss()),
            accuracy(sums.top1()),
        ]
    }
}

/// Groups of interchangeable blocks, by index: those that keep the shape of their input.
fn groups(list: &[Submodule], blocks: &[usize]) -> Vec<Vec<usize>> {
    let mut groups: Vec<(&[i64], Vec<usize>)> = Vec::new();
    for (number, &part) in blocks.iter().enumerate().filter(|(_, part)| list[**part].keeps_shape()) {
        let shape = list[part].input.as_slice();
        match groups.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, group)) => group.push(number),
            None => groups.push((shape, vec![number])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

#[cfg(test)]
#[path = "lesion_tests.rs"]
mod tests;
