//! Styles that distinguish several lines: by colour and, beyond eight or along a second axis, by the pattern of the stroke.

use super::{COLOURS, Marks, Series, Stroke};

const STROKES: [Stroke; 3] = [Stroke::Solid, Stroke::Dashed, Stroke::Dotted];
/// Fewer lines than these are easier to read with a name each.
const FEW: usize = 4;

/// Colour and stroke of each line, and what the legend says of them.
#[derive(Clone, Debug)]
pub struct LineStyles {
    pub lines: Vec<(&'static str, Stroke)>,
    /// One entry per value if colours and strokes encode the values of two keys; lines then need no entry of their own.
    pub legend: Vec<Series>,
    /// Which key is encoded by what; empty if each line has a name.
    pub note: String,
}

impl LineStyles {
    /// Styles of lines with names such as `depth=20 shortcut=A`. Where all of them are values of the same two keys, colours
    /// encode one key and strokes the other; else each line has a colour, in a new stroke after every eight.
    pub fn new(names: &[&str]) -> LineStyles {
        let pairs: Option<Vec<[&str; 2]>> = names.iter().map(|name| two(name)).collect();
        let axes = pairs.filter(|_| names.len() >= FEW).and_then(|pairs| by_two_keys(&pairs));
        axes.unwrap_or_else(|| LineStyles {
            lines: (0..names.len())
                .map(|index| (COLOURS[index % COLOURS.len()], stroke(index / COLOURS.len())))
                .collect(),
            legend: Vec::new(),
            note: String::new(),
        })
    }
}

fn stroke(index: usize) -> Stroke {
    STROKES[index % STROKES.len()]
}

/// The two parts of a name.
fn two(name: &str) -> Option<[&str; 2]> {
    let mut parts = name.split(' ');
    let two = [parts.next()?, parts.next()?];
    parts.next().is_none().then_some(two)
}

fn key(part: &str) -> &str {
    part.split_once('=').map_or("name", |(key, _)| key)
}

fn by_two_keys(pairs: &[[&str; 2]]) -> Option<LineStyles> {
    let keys = pairs.first()?.map(key);
    if pairs.iter().any(|pair| pair.map(key) != keys) {
        return None;
    }
    let values = [0, 1].map(|axis| {
        let mut values: Vec<&str> = Vec::new();
        pairs.iter().for_each(|pair| {
            if !values.contains(&pair[axis]) {
                values.push(pair[axis])
            }
        });
        values
    });
    let fits = |colour: usize| {
        (2..=COLOURS.len()).contains(&values[colour].len()) && (2..=STROKES.len()).contains(&values[1 - colour].len())
    };
    let colour = [0, 1].into_iter().find(|&axis| fits(axis))?;
    let index = |axis: usize, value: &str| values[axis].iter().position(|known| *known == value).unwrap_or_default();
    let lines =
        pairs.iter().map(|pair| (COLOURS[index(colour, pair[colour])], stroke(index(1 - colour, pair[1 - colour]))));
    let entry = |name: &str, colour: &'static str, stroke: Stroke| {
        let marks = Marks::Line { points: Vec::new(), band: Vec::new(), stroke };
        Series { name: name.to_owned(), colour, marks }
    };
    let colours = values[colour].iter().zip(COLOURS).map(|(value, colour)| entry(value, colour, Stroke::Solid));
    let strokes = values[1 - colour].iter().zip(STROKES).map(|(value, stroke)| entry(value, COLOURS[6], stroke));
    Some(LineStyles {
        lines: lines.collect(),
        legend: colours.chain(strokes).collect(),
        note: format!("Colours stand for {}, strokes for {}.", keys[colour], keys[1 - colour]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_keys_are_colour_and_stroke() {
        let names: Vec<String> =
            ["20", "32", "44"].iter().flat_map(|d| ["A", "none"].map(|s| format!("depth={d} shortcut={s}"))).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let styles = LineStyles::new(&names);
        assert_eq!(styles.lines[2], (COLOURS[1], Stroke::Solid));
        assert_eq!(styles.lines[3], (COLOURS[1], Stroke::Dashed));
        assert_eq!(styles.note, "Colours stand for depth, strokes for shortcut.");
        let entries: Vec<&str> = styles.legend.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(entries, ["depth=20", "depth=32", "depth=44", "shortcut=A", "shortcut=none"]);
    }

    #[test]
    fn other_names_have_a_style_each() {
        for names in [&["a=1 b=1", "a=1 b=2"][..], &["a=1 b=1", "a=2 c=1", "a=1 b=2", "a=3 b=1"], &["x"; 20], &[]] {
            let styles = LineStyles::new(names);
            assert!(styles.legend.is_empty() && styles.lines.len() == names.len(), "{names:?}");
        }
        assert_eq!(LineStyles::new(&["x"; 20]).lines[8], (COLOURS[0], Stroke::Dashed));
    }
}
