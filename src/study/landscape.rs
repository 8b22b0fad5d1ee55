//! The loss around trained weights (Li et al. 2018, "Visualizing the loss landscape of neural nets").

mod picture;
mod trajectory;

use super::objective::{Direction, Objective, filter_normalised};
use super::{Protocol, Rows, StudyError, Subject};
use crate::named::{KeyError, check_range, is_default};
use crate::random;
use crate::runs::{Table, accuracy, significant};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use trajectory::Trajectory;

/// Options of the study `landscape`: the training loss in evaluation mode, without augmentation, on a line or a plane through the
/// weights along random directions whose filters have the norms of those of the weights; or between the weights of two runs.
/// Biases and normalisations do not move in random directions. Computed in fp32 without fused kernels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Landscape {
    pub form: LandscapeForm,
    /// Training images.
    pub images: usize,
    /// Points along each axis, an odd number.
    pub points: usize,
    /// Half length of the axes. Between two runs, the distance beyond them; for a trajectory, a factor on the length that shows
    /// all of it.
    pub range: f64,
    pub batch: usize,
    pub seed: u64,
    // Tables along random directions keep the key that they had before there was a choice.
    #[serde(skip_serializing_if = "is_default")]
    pub directions: Directions,
    /// The first epoch of a trajectory.
    #[serde(skip_serializing_if = "is_default")]
    pub from_epoch: usize,
}

/// The axes of a plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Directions {
    #[default]
    Random,
    /// Principal components of the weights that the run kept (`train.keep_every`); running statistics move with them.
    Trajectory,
}

/// The set of weights that is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LandscapeForm {
    Plane,
    Line,
    /// The line between the weights of two runs.
    Between,
}

impl Default for Landscape {
    fn default() -> Landscape {
        Landscape {
            form: LandscapeForm::Plane,
            images: 1000,
            points: 51,
            range: 1.0,
            batch: 25, // in float, maps of more images leave the caches: ResNet-20 takes a sixth longer with 250
            seed: 0,
            directions: Directions::Random,
            from_epoch: 0,
        }
    }
}

const COLUMNS: [&str; 5] = ["run", "x", "y", "loss", "top1"];
/// Rows with an epoch have the weights after it, which need not lie in the plane; other rows are points of the plane.
const TRAJECTORY: [&str; 8] = ["run", "x", "y", "loss", "top1", "epoch", "x_share", "y_share"];

impl Protocol for Landscape {
    fn about(&self) -> &'static str {
        "training loss around the weights, or between two runs"
    }

    fn check(&self) -> Result<(), KeyError> {
        if self.points.is_multiple_of(2) || self.points < 3 {
            return Err(KeyError::new("points", format!("`points` is an odd number from 3 on, not {}", self.points)));
        }
        if self.directions == Directions::Trajectory && self.form != LandscapeForm::Plane {
            return Err(KeyError::new("directions", "`directions = trajectory` goes with `form = plane`"));
        }
        check_range("range", self.range, 1e-6, 100.0)?;
        check_range("batch", self.batch as f64, 1.0, 1e5)
    }

    fn files(&self, subjects: &[Subject]) -> Result<Vec<PathBuf>, StudyError> {
        let files = subjects.iter().flat_map(|subject| trajectory::files(subject, self.from_epoch));
        Ok(if self.directions == Directions::Random { Vec::new() } else { files.map(|(_, path)| path).collect() })
    }

    fn run(&self, subjects: &[Subject], rows: &mut Rows) -> Result<(), StudyError> {
        match (self.form, subjects) {
            (LandscapeForm::Between, [first, second]) => {
                rows.begin(&COLUMNS, self.points);
                let name = format!("{} to {}", first.name, second.name);
                let objective = Objective::new(first, self.images, self.batch)?;
                let second = Objective::new(second, 1, 1)?;
                let [from, to] = [objective.everything(), second.everything()];
                if from.iter().map(tch::Tensor::size).ne(to.iter().map(tch::Tensor::size)) {
                    return Err(StudyError::Unfit("two runs of one network are needed".to_owned()));
                }
                let way: Direction = to.iter().zip(from).map(|(to, from)| to - from).collect();
                for index in 0..self.points {
                    let part = (self.coordinate(index) + self.range) / (2.0 * self.range);
                    let x = part * (1.0 + 2.0 * self.range) - self.range;
                    rows.row(index, &name, || Ok(cells(&name, x, 0.0, &objective.score_everywhere(&[(x, &way)]))))?;
                }
                Ok(())
            }
            (LandscapeForm::Between, _) => Err(StudyError::Unfit("`form = between` takes two runs".to_owned())),
            (LandscapeForm::Plane, [_, _, ..]) => {
                Err(StudyError::Unfit("a plane is drawn of one run; `-o form=line` takes several".to_owned()))
            }
            (LandscapeForm::Plane, [subject]) if self.directions == Directions::Trajectory => self.along(subject, rows),
            _ => self.around(subjects, rows),
        }
    }

    fn picture(&self, _: &[Subject], table: &Table) -> Result<String, StudyError> {
        Ok(match self.form {
            LandscapeForm::Plane => self.plane(table).svg(),
            LandscapeForm::Line | LandscapeForm::Between => self.lines(table).svg(),
        })
    }
}

