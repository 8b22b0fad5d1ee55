//! Styles that distinguish several lines: by colour, beyond eight or along a second axis by the pattern of the stroke, and by
//! panels where there are more.

use super::{COLOURS, Chart, Marks, Series, Stroke};
use std::cmp::Ordering;

const STROKES: [Stroke; 3] = [Stroke::Solid, Stroke::Dashed, Stroke::Dotted];
/// More lines than these on two axes look like a tangle, however they are drawn.
const TOGETHER: usize = 2 * COLOURS.len();
/// Panels of one key's values, and panels of a line each.
const PANELS: usize = 16;
const ALONE: usize = 24;
/// Fewer lines than these are easier to read with a name each.
const FEW: usize = 4;

/// Colour, stroke and panel of each line, and what the legend says of them.
#[derive(Clone, Debug, Default)]
pub struct LineStyles {
    pub lines: Vec<LineStyle>,
    /// One entry per value if colours and strokes encode the values of keys; lines then need no entry of their own.
    pub legend: Vec<Series>,
    /// Titles of the panels if the lines are spread over several.
    pub panels: Vec<String>,
    /// Which key is encoded by what; empty if each line has a name.
    pub note: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineStyle {
    pub colour: &'static str,
    pub stroke: Stroke,
    /// Index of the panel that the line is in.
    pub panel: usize,
}

impl LineStyles {
    /// Styles of lines with names such as `depth=20 shortcut=A`. Where all of them are values of the same two keys, colours
    /// encode one key and strokes the other; else each line has a colour, in a new stroke after every eight. More lines get a
    /// panel for each value of one key or, without common keys, a panel each.
    pub fn new(names: &[&str]) -> LineStyles {
        if let Some(styles) = parts(names).and_then(|parts| by_two_keys(&parts).or_else(|| by_panels(&parts))) {
            return styles;
        }
        if names.len() <= TOGETHER {
            return by_line(names.len());
        }
        let lines = (0..names.len()).map(|panel| LineStyle { colour: COLOURS[0], stroke: Stroke::Solid, panel });
        let panels = names.iter().map(|name| (*name).to_owned()).collect();
        LineStyles { lines: lines.collect(), panels, ..LineStyles::default() }
    }

    /// How many of the lines with these names can be told apart.
    pub fn capacity(names: &[&str]) -> usize {
        if LineStyles::new(names).has_panel_each() { ALONE } else { names.len() }
    }

    /// Whether every line is in a panel of its own, because they have no common keys.
    pub(crate) fn has_panel_each(&self) -> bool {
        !self.panels.is_empty() && self.legend.is_empty()
    }

    /// What the legend calls a line; empty where its panel or the values of its keys are named.
    pub fn entry(&self, name: &str) -> String {
        if self.legend.is_empty() && self.panels.is_empty() { name.to_owned() } else { String::new() }
    }

    /// The chart without lines that each panel begins as.
    pub(crate) fn charts(&self, chart: Chart) -> Vec<Chart> {
        match self.panels.as_slice() {
            [] => vec![chart],
            panels => panels.iter().map(|title| Chart { title: title.clone(), ..chart.clone() }).collect(),
        }
    }
}

fn by_line(count: usize) -> LineStyles {
    let line = |index: usize| LineStyle {
        colour: COLOURS[index % COLOURS.len()],
        stroke: STROKES[index / COLOURS.len() % STROKES.len()],
        panel: 0,
    };
    LineStyles { lines: (0..count).map(line).collect(), ..LineStyles::default() }
}

/// The parts of names such as `net depth=20 shortcut=A` if all have the same keys, without keys that have only one value.
fn parts<'n>(names: &[&'n str]) -> Option<Vec<Vec<&'n str>>> {
    let parts: Vec<Vec<&str>> = names.iter().map(|name| name.split(' ').collect()).collect();
    let first = parts.first()?;
    let same_keys = |line: &Vec<&str>| line.iter().map(|part| key(part)).eq(first.iter().map(|part| key(part)));
    if !parts.iter().all(same_keys) {
        return None;
    }
    let varies: Vec<bool> = (0..first.len()).map(|axis| parts.iter().any(|line| line[axis] != first[axis])).collect();
    let varied =
        |line: &Vec<&'n str>| line.iter().zip(&varies).filter(|(_, varies)| **varies).map(|(part, _)| *part).collect();
    Some(parts.iter().map(varied).collect())
}

