//! The loss around trained weights (Li et al. 2018, "Visualizing the loss landscape of neural nets").

use super::objective::{Direction, Objective, filter_normalised};
use super::table::View;
use super::{Protocol, Rows, StudyError, Subject};
use crate::figures::chart::{Axis, COLOURS, Chart, Figure, Marks, Series, Stroke};
use crate::figures::heatmap::{Heatmap, Ramp};
use crate::named::{KeyError, check_range};
use crate::random;
use crate::runs::{Table, accuracy, significant};
use serde::{Deserialize, Serialize};

/// Options of the study `landscape`: the training loss in evaluation mode, without augmentation, on a line or a plane through the
/// weights along random directions whose filters have the norms of those of the weights; or between the weights of two runs.
/// Biases and normalisations do not move in random directions. Computed in fp32 without fused kernels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Landscape {
    pub form: Form,
    /// Training images.
    pub images: usize,
    /// Points along each axis, an odd number.
    pub points: usize,
    /// The axes go from minus this to this; between two runs, by this beyond them.
    pub range: f64,
    pub batch: usize,
    pub seed: u64,
}

/// What is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    Plane,
    Line,
    /// From the weights of a run to those of another.
    Between,
}

impl Default for Landscape {
    fn default() -> Landscape {
        Landscape { form: Form::Plane, images: 1000, points: 51, range: 1.0, batch: 250, seed: 0 }
    }
}

const COLUMNS: [&str; 5] = ["run", "x", "y", "loss", "top1"];

