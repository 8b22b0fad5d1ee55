//! An effect with its interval on a line, beside the region in which it should lie: a small picture for a row of a table.

use super::svg::{EDGE, FAINT, INK, n};
use std::fmt::Write;

const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 26.0;
const MARGIN: f64 = 6.0;
/// The region, in a colour that stays readable on a dark page.
const REGION: &str = "#009e73";

/// Draws an effect and its interval, both optional, over the region shaded from its lower to its upper bound. The scale covers
/// zero, all finite bounds and the interval. `label` is the text for readers without pictures.
pub fn interval(effect: Option<f64>, interval: Option<[f64; 2]>, region: [f64; 2], label: &str) -> String {
    let values = effect.into_iter().chain(interval.into_iter().flatten()).chain(region).chain([0.0]);
    let finite = values.filter(|value| value.is_finite());
    let [low, high] = finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], x| [low.min(x), high.max(x)]);
    let room = if high > low { 0.12 * (high - low) } else { 1.0 };
    let (low, high) = (low - room, high + room);
    let at = |value: f64| MARGIN + (value.clamp(low, high) - low) / (high - low) * (WIDTH - 2.0 * MARGIN);
    let middle = n(HEIGHT / 2.0);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\" role=\"img\" aria-label=\"{}\">",
        n(WIDTH),
        n(HEIGHT),
        n(WIDTH),
        n(HEIGHT),
        super::svg::escape(label)
    );
    // Writing to a string cannot fail.
    let [from, to] = region.map(at);
    let _ = write!(
        svg,
        "<rect x=\"{}\" y=\"2\" width=\"{}\" height=\"{}\" fill=\"{REGION}\" fill-opacity=\"0.16\"/>\
         <path d=\"M{} {middle}H{}\" stroke=\"{EDGE}\"/><path d=\"M{} 4V{}\" stroke=\"{FAINT}\" stroke-dasharray=\"2 3\"/>",
        n(from),
        n((to - from).max(0.0)),
        n(HEIGHT - 4.0),
        n(MARGIN),
        n(WIDTH - MARGIN),
        n(at(0.0)),
        n(HEIGHT - 4.0),
    );
    if let Some([from, to]) = interval.map(|ends| ends.map(at)) {
        let _ = write!(svg, "<path d=\"M{} {middle}H{}\" stroke=\"{INK}\" stroke-width=\"2.4\"/>", n(from), n(to));
    }
    if let Some(effect) = effect {
        let _ = write!(svg, "<circle cx=\"{}\" cy=\"{middle}\" r=\"4.5\" fill=\"{INK}\"/>", n(at(effect)));
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_covers_zero_the_region_and_the_interval() {
        let svg = interval(Some(2.0), Some([1.0, 3.0]), [0.5, f64::INFINITY], "+2.00 & more");
        assert!(
            svg.contains("aria-label=\"+2.00 &amp; more\"") && !svg.contains("NaN") && !svg.contains("inf"),
            "{svg}"
        );
        // Zero is left of the interval, and the unbounded region ends at the margin.
        assert!(svg.contains("stroke-width=\"2.4\"") && svg.contains("<circle"));
        let empty = interval(None, None, [f64::NEG_INFINITY, 0.0], "not run");
        assert!(!empty.contains("<circle") && !empty.contains("NaN"), "{empty}");
    }
}
