//! Norms by row and step, as training wrote them (`train.log_gradients`).

use crate::figures::chart::{Axis, COLOURS, Chart, Figure, Series, Stroke, colour};
use crate::runs::{GRADIENTS, Table};
use crate::study::table::Selection;
use crate::study::{Rows, StudyError, Subject};
use std::path::PathBuf;

const COLUMNS: [&str; 8] = ["run", "step", "epoch", "position", "row", "gradient_norm", "weight_norm", "update_norm"];
/// Maximum number of steps per run in the table.
const STEPS: usize = 200;
const STROKES: [Stroke; 3] = [Stroke::Solid, Stroke::Dashed, Stroke::Dotted];

/// The tables that training wrote.
///
/// # Errors
/// When a run has no such table.
pub(super) fn files(subjects: &[Subject]) -> Result<Vec<PathBuf>, StudyError> {
    let file = |subject: &Subject| {
        let path = subject.folder.join(GRADIENTS.name);
        let missing = || {
            let (name, file) = (&subject.name, GRADIENTS.name);
            StudyError::Unfit(format!(
                "{name} has no {file}: `strata train --force --set train.log_gradients=20` writes it"
            ))
        };
        path.is_file().then_some(path).ok_or_else(missing)
    };
    subjects.iter().map(file).collect()
}

/// Copies the rows of evenly spaced steps, including the last one.
///
/// # Errors
/// When a table cannot be read.
pub(super) fn run(subjects: &[Subject], rows: &mut Rows) -> Result<(), StudyError> {
    let mut lines = Vec::new();
    for (subject, path) in subjects.iter().zip(files(subjects)?) {
        let table = Table::read(&path).map_err(crate::runs::RunError::from)?;
        let steps = Selection::new(&table).values("step");
        let every = steps.len().div_ceil(STEPS).max(1);
        let kept = |step: &str| steps.iter().rev().step_by(every).any(|kept| kept == step);
        let head = |row: &Vec<String>| std::iter::once(&subject.name).chain(row).cloned().collect();
        lines.extend(table.rows.iter().filter(|row| kept(&row[0])).map(head));
    }
    rows.begin(&COLUMNS, lines.len());
    rows.extend(lines);
    Ok(())
}

/// The rows of the network to draw: all, or `most` evenly spaced ones, including the first and the last.
fn shown(positions: Vec<String>, most: usize) -> Vec<String> {
    let last = positions.len().saturating_sub(1);
    let count = positions.len().min(most);
    (0..count).map(|index| positions[index * last / (count - 1).max(1)].clone()).collect()
}

/// Gradients and updates of rows by step.
pub(super) fn figure(table: &Table) -> Figure {
    let view = Selection::new(table);
    let axis = || Axis::new("training step").count();
    let mut panels = [
        Chart::new("gradient", axis(), Axis::new("L2 norm of the gradient").log()),
        Chart::new("update", axis(), Axis::new("norm of the update / norm of the weights").log()),
    ];
    let runs = view.values("run");
    let most = if runs.len() > 1 { 4 } else { COLOURS.len() };
    for (index, run) in runs.iter().enumerate() {
        let of_run = view.matching(&[("run", run)]);
        for (number, position) in shown(of_run.values("position"), most).iter().enumerate() {
            let rows = of_run.matching(&[("position", position)]);
            let row = format!("{position} {}", rows.text("row"));
            let name = if runs.len() > 1 { format!("{run}: {row}") } else { row };
            let point =
                |value: &dyn Fn(&Selection) -> f64| rows.each(|row| [row.number("step"), value(&row)]).collect();
            let lines: [Vec<[f64; 2]>; 2] = [
                point(&|row| row.number("gradient_norm")),
                point(&|row| row.number("update_norm") / row.number("weight_norm")),
            ];
            for (chart, points) in panels.iter_mut().zip(lines) {
                chart.series.push(Series::line(&name, colour(number), points, STROKES[index % STROKES.len()]));
            }
        }
    }
    Figure::new(
        "Gradients and updates in training, by row and step",
        "All learned parameters of a row together, its number and name; gradients of a batch before clipping.",
        panels,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_row_are_shown() {
        let all: Vec<String> = (1..=14).map(|position| position.to_string()).collect();
        assert_eq!(shown(all.clone(), 4), ["1", "5", "9", "14"]);
        assert_eq!(shown(all.clone(), 20), all);
        assert_eq!(shown(all[..1].to_vec(), 4), ["1"]);
        assert!(shown(Vec::new(), 4).is_empty());
    }
}
