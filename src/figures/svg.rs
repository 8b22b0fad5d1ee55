//! What charts and diagrams write SVG with: colours, numbers, texts and how wide they are.
//!
//! Presentation attributes only, so that several pictures can share a page. The one style sheet, [`DARK_MODE`], changes
//! colours where a page is dark, and says the same in every picture.

use std::fmt::Write;

pub(super) const FONTS: &str =
    "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
pub(super) const INK: &str = "#1b2430";
pub(super) const FAINT: &str = "#5b6675";
pub(super) const CARD: &str = "#ffffff";
pub(super) const EDGE: &str = "#d5dbe3";
pub const GRID: &str = "#e7ebf0";

/// Colours of text on the fill of a box, which is the same on a dark page: never those of [`DARK_MODE`].
pub(super) const ON_LIGHT: &str = "#111820";
pub(super) const ON_DARK: &str = "#fefefe";

/// Turns ground, ink and grid over where the reader's system is set to dark, and gives the colours of series (`chart::COLOURS`)
/// the lightness that they need there. Texts in darker shades of them come last, since later rules win.
pub(super) const DARK_MODE: &str = r##"<style>@media (prefers-color-scheme: dark) {
svg [fill="#ffffff"] { fill: #171f27 } svg [stroke="#ffffff"] { stroke: #171f27 }
svg [fill="#f5f7fa"] { fill: #202832 } svg [stroke="#d5dbe3"] { stroke: #313c49 } svg [stroke="#e7ebf0"] { stroke: #28323d }
svg [fill="#1b2430"] { fill: #e6ebf1 } svg [stroke="#1b2430"], svg [stroke="#5b6675"] { stroke: #a3afbd }
svg [fill="#5b6675"] { fill: #a3afbd } svg [fill="#3c4654"] { fill: #8793a1 } svg [stroke="#3c4654"] { stroke: #8793a1 }
svg :not(rect)[fill="#0072b2"] { fill: #226ffb } svg :not(rect)[stroke="#0072b2"] { stroke: #226ffb }
svg :not(rect)[fill="#d55e00"] { fill: #d04605 } svg :not(rect)[stroke="#d55e00"] { stroke: #d04605 }
svg :not(rect)[fill="#009e73"] { fill: #2fd8a7 } svg :not(rect)[stroke="#009e73"] { stroke: #2fd8a7 }
svg :not(rect)[fill="#cc79a7"] { fill: #9562a0 } svg :not(rect)[stroke="#cc79a7"] { stroke: #9562a0 }
svg :not(rect)[fill="#e69f00"] { fill: #dd9f0d } svg :not(rect)[stroke="#e69f00"] { stroke: #dd9f0d }
svg :not(rect)[fill="#56b4e9"] { fill: #37a6ec } svg :not(rect)[stroke="#56b4e9"] { stroke: #37a6ec }
svg :not(rect)[fill="#3c3c3c"] { fill: #98948c } svg :not(rect)[stroke="#3c3c3c"] { stroke: #98948c }
svg :not(rect)[fill="#5c5a00"] { fill: #dfde38 } svg :not(rect)[stroke="#5c5a00"] { stroke: #dfde38 }
svg text[fill="#00507d"], svg text[fill="#1f6a97"] { fill: #8ccbf2 }
svg text[fill="#8f3f00"], svg text[fill="#855c00"] { fill: #ffb07a }
svg text[fill="#00694d"] { fill: #5fd0a8 } svg text[fill="#8a4a6e"] { fill: #e7abc9 }
svg text[fill="#3c3c3c"] { fill: #c4c9cf } svg text[fill="#5c5a00"] { fill: #e2d75a }
}</style>
"##;

/// A coordinate with two digits at most.
pub fn n(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Text that cannot be taken for markup. Control characters, which XML does not have, become spaces.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' => safe.push('\n'),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

// The reader's font is unknown, so widths are those of a wide one (DejaVu Sans), bold where bold.

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

/// Begins a picture on a card. `shown` is the size at which it is shown, `units` the size of its coordinates; `definitions`
/// may be empty. The caller ends the document.
pub fn begin(title: &str, units: [f64; 2], shown: [f64; 2], definitions: &str) -> String {
    let ([w, h], [shown_w, shown_h]) = (units.map(n), shown.map(n));
    let [card_w, card_h] = units.map(|side| n(side - 1.0));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{shown_w}\" height=\"{shown_h}\" \
         role=\"img\" font-family=\"{FONTS}\">\n<title>{}</title>\n{definitions}{DARK_MODE}\
         {CARD_START} x=\"0.5\" y=\"0.5\" width=\"{card_w}\" height=\"{card_h}\" rx=\"14\" fill=\"{CARD}\" \
         stroke=\"{EDGE}\"/>\n",
        escape(title),
    )
}

/// Begins a picture whose coordinates are pixels.
pub fn card(title: &str, size: [f64; 2]) -> String {
    begin(title, size, size, "")
}

const CARD_START: &str = "<rect class=\"card\"";

/// The picture without its card, for slides and pages of any colour.
pub(super) fn without_card(svg: &str) -> String {
    svg.lines().filter(|line| !line.starts_with(CARD_START)).flat_map(|line| [line, "\n"]).collect()
}

/// A text in lines that are no wider than `room`, broken between words.
pub fn wrapped(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line, size, false) + width(word, size, false) + 0.3 * size <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    pub(super) fn halo(self) -> Font {
        Font { halo: true, ..self }
    }
}

/// Writes a text on a line of its own, with the middle of its height at `y`; `turned` runs upwards.
pub fn text(svg: &mut String, at: [f64; 2], text: &str, font: Font, turned: bool) {
    if !text.is_empty() {
        inline_text(svg, at, text, font, turned);
        svg.push('\n');
    }
}

/// As [`text`], inside a line.
pub(super) fn inline_text(svg: &mut String, [x, y]: [f64; 2], text: &str, font: Font, turned: bool) {
    if text.is_empty() {
        return;
    }
    let Font { size, bold, colour, anchor, halo } = font;
    let baseline = size * 0.35;
    let position = if turned {
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
    let _ = write!(
        svg,
        "<text {position} font-size=\"{}\" fill=\"{colour}\"{anchor}{weight}{rim}>{}</text>",
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

/// A rectangle: its left upper corner, its size and its other attributes.
pub(super) fn rectangle(svg: &mut String, corner: [f64; 2], size: [f64; 2], attributes: &str) {
    let ([x, y], [w, h]) = (corner.map(n), size.map(n));
    let _ = writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" {attributes}/>");
}

/// A circle: its centre, its radius and its other attributes.
pub fn circle(svg: &mut String, centre: [f64; 2], radius: f64, attributes: &str) {
    let ([x, y], r) = (centre.map(n), n(radius));
    let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" {attributes}/>");
}

/// Begins a picture of a width and of `height` below its heading, which is a title and a note in lines of text of this size.
/// Returns the lower edge of the heading, too.
pub fn headed(title: &str, note: &str, size: f64, [width, height]: [f64; 2]) -> (String, f64) {
    let room = width - 60.0;
    let note = wrapped(note, size, room);
    let top = 66.0 + 20.0 * note.len() as f64;
    let mut svg = card(title, [width, top + height]);
    text(&mut svg, [30.0, 36.0], &fit(title, 22.0, true, room), Font::new(22.0).bold(), false);
    for (index, line) in note.iter().enumerate() {
        text(&mut svg, [30.0, 66.0 + 20.0 * index as f64], line, Font::new(size).colour(FAINT), false);
    }
    (svg, top)
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