fn key(part: &str) -> &str {
    part.split_once('=').map_or("name", |(key, _)| key)
}

/// A panel for each value of the first key that leaves few enough lines in each.
fn by_panels(parts: &[Vec<&str>]) -> Option<LineStyles> {
    let first = parts.first().filter(|first| parts.len() > COLOURS.len() && first.len() > 1)?;
    let rest = |line: &[&str], axis: usize| [&line[..axis], &line[axis + 1..]].concat().join(" ");
    let split = |axis: usize| {
        (distinct(parts.iter().map(|line| line[axis].to_owned())), distinct(parts.iter().map(|line| rest(line, axis))))
    };
    let fits = |axis: usize, most: usize| {
        let (panels, rests) = split(axis);
        (2..=PANELS).contains(&panels.len()) && rests.len() <= most
    };
    let limits = [COLOURS.len(), COLOURS.len() * STROKES.len()];
    let axis = limits.into_iter().find_map(|most| (0..first.len()).find(|&axis| fits(axis, most)))?;
    let (panels, rests) = split(axis);
    let inner: Vec<Vec<&str>> = rests.iter().map(|rest| rest.split(' ').collect()).collect();
    let mut styles = by_two_keys(&inner).unwrap_or_else(|| by_line(rests.len()));
    if styles.legend.is_empty() {
        let entries = rests.iter().zip(&styles.lines).map(|(name, line)| entry(name, line.colour, line.stroke));
        styles.legend = entries.collect();
    }
    let line = |line: &Vec<&str>| {
        let style = styles.lines[position(&rests, &rest(line, axis))];
        LineStyle { panel: position(&panels, line[axis]), ..style }
    };
    let lines = parts.iter().map(line).collect();
    let note = format!("One panel for each {}. {}", key(first[axis]), styles.note).trim().to_owned();
    Some(LineStyles { lines, panels, note, ..styles })
}

