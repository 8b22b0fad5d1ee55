//! The pictures of a loss surface: lines, and a plane with contours and surface.

use super::{Directions, Landscape, LandscapeForm};
use crate::figures::chart::{Axis, Chart, Figure, Series, Stroke, colour};
use crate::figures::heatmap::Heatmap;
use crate::figures::ramp::Ramp;
use crate::runs::Table;
use crate::study::table::Selection;

impl Landscape {
    /// Loss and error along lines.
    pub(super) fn lines(&self, table: &Table) -> Figure {
        let view = Selection::new(table);
        let x = match self.form {
            LandscapeForm::Between => "from the first run (0) to the second (1)",
            _ => "step along the direction",
        };
        let mut panels = [
            Chart::new("loss", Axis::new(x), Axis::new("training loss").log()),
            Chart::new("error", Axis::new(x), Axis::new("training error").percent()),
        ];
        for (index, run) in view.values("run").iter().enumerate() {
            let rows = view.matching(&[("run", run)]);
            let error = rows.each(|row| [row.number("x"), 1.0 - row.number("top1")]).collect();
            for (chart, points) in panels.iter_mut().zip([rows.points("x", "loss"), error]) {
                chart.series.push(Series::line(run, colour(index), points, Stroke::Solid));
            }
        }
        let title =
            if self.form == LandscapeForm::Between { "Loss between two runs" } else { "Loss along a random direction" };
        Figure::new(title, self.protocol(), panels)
    }

    fn protocol(&self) -> String {
        let directions = match (self.form, self.directions) {
            (LandscapeForm::Between, _) => "",
            (_, Directions::Random) => "Filter-normalised directions; ",
            (_, Directions::Trajectory) => "Running statistics move with the weights; ",
        };
        format!("{directions}{} training images without augmentation, evaluation mode, fp32.", self.images)
    }

    /// The plane of a table with all its points, or a coarse grid of them.
    pub(super) fn plane(&self, table: &Table) -> Heatmap {
        let whole = Selection::new(table);
        let view = whole.matching(&[("epoch", "")]);
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
        let levels = (1..10).map(|level| low * (high / low).powf(f64::from(level) / 10.0)).collect();
        Heatmap {
            title: format!("Training loss around {}", whole.text("run")),
            note: self.note(&whole, &values),
            labels: self.axes(&whole),
            x: x.into_iter().map(|(value, _)| value).collect(),
            y: y.into_iter().map(|(value, _)| value).collect(),
            values,
            unit: "loss".to_owned(),
            ramp: Ramp::Log([low, high]),
            contours: levels,
            path: self.way(&whole),
            surface: true,
        }
    }

    /// The positions of the epochs of a trajectory; empty for other planes.
    fn way(&self, view: &Selection) -> Vec<[f64; 2]> {
        let places = view.each(|row| (!row.text("epoch").is_empty()).then(|| [row.number("x"), row.number("y")]));
        places.flatten().collect()
    }

    fn axes(&self, view: &Selection) -> [String; 2] {
        match self.directions {
            Directions::Random => ["first direction", "second direction"].map(str::to_owned),
            Directions::Trajectory => [("first", "x_share"), ("second", "y_share")].map(|(which, share)| {
                format!("{which} principal component ({:.1} % of the variance)", 100.0 * view.number(share))
            }),
        }
    }

    fn note(&self, view: &Selection, values: &[Vec<f64>]) -> String {
        let protocol = self.protocol();
        if self.directions == Directions::Trajectory {
            let epochs = view.each(|row| row.text("epoch").to_owned()).filter(|epoch| !epoch.is_empty());
            let epochs: Vec<String> = epochs.collect();
            let [first, last] = [epochs.first(), epochs.last()].map(|epoch| epoch.cloned().unwrap_or_default());
            return format!("Dots: the weights after epochs {first} to {last}, as they lie over the plane. {protocol}");
        }
        format!(
            "{protocol} The loss is less than 1 above its minimum on {:.0} % of the square; {:.0} % of the second differences along rows, \
             columns and diagonals through the centre are not negative.",
            100.0 * basin(values),
            100.0 * convexity(values)
        )
    }
}

/// The fraction of the square in which the loss is less than 1 above its minimum.
pub(super) fn basin(values: &[Vec<f64>]) -> f64 {
    let low = values.iter().flatten().copied().filter(|value| value.is_finite()).fold(f64::INFINITY, f64::min);
    let all = values.iter().flatten();
    all.clone().filter(|&&value| value < low + 1.0).count() as f64 / all.count().max(1) as f64
}

/// The fraction of second differences along the four lines through the centre that are not negative, up to noise of a thousandth
/// of the values.
pub(super) fn convexity(values: &[Vec<f64>]) -> f64 {
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
