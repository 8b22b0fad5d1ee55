//! Formats numbers and texts for tables.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Formats a fraction with six decimals.
pub fn accuracy(fraction: f64) -> String {
    format!("{fraction:.6}")
}

/// Formats a number with six significant digits, with an exponent only if it is very large or small.
pub fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let exponent = value.abs().log10().floor() as i32;
    if !(-5..15).contains(&exponent) {
        return format!("{value:.5e}");
    }
    let decimals = (5 - exponent).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Formats a duration: `4.5 s`, `45 s`, `12 min`, `3 h 20 min`.
pub fn duration(seconds: f64) -> String {
    // An empty sum is -0.
    let seconds = seconds + 0.0;
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..100 => format!("{whole} s"),
        100..6000 => format!("{} min", (whole + 30) / 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Separates the digits of a count in groups of three, as in 25 557 032; other texts are unchanged.
pub fn grouped(text: &str, gap: char) -> String {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.to_owned();
    }
    let mut grouped = String::new();
    for (index, digit) in text.chars().enumerate() {
        if index > 0 && (text.len() - index).is_multiple_of(3) {
            grouped.push(gap);
        }
        grouped.push(digit);
    }
    grouped
}

/// Whether a spreadsheet would evaluate the cell as a formula, which may start programs (`=cmd|…`).
fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err()
}

/// Escapes a cell for a CSV file: a formula is prefixed with an apostrophe, which [`from_csv_cell`] removes.
pub fn csv_cell(cell: &str) -> Cow<'_, str> {
    if is_formula(cell) { format!("'{cell}").into() } else { cell.into() }
}

/// Reverses [`csv_cell`].
pub(crate) fn from_csv_cell(written: &str) -> &str {
    written.strip_prefix('\'').filter(|cell| is_formula(cell)).unwrap_or(written)
}

/// Escapes a cell for a table in Markdown: bars, which would end it, and HTML.
pub fn markdown_cell(cell: &str) -> String {
    let mut written = String::with_capacity(cell.len());
    for character in cell.chars() {
        match character {
            '|' => written.push_str("\\|"),
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '\n' | '\r' | '\t' => written.push(' '),
            other => written.push(other),
        }
    }
    written
}

/// "1 point", "2 points".
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Truncates a text to `longest` characters, the last one an ellipsis.
pub fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest - 1).chain(['…']).collect()
}

/// Truncates texts as [`cut`] does, but different texts stay different: where their beginnings are equal, the part in which
/// they differ is kept, or else their ends; where those are equal to another's too, they are numbered.
pub fn cut_apart<S: AsRef<str>>(texts: &[S], longest: usize) -> Vec<String> {
    let mut shown: BTreeMap<&str, String> =
        texts.iter().map(|text| (text.as_ref(), cut(text.as_ref(), longest))).collect();
    for alike in collisions(&shown) {
        let parts = differing_parts(&alike, longest);
        shown.extend(alike.into_iter().zip(parts));
    }
    for alike in collisions(&shown) {
        let end =
            |text: &str| text.chars().skip((text.chars().count() + 1).saturating_sub(longest)).collect::<String>();
        shown.extend(alike.into_iter().map(|text| (text, format!("…{}", end(text)))));
    }
    let still = collisions(&shown);
    for (index, text) in still.into_iter().flatten().enumerate() {
        let number = format!("#{}", index + 1);
        shown.insert(text, cut(text, longest.saturating_sub(number.len()).max(1)) + &number);
    }
    texts.iter().map(|text| shown[text.as_ref()].clone()).collect()
}

/// Sets of different texts that are shown as the same.
fn collisions<'t>(shown: &BTreeMap<&'t str, String>) -> Vec<BTreeSet<&'t str>> {
    let mut alike: BTreeMap<&str, BTreeSet<&'t str>> = BTreeMap::new();
    for (&text, shown) in shown {
        alike.entry(shown).or_default().insert(text);
    }
    alike.into_values().filter(|texts| texts.len() > 1).collect()
}

/// The beginning of each text and, after an ellipsis, its part from the word on in which the texts differ.
fn differing_parts(texts: &BTreeSet<&str>, longest: usize) -> Vec<String> {
    // Of sorted texts, the first and the last have the shortest common beginning.
    let [first, last] = [texts.first(), texts.last()].map(|text| text.copied().unwrap_or_default());
    let common = first.chars().zip(last.chars()).take_while(|(a, b)| a == b).count();
    let beginning: Vec<char> = first.chars().take(common).collect();
    let head = longest / 3;
    let word = beginning.iter().rposition(|&c| c == ' ').map(|space| space + 1).filter(|&word| word + head > common);
    let start = word.unwrap_or(common.saturating_sub(2));
    let part = |text: &&str| {
        let tail: String = text.chars().skip(start).collect();
        let head: String = text.chars().take(head).collect();
        format!(
            "{}…{}",
            head.trim_end(),
            cut(&tail, (longest - head.trim_end().chars().count()).saturating_sub(1).max(1))
        )
    };
    texts.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_for_people() {
        let texts = [0.4, 99.0, 200.0, 12_000.0, -0.0].map(duration);
        assert_eq!(texts, ["0.4 s", "99 s", "3 min", "3 h 20 min", "0.0 s"]);
    }

    #[test]
    fn different_texts_are_never_cut_to_the_same() {
        let long = "momentum=0.9 ".repeat(5);
        let texts = [format!("net {long}lr=0.1"), format!("net {long}lr=0.25"), "short".to_owned(), "short".to_owned()];
        assert_eq!(cut_apart(&texts, 24), ["net mome…lr=0.1", "net mome…lr=0.25", "short", "short"]);
        assert_eq!(cut_apart(&["abcdefgh", "abcdefgi", "xbcdefgh"], 6), ["ab…fgh", "ab…fgi", "xbcde…"]);
        // Two pairs that are alike in what is kept of them.
        let pairs: Vec<String> = ["aa", "ab"]
            .iter()
            .flat_map(|a| ["x", "y"].map(|b| format!("{}{a}{}{b}", "-".repeat(20), "+".repeat(20))))
            .collect();
        assert_eq!(cut_apart(&pairs, 24).iter().collect::<BTreeSet<_>>().len(), 4, "{:?}", cut_apart(&pairs, 24));
        // They differ in two places.
        let twice = |a, b| format!("{long}{a}{long}{b}");
        let shown = cut_apart(&[twice("a", "c"), twice("a", "d"), twice("b", "c")], 24);
        assert_eq!(shown.iter().collect::<BTreeSet<_>>().len(), 3, "{shown:?}");
        assert!(shown.iter().all(|text| text.chars().count() <= 24), "{shown:?}");
    }

    #[test]
    fn formulas_are_written_as_text_and_read_back() {
        for (cell, written) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-x", "'-x"),
            ("'=1", "''=1"),
            ("-0.5", "-0.5"),
            ("+1e-3", "+1e-3"),
            ("-inf", "-inf"),
            ("'quoted'", "'quoted'"),
            ("", ""),
        ] {
            assert_eq!((csv_cell(cell).as_ref(), from_csv_cell(written)), (written, cell));
        }
        assert_eq!(markdown_cell("<script>a|b\n& c"), "&lt;script&gt;a\\|b &amp; c");
    }

    #[test]
    fn six_significant_digits() {
        let texts = [0.123_456_78, 1234.5678, 2.0, 1e-9, 0.0, 0.05, f64::NAN].map(significant);
        assert_eq!(texts, ["0.123457", "1234.57", "2", "1.00000e-9", "0", "0.05", "NaN"]);
        assert_eq!(accuracy(0.877_4), "0.877400");
    }
}
