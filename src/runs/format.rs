//! Formats numbers and texts for tables.

use std::borrow::Cow;

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

#[cfg(test)]
mod tests {
    use super::*;

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
