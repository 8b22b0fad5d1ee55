//! Error without each block, by the number of deleted blocks, and by how far the order is changed.

use crate::figures::chart::{Axis, Chart, ChartPoint, Figure, Marks, Series, Stroke, colour};
use crate::runs::Table;
use crate::study::table::Selection;

pub(super) fn figure(table: &Table) -> Figure {
    let view = Selection::new(table);
    let error = || Axis::new("test error").percent();
    let mut single = Chart::new("one block", Axis::new("block or layer, in order").count(), error());
    let mut deleted = Chart::new("several blocks", Axis::new("deleted blocks").count(), error());
    let mut swapped = Chart::new("another order", Axis::new("Kendall's τ"), error());
    for (index, run) in view.values("run").iter().enumerate() {
        let colour = colour(index);
        let of_run = view.matching(&[("run", run)]);
        for (statistics, stroke) in [("as trained", Stroke::Solid), ("estimated", Stroke::Dashed)] {
            let rows = of_run.matching(&[("kind", "single"), ("statistics", statistics)]);
            if rows.is_empty() {
                continue;
            }
            let points = rows.each(|row| [row.number("position"), 1.0 - row.number("top1")]).collect();
            let name = match statistics {
                "estimated" => format!("{run}, statistics estimated"),
                _ => run.clone(),
            };
            let marked = rows.matching(&[("resizes", "yes")]);
            single.series.push(Series::line(name, colour, points, stroke));
            let dot =
                |row: Selection| ChartPoint::dot(row.number("position"), 1.0 - row.number("top1"), row.text("block"));
            single.series.push(Series::points("", colour, marked.each(dot).collect()));
        }
        let whole = 1.0 - of_run.matching(&[("kind", "whole")]).number("top1");
        let last = of_run.matching(&[("kind", "single")]).numbers("position").into_iter().fold(1.0, f64::max);
        single.series.push(Series::line("", colour, vec![[1.0, whole], [last, whole]], Stroke::Pale));
        deleted.series.extend(by_count(&of_run, "deleted", &|rows| rows.number("blocks"), [0.0, whole], colour));
        let tau = |rows: &Selection| mean(&rows.numbers("kendall_tau"));
        swapped.series.extend(by_count(&of_run, "swapped", &tau, [1.0, whole], colour));
    }
    let panels: Vec<Chart> = [single, deleted, swapped].into_iter().filter(|chart| !chart.series.is_empty()).collect();
    Figure::new(
        "Lesions: networks without some of their blocks",
        "Error on the test images. Dots are blocks or layers that change the size of the map, pale lines the whole network; \
               bands are quartiles, lines medians over random choices.",
        panels,
    )
}

/// Median and quartiles of the error over the draws of each number of blocks, from the whole network on.
fn by_count(
    of_run: &Selection,
    kind: &str,
    x: &dyn Fn(&Selection) -> f64,
    start: [f64; 2],
    colour: &'static str,
) -> Option<Series> {
    let rows = of_run.matching(&[("kind", kind)]);
    let counts = rows.values("blocks");
    if counts.is_empty() {
        return None;
    }
    let (mut points, mut band) = (vec![start], vec![[start[0], start[1], start[1]]]);
    for count in counts {
        let rows = rows.matching(&[("blocks", &count)]);
        let mut errors: Vec<f64> = rows.numbers("top1").into_iter().map(|top1| 1.0 - top1).collect();
        errors.sort_by(f64::total_cmp);
        points.push([x(&rows), quantile(&errors, 0.5)]);
        band.push([x(&rows), quantile(&errors, 0.25), quantile(&errors, 0.75)]);
    }
    points.sort_by(|a, b| a[0].total_cmp(&b[0]));
    band.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let name = rows.text("run").to_owned();
    Some(Series { name, colour, marks: Marks::Line { points, band, stroke: Stroke::Solid } })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The quantile of sorted values, interpolated between neighbours.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let at = part * (sorted.len().max(1) - 1) as f64;
    let [low, high] = [at.floor(), at.ceil()].map(|index| sorted.get(index as usize).copied().unwrap_or(f64::NAN));
    low + (high - low) * at.fract()
}

#[cfg(test)]
#[test]
fn quantiles_are_interpolated() {
    assert_eq!([0.0, 0.25, 0.5, 1.0].map(|part| quantile(&[1.0, 2.0, 4.0], part)), [1.0, 1.5, 2.0, 4.0]);
    assert!(quantile(&[], 0.5).is_nan());
}
