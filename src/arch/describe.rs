//! How diagrams write operations, shapes and counts.

use crate::arch::node::Node;
use crate::arch::ops::Op;
use crate::arch::shape::Shape;

/// The text of an operation's box in a diagram: `conv 3×3/2, 64`.
pub fn label(op: &Op) -> String {
    times(&op.label())
}

/// `3x3` with a multiplication sign.
pub fn times(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let digit = |index: Option<usize>| index.and_then(|index| chars.get(index)).is_some_and(char::is_ascii_digit);
    let sign = |(index, &c): (usize, &char)| {
        if c == 'x' && digit(index.checked_sub(1)) && digit(Some(index + 1)) { '×' } else { c }
    };
    chars.iter().enumerate().map(sign).collect()
}

/// `64×56×56`
pub fn shape(shape: Shape) -> String {
    times(&shape.to_string())
}

/// Output shape of the last node, if that is a layer.
pub fn output(nodes: &[Node]) -> Option<Shape> {
    match nodes.last()? {
        Node::Layer(layer) => Some(layer.output),
        _ => None,
    }
}

/// A count to three digits: `25.6 M`.
pub fn count(n: u64) -> String {
    let value = n as f64;
    for (unit, name) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] {
        // 999 950 is 1.00 M: what would round to four digits takes the next unit.
        if value >= unit * 0.9995 {
            let scaled = value / unit;
            let digits = if scaled < 9.995 { 2 } else { usize::from(scaled < 99.95) };
            return format!("{scaled:.digits$} {name}");
        }
    }
    n.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_stands_between_digits_alone() {
        assert_eq!(times("max 3x3/2, 64x56x56 x x1"), "max 3×3/2, 64×56×56 x x1");
    }

    #[test]
    fn counts_have_three_digits() {
        let cases = [(7, "7"), (999, "999"), (1_000, "1.00 k"), (25_557_032, "25.6 M"), (999_960, "1.00 M")];
        for (n, text) in cases {
            assert_eq!(count(n), text);
        }
        assert_eq!(count(4_089_184_256), "4.09 G");
        assert_eq!(count(135_000_000), "135 M");
    }
}
