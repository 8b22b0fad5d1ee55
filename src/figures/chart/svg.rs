//! Text and numbers in SVG.

pub use crate::arch::picture::escape;
use std::fmt::Write;

pub const FONTS: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
pub const INK: &str = "#1b2430";
pub const FAINT: &str = "#5b6675";
pub const CARD: &str = "#ffffff";
pub const EDGE: &str = "#d5dbe3";
pub const GRID: &str = "#e7ebf0";

/// A coordinate with two digits at most.
pub fn n(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Width of a text: the reader's font is unknown, so that of a rather wide one.
pub fn width(text: &str, size: f64) -> f64 {
    let ems: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | '.' | ',' | ':' | '|' | '\'' | ' ' => 0.3,
            'f' | 't' | 'r' | '(' | ')' | '-' | '/' => 0.39,
            'm' | 'w' | 'M' | 'W' | '%' => 0.92,
            'A'..='Z' => 0.68,
            _ => 0.59,
        })
        .sum();
    ems * size
}

/// Begins a picture: a white card of a size. The caller ends the document.
pub fn card(title: &str, [w, h]: [f64; 2]) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" \
         font-family=\"{FONTS}\">\n<title>{2}</title>\n\
         <rect x=\"0.5\" y=\"0.5\" width=\"{3}\" height=\"{4}\" rx=\"14\" fill=\"{CARD}\" stroke=\"{EDGE}\"/>\n",
        n(w),
        n(h),
        escape(title),
        n(w - 1.0),
        n(h - 1.0)
    )
}

/// A text in lines that are no wider than `room`, broken between words.
pub fn wrapped(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line, size) + width(word, size) + 0.3 * size <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text is set.
#[derive(Clone, Copy)]
pub struct Font {
    pub size: f64,
    pub bold: bool,
    pub colour: &'static str,
    pub anchor: Anchor,
    /// A white rim, so that the text reads over lines and marks.
    pub halo: bool,
}

impl Font {
    pub fn new(size: f64) -> Font {
        Font { size, bold: false, colour: INK, anchor: Anchor::Start, halo: false }
    }

    pub fn bold(self) -> Font {
        Font { bold: true, ..self }
    }

    pub fn colour(self, colour: &'static str) -> Font {
        Font { colour, ..self }
    }

    pub fn anchor(self, anchor: Anchor) -> Font {
        Font { anchor, ..self }
    }

    pub fn halo(self) -> Font {
        Font { halo: true, ..self }
    }
}

/// Writes a text with the middle of its height at `y`; `turned` runs upwards.
pub fn text(svg: &mut String, [x, y]: [f64; 2], text: &str, font: Font, turned: bool) {
    if text.is_empty() {
        return;
    }
    let Font { size, bold, colour, anchor, halo } = font;
    let baseline = size * 0.35;
    let place = if turned {
        format!("transform=\"translate({} {}) rotate(-90)\"", n(x + baseline), n(y))
    } else {
        format!("x=\"{}\" y=\"{}\"", n(x), n(y + baseline))
    };
    let anchor = match anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let weight = if bold { " font-weight=\"600\"" } else { "" };
    let rim = if halo {
        " stroke=\"#ffffff\" stroke-width=\"3\" stroke-linejoin=\"round\" paint-order=\"stroke\""
    } else {
        ""
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        "<text {place} font-size=\"{}\" fill=\"{colour}\"{anchor}{weight}{rim}>{}</text>",
        n(size),
        escape(text)
    );
}

/// A straight line.
pub fn line(svg: &mut String, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], colour: &str, width: f64) {
    let _ = writeln!(
        svg,
        "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{colour}\" stroke-width=\"{}\"/>",
        n(x1),
        n(y1),
        n(x2),
        n(y2),
        n(width)
    );
}