fn cells(run: &str, x: f64, y: f64, sums: &crate::train::Sums) -> Vec<String> {
    vec![run.to_owned(), significant(x), significant(y), significant(sums.mean_loss()), accuracy(sums.top1())]
}

impl Landscape {
    fn coordinate(&self, index: usize) -> f64 {
        let centre = (self.points / 2) as f64;
        (index as f64 - centre) / centre * self.range
    }

    /// Lines and planes along random directions, coarse grids first: a picture is drawn after each.
    fn around(&self, subjects: &[Subject], rows: &mut Rows) -> Result<(), StudyError> {
        let height = if self.form == LandscapeForm::Plane { self.points } else { 1 };
        rows.begin(&COLUMNS, subjects.len() * self.points * height);
        for (number, subject) in subjects.iter().enumerate() {
            let objective = Objective::new(subject, self.images, self.batch)?;
            let key = |axis: u64| random::key(self.seed, "study.landscape", &[axis]);
            let [x_way, y_way] = [0, 1].map(|axis| filter_normalised(objective.origin(), key(axis)));
            self.each_point(height, rows, |rows, [x, y]| {
                let row = number * self.points * height + y * self.points + x;
                let at = [self.coordinate(x), if height > 1 { self.coordinate(y) } else { 0.0 }];
                rows.row(row, &subject.name, || {
                    let sums = objective.score(&[(at[0], &x_way), (at[1], &y_way)]);
                    Ok(cells(&subject.name, at[0], at[1], &sums))
                })
            })?;
        }
        Ok(())
    }

    /// Visits the points of a grid of `height` rows, coarse grids first; a plane is drawn after each.
    fn each_point(
        &self,
        height: usize,
        rows: &mut Rows,
        mut visit: impl FnMut(&mut Rows, [usize; 2]) -> Result<(), StudyError>,
    ) -> Result<(), StudyError> {
        let offset = |index: usize| index.abs_diff(self.points / 2);
        let mut points: Vec<[usize; 2]> = (0..height).flat_map(|y| (0..self.points).map(move |x| [x, y])).collect();
        // The coarsest grid that has a point: the finest of its offsets' powers of two.
        let level = |&[x, y]: &[usize; 2]| {
            let offsets = offset(x) | if height > 1 { offset(y) } else { 0 };
            std::cmp::Reverse(offsets.trailing_zeros().min(3))
        };
        points.sort_by_key(level);
        for (index, point) in points.iter().enumerate() {
            visit(rows, *point)?;
            let ends_level = points.get(index + 1).is_some_and(|next| level(next) != level(point));
            if ends_level && height > 1 && rows.computes() {
                let draft = self.plane(&rows.table()).svg();
                rows.draft(&draft);
            }
        }
        Ok(())
    }

    /// The epochs of a run, and the plane that fits them best.
    fn along(&self, subject: &Subject, rows: &mut Rows) -> Result<(), StudyError> {
        let objective = Objective::new(subject, self.images, self.batch)?;
        let trajectory = Trajectory::read(subject, &objective, self.from_epoch)?;
        let before = trajectory.epochs.len();
        rows.begin(&TRAJECTORY, before + self.points * self.points);
        let name = &subject.name;
        for (index, epoch) in trajectory.epochs.iter().enumerate() {
            rows.row(index, &format!("{name} epoch {epoch}"), || {
                let [x, y] = trajectory.points[index];
                let cells = cells(name, x, y, &objective.score_everywhere(&[(1.0, &trajectory.steps[index])]));
                let last = [epoch.to_string()].into_iter().chain(trajectory.shares.map(significant));
                Ok(cells.into_iter().chain(last).collect())
            })?;
        }
        let axes = [0, 1].map(|axis| trajectory.axis(axis, self.range));
        let [x_way, y_way] = &trajectory.components;
        self.each_point(self.points, rows, |rows, [x, y]| {
            let part = |index: usize| self.coordinate(index) / self.range;
            let at = [axes[0][0] + axes[0][1] * part(x), axes[1][0] + axes[1][1] * part(y)];
            rows.row(before + y * self.points + x, name, || {
                let sums = objective.score_everywhere(&[(at[0], x_way), (at[1], y_way)]);
                Ok(cells(name, at[0], at[1], &sums).into_iter().chain([(); 3].map(|()| String::new())).collect())
            })
        })
    }
}

#[cfg(test)]
#[path = "landscape_tests.rs"]
mod tests;