/// Every text once: numbers in their order, other values in that of the table.
fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut distinct = Vec::new();
    texts.for_each(|text| {
        if !distinct.contains(&text) {
            distinct.push(text);
        }
    });
    let numbers = |text: &String| -> Vec<f64> {
        text.split(' ')
            .map(|part| part.split_once('=').and_then(|(_, value)| value.parse().ok()).unwrap_or(0.0))
            .collect()
    };
    distinct.sort_by(|a, b| {
        let pairs = numbers(a).into_iter().zip(numbers(b));
        pairs.map(|(a, b)| a.total_cmp(&b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
    distinct
}

fn position(texts: &[String], text: &str) -> usize {
    texts.iter().position(|known| known == text).unwrap_or_default()
}

/// An entry of the legend for a line.
fn entry(name: &str, colour: &'static str, stroke: Stroke) -> Series {
    Series { name: name.to_owned(), colour, marks: Marks::Line { points: Vec::new(), band: Vec::new(), stroke } }
}

fn by_two_keys(parts: &[Vec<&str>]) -> Option<LineStyles> {
    let pairs: Vec<[&str; 2]> = parts.iter().map(|line| line.as_slice().try_into().ok()).collect::<Option<_>>()?;
    let keys = pairs.first().filter(|_| pairs.len() >= FEW)?.map(key);
    let values = [0, 1].map(|axis| distinct(pairs.iter().map(|pair| pair[axis].to_owned())));
    let fits = |colour: usize| {
        (2..=COLOURS.len()).contains(&values[colour].len()) && (2..=STROKES.len()).contains(&values[1 - colour].len())
    };
    let colour = [0, 1].into_iter().find(|&axis| fits(axis))?;
    let line = |pair: &[&str; 2]| LineStyle {
        colour: COLOURS[position(&values[colour], pair[colour])],
        stroke: STROKES[position(&values[1 - colour], pair[1 - colour])],
        panel: 0,
    };
    let colours = values[colour].iter().zip(COLOURS).map(|(value, colour)| entry(value, colour, Stroke::Solid));
    let strokes = values[1 - colour].iter().zip(STROKES).map(|(value, stroke)| entry(value, COLOURS[6], stroke));
    Some(LineStyles {
        lines: pairs.iter().map(line).collect(),
        legend: colours.chain(strokes).collect(),
        panels: Vec::new(),
        note: format!("Colours stand for {}, strokes for {}.", keys[colour], keys[1 - colour]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(keys: &[(&str, usize)]) -> Vec<String> {
        keys.iter().fold(vec![String::new()], |names, (key, count)| {
            let with = |name: &String| {
                (0..*count).map(|value| format!("{name} {key}={value}").trim().to_owned()).collect::<Vec<_>>()
            };
            names.iter().flat_map(with).collect()
        })
    }

    fn styles(names: &[String]) -> LineStyles {
        LineStyles::new(&names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[test]
    fn two_keys_are_colour_and_stroke() {
        let styles = styles(&grid(&[("depth", 3), ("shortcut", 2)]));
        let style = |index: usize| (styles.lines[index].colour, styles.lines[index].stroke);
        assert_eq!([style(2), style(3)], [(COLOURS[1], Stroke::Solid), (COLOURS[1], Stroke::Dashed)]);
        assert_eq!(styles.note, "Colours stand for depth, strokes for shortcut.");
        let entries: Vec<&str> = styles.legend.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(entries, ["depth=0", "depth=1", "depth=2", "shortcut=0", "shortcut=1"]);
    }

    #[test]
    fn many_lines_are_spread_over_panels() {
        let by_depth = styles(&grid(&[("depth", 5), ("lr", 4)]));
        assert_eq!(by_depth.panels, ["depth=0", "depth=1", "depth=2", "depth=3", "depth=4"]);
        assert_eq!(by_depth.lines[6], LineStyle { colour: COLOURS[2], stroke: Stroke::Solid, panel: 1 });
        assert_eq!((by_depth.legend.len(), by_depth.note.as_str()), (4, "One panel for each depth."));
        // Within a panel two further keys are colour and stroke; a key of too many values makes no panels.
        let named: Vec<String> =
            grid(&[("lr", 2), ("depth", 5)]).iter().rev().map(|name| format!("net {name}")).collect();
        assert_eq!(styles(&named).note, "Colours stand for depth, strokes for lr.", "the name is always the same");
        assert_eq!(styles(&named).legend[0].name, "depth=0");
        let three = styles(&grid(&[("depth", 20), ("lr", 3)]));
        assert_eq!(three.note, "One panel for each lr.");
        let three = styles(&grid(&[("depth", 4), ("lr", 4), ("shortcut", 2)]));
        assert_eq!(three.note, "One panel for each depth. Colours stand for lr, strokes for shortcut.");
        let names: Vec<String> = (0..40).map(|index| format!("net{index}")).collect();
        assert_eq!(styles(&names).panels, names);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!([LineStyles::capacity(&names), LineStyles::capacity(&names[..12])], [ALONE, 12]);
    }

    #[test]
    fn other_names_have_a_style_each() {
        for names in [&["a=1 b=1", "a=1 b=2"][..], &["a=1 b=1", "a=2 c=1", "a=1 b=2", "a=3 b=1"], &["x"; 16], &[]] {
            let styles = LineStyles::new(names);
            assert!(styles.legend.is_empty() && styles.lines.len() == names.len(), "{names:?}");
        }
        assert_eq!(LineStyles::new(&["x"; 16]).lines[8].stroke, Stroke::Dashed);
    }
}
