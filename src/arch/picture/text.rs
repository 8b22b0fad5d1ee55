//! How wide text will be. The reader's font is unknown, so widths are those of a wide one (DejaVu Sans), bold where
//! bold.

/// Width of a text in the units of its font size.
pub fn width(text: &str, size: f64, bold: bool) -> f64 {
    let ems: f64 = text.chars().map(em).sum();
    ems * size * if bold { 1.1 } else { 1.0 }
}

fn em(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | '\'' | ' ' | '!' | '·' => 0.33,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '-' => 0.42,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' | '—' => 1.0,
        '+' | '=' | '<' | '>' | '×' | '−' | '→' => 0.84,
        'A'..='Z' | '&' => 0.74,
        'a'..='z' | '0'..='9' | '_' => 0.63,
        c if c.is_ascii() => 0.66,
        // Other scripts: as wide as they are high
        _ => 1.05,
    }
}

/// The text, or as much of its beginning as fits, with an ellipsis.
pub fn fit(text: &str, size: f64, bold: bool, room: f64) -> String {
    if width(text, size, bold) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = width("…", size, bold);
    for c in text.chars() {
        used += width(c.encode_utf8(&mut [0; 4]), size, bold);
        if used > room {
            break;
        }
        kept.push(c);
    }
    kept.truncate(kept.trim_end().len());
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_fits() {
        let long = "a name that goes on and on".repeat(20);
        let cut = fit(&long, 12.0, true, 100.0);
        assert!(cut.ends_with('…') && width(&cut, 12.0, true) <= 100.0, "{cut}");
        assert_eq!(fit("short", 12.0, false, 100.0), "short");
    }
}