impl Protocol for Landscape {
    fn about(&self) -> &'static str {
        "training loss around the weights, or between two runs"
    }

    fn check(&self) -> Result<(), KeyError> {
        if self.points.is_multiple_of(2) || self.points < 3 {
            return Err(KeyError::new("points", format!("`points` is an odd number from 3 on, not {}", self.points)));
        }
        check_range("range", self.range, 1e-6, 100.0)?;
        check_range("batch", self.batch as f64, 1.0, 1e5)
    }

    fn run(&self, subjects: &[Subject], rows: &mut Rows) -> Result<(), StudyError> {
        match (self.form, subjects) {
            (Form::Between, [first, second]) => {
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
                    rows.row(index, &name, || Ok(cells(&name, x, 0.0, &objective.score_everywhere(x, &way))))?;
                }
                Ok(())
            }
            (Form::Between, _) => Err(StudyError::Unfit("`form = between` takes two runs".to_owned())),
            (Form::Plane, [_, _, ..]) => {
                Err(StudyError::Unfit("a plane is drawn of one run; `-o form=line` takes several".to_owned()))
            }
            _ => self.around(subjects, rows),
        }
    }

    fn picture(&self, _: &[Subject], table: &Table) -> Result<String, StudyError> {
        Ok(match self.form {
            Form::Plane => self.plane(table).svg(),
            Form::Line | Form::Between => self.lines(table).svg(),
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
        let height = if self.form == Form::Plane { self.points } else { 1 };
        rows.begin(&COLUMNS, subjects.len() * self.points * height);
        let centre = self.points / 2;
        let offset = |index: usize| index.abs_diff(centre);
        for (number, subject) in subjects.iter().enumerate() {
            let objective = Objective::new(subject, self.images, self.batch)?;
            let key = |axis: u64| random::key(self.seed, "study.landscape", &[axis]);
            let [x_way, y_way] = [0, 1].map(|axis| filter_normalised(objective.origin(), key(axis)));
            let mut points: Vec<[usize; 2]> = (0..height).flat_map(|y| (0..self.points).map(move |x| [x, y])).collect();
            // The coarsest grid that has a point: the finest of its offsets' powers of two.
            let level = |&[x, y]: &[usize; 2]| {
                let offsets = offset(x) | if height > 1 { offset(y) } else { 0 };
                std::cmp::Reverse(offsets.trailing_zeros().min(3))
            };
            points.sort_by_key(level);
            for (index, point) in points.iter().enumerate() {
                let [x, y] = *point;
                let place = number * self.points * height + y * self.points + x;
                let at = [self.coordinate(x), if height > 1 { self.coordinate(y) } else { 0.0 }];
                rows.row(place, &subject.name, || {
                    let sums = objective.score(&[(at[0], &x_way), (at[1], &y_way)]);
                    Ok(cells(&subject.name, at[0], at[1], &sums))
                })?;
                let ends_level = points.get(index + 1).is_some_and(|next| level(next) != level(point));
                if ends_level && height > 1 && rows.computes() {
                    let draft = self.plane(&rows.table()).svg();
                    rows.draft(&draft);
                }
            }
        }
        Ok(())
    }

    fn lines(&self, table: &Table) -> Figure {
        let view = View::new(table);
        let x = match self.form {
            Form::Between => "from the first run (0) to the second (1)",
            _ => "step along the direction",
        };
        let mut panels = [
            Chart::new("loss", Axis::new(x), Axis::new("training loss").log()),
            Chart::new("error", Axis::new(x), Axis::new("training error").percent()),
        ];
        for (index, run) in view.values("run").iter().enumerate() {
            let rows = view.matching(&[("run", run)]);
            let colour = COLOURS[index % COLOURS.len()];
            let columns: [Vec<[f64; 2]>; 2] = [
                rows.each(|row| [row.number("x"), row.number("loss")]).collect(),
                rows.each(|row| [row.number("x"), 1.0 - row.number("top1")]).collect(),
            ];
            for (chart, points) in panels.iter_mut().zip(columns) {
                let marks = Marks::Line { points, band: Vec::new(), stroke: Stroke::Solid };
                chart.series.push(Series { name: run.clone(), colour, marks });
            }
        }
        let title = if self.form == Form::Between { "Loss between two runs" } else { "Loss along a random direction" };
        Figure::new(title, self.protocol(), panels)
    }

    fn protocol(&self) -> String {
        let directions = if self.form == Form::Between { "" } else { "Filter-normalised directions; " };
        format!("{directions}{} training images without augmentation, evaluation mode, fp32.", self.images)
    }

    fn plane(&self, table: &Table) -> Heatmap {
        let view = View::new(table);
        let sorted = |column: &str| {
            let mut values: Vec<(f64, String)> =
                view.values(column).into_iter().map(|text| (text.parse().unwrap_or(f64::NAN), text)).collect();
            values.sort_by(|a, b| a.0.total_cmp(&b.0));
            values
        };
        let (x, y) = (sorted("x"), sorted("y"));
        let mut values = vec![vec![f64::NAN; x.len()]; y.len()];
        for (row, column, loss) in view.each(|row| (row.text("y"), row.text("x"), row.number("loss"))) {
            let at = |axis: &[(f64, String)], text: &str| axis.iter().position(|(_, known)| known == text);
            if let (Some(y), Some(x)) = (at(&y, row), at(&x, column)) {
                values[y][x] = loss;
            }
        }
        let finite = || values.iter().flatten().copied().filter(|value| value.is_finite());
        let low = finite().fold(f64::INFINITY, f64::min).max(1e-4);
        let high = finite().fold(low * 1.01, f64::max).min(low * 1e4);
        let (basin, convex) = (basin(&values), convexity(&values));
        let note = format!(
            "{} The loss is less than 1 above its minimum on {:.0} % of the square; {:.0} % of the second differences along rows, \
             columns and diagonals through the centre are not negative.",
            self.protocol(),
            100.0 * basin,
            100.0 * convex
        );
        let levels = (1..10).map(|level| low * (high / low).powf(f64::from(level) / 10.0)).collect();
        Heatmap {
            title: format!("Training loss around {}", view.text("run")),
            note,
            labels: ["first direction", "second direction"].map(str::to_owned),
            x: x.into_iter().map(|(value, _)| value).collect(),
            y: y.into_iter().map(|(value, _)| value).collect(),
            values,
            unit: "loss".to_owned(),
            ramp: Ramp::Log([low, high]),
            contours: levels,
        }
    }
}

/// The share of the square on which the loss is less than 1 above its minimum.
fn basin(values: &[Vec<f64>]) -> f64 {
    let low = values.iter().flatten().copied().filter(|value| value.is_finite()).fold(f64::INFINITY, f64::min);
    let all = values.iter().flatten();
    all.clone().filter(|&&value| value < low + 1.0).count() as f64 / all.count().max(1) as f64
}

/// The share of second differences that are not negative along the four lines through the centre, up to a thousandth of the
/// values, which is noise.
fn convexity(values: &[Vec<f64>]) -> f64 {
    let n = values.len().min(values.first().map_or(0, Vec::len));
    let middle = n / 2;
    let lines: [&dyn Fn(usize) -> f64; 4] =
        [&|i| values[middle][i], &|i| values[i][middle], &|i| values[i][i], &|i| values[i][n - 1 - i]];
    let (mut convex, mut all) = (0, 0);
    for at in lines {
        for i in 1..n.saturating_sub(1) {
            let second = at(i - 1) + at(i + 1) - 2.0 * at(i);
            all += 1;
            convex += usize::from(second >= -1e-3 * at(i).abs());
        }
    }
    f64::from(convex as u32) / f64::from(all.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::golden::network;
    use crate::study::rows::Unseen;
    use tch::Kind;

    fn subject() -> Subject {
        let keys = "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\nshortcut = 'none'";
        Subject::example(network(keys, [3, 32, 32], 4), 6)
    }

    fn table(landscape: &Landscape, subjects: &[Subject]) -> Table {
        let (folder, mut unseen) = (tempfile::tempdir().unwrap(), Unseen);
        let mut rows = Rows::open(&folder.path().join("rows"), &mut unseen).unwrap();
        landscape.run(subjects, &mut rows).unwrap();
        rows.table()
    }

    /// A model whose weights were moved by hand, in float64.
    #[test]
    fn a_point_is_the_loss_of_the_moved_network() {
        use crate::model::Model;
        use crate::study::Split;
        use crate::train::cross_entropy;
        let mut subject = subject();
        subject.weights.iter_mut().for_each(|(_, tensor)| *tensor = tensor.to_kind(Kind::Double));
        let objective = Objective::new(&subject, 6, 4).unwrap();
        let ways = [0, 1].map(|key| filter_normalised(objective.origin(), key));
        let loss = objective.score(&[(0.3, &ways[0]), (-0.2, &ways[1])]).mean_loss();
        let mut model = Model::build(&subject.network, tch::Device::Cpu, 1, false).unwrap();
        model.to_kind(Kind::Double);
        model.copy_weights(&subject.weights).unwrap();
        let _no_grad = tch::no_grad_guard();
        for (index, (_, tensor)) in model.trainable().into_iter().enumerate() {
            let moved = &tensor + &ways[0][index] * 0.3 - &ways[1][index] * 0.2;
            tensor.shallow_clone().copy_(&moved);
        }
        let (x, labels) = subject.batches(Split::Train, 6, 6).unwrap().remove(0);
        let logits = model.forward(&x.to_kind(Kind::Double), false).logits;
        let expected = cross_entropy(&logits, &labels).double_value(&[]);
        assert!((loss - expected).abs() < 1e-12, "{loss} against {expected}");
        let whole = objective.score(&[]).mean_loss();
        assert_eq!(whole, objective.score(&[]).mean_loss(), "the weights are put back");
    }

    #[test]
    fn planes_lines_and_ways_between_runs_have_their_points() {
        let plane = Landscape { points: 5, images: 6, ..Landscape::default() };
        let subjects = [subject()];
        let rows = table(&plane, &subjects);
        assert_eq!(rows.rows.len(), 25);
        assert_eq!(rows.rows[12][1..3], ["0", "0"], "the centre is in the middle of the table");
        assert!(plane.picture(&subjects, &rows).unwrap().contains("Training loss around example"));
        let line = Landscape { form: Form::Line, ..plane.clone() };
        assert_eq!(table(&line, &subjects).rows.len(), 5);
        let between = Landscape { form: Form::Between, ..plane };
        let subjects = [subject(), subject()];
        let rows = table(&between, &subjects);
        assert!(rows.rows.iter().all(|row| row[3] == rows.rows[0][3]), "equal runs: {rows:?}");
        assert!(
            between
                .run(&subjects[..1], &mut Rows::open(std::path::Path::new("/nonexistent"), &mut Unseen).unwrap())
                .is_err()
        );
    }

    #[test]
    fn a_bowl_is_convex_and_a_hill_is_not() {
        let bowl = |sign: f64| -> Vec<Vec<f64>> {
            let row = |y: i32| (-2..=2).map(|x: i32| 10.0 + sign * f64::from(x * x + y * y)).collect();
            (-2..=2).map(row).collect()
        };
        assert_eq!((convexity(&bowl(1.0)), convexity(&bowl(-1.0))), (1.0, 0.0));
        assert_eq!(basin(&bowl(1.0)), 1.0 / 25.0);
    }
}
