//! Charts as SVG: lines with bands, scatters, bubbles, on linear or logarithmic axes.
//!
//! A [`Chart`] is plain data; [`Chart::svg`] lays it out and writes it. A [`Figure`] is several charts with one legend.

mod axis;
mod draw;
mod figure;
mod frame;
mod grid;
mod labels;
mod legend;
mod styles;

#[cfg(test)]
mod palette_tests;
#[cfg(test)]
mod tests;

pub(crate) use axis::suits_log;
pub use axis::{Axis, Scale, Unit};
pub use figure::Figure;
pub use styles::{LineStyle, LineStyles};

/// Okabe and Ito's colours, dark grey for their black and olive for their yellow, which is too pale for lines on white. They stay
/// apart for colour-blind readers, as do those that `svg::DARK_MODE` puts in their place.
pub const COLOURS: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#3c3c3c", "#5c5a00"];

/// A series' hue dark enough for text on white; ink for a colour that is none of [`COLOURS`].
fn darker(colour: &str) -> &'static str {
    const DARK: [&str; 8] = ["#00507d", "#8f3f00", "#00694d", "#8a4a6e", "#855c00", "#1f6a97", "#3c3c3c", "#5c5a00"];
    COLOURS
        .iter()
        .position(|known| *known == colour)
        .and_then(|index| DARK.get(index))
        .copied()
        .unwrap_or(crate::figures::svg::INK)
}

/// A picture of series over two axes.
#[derive(Clone, Debug)]
pub struct Chart {
    pub title: String,
    /// A line below the title; may be empty.
    pub subtitle: String,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
    /// What the area of points means, for the legend.
    pub areas: Option<Areas>,
}

/// Marks of one colour and one line in the legend.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its line in the legend; a series without a name has none.
    pub name: String,
    pub colour: &'static str,
    pub marks: Marks,
}

impl Series {
    /// A line without a band.
    pub fn line(name: impl Into<String>, colour: &'static str, points: Vec<[f64; 2]>, stroke: Stroke) -> Series {
        Series { name: name.into(), colour, marks: Marks::Line { points, band: Vec::new(), stroke } }
    }

    /// Points that no line joins.
    pub fn points(name: impl Into<String>, colour: &'static str, points: Vec<ChartPoint>) -> Series {
        Series { name: name.into(), colour, marks: Marks::Points { points, linked: false } }
    }
}

/// The colour of the series with this number, from 0 on.
pub fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

/// What a series is drawn as.
#[derive(Clone, Debug)]
pub enum Marks {
    /// A line through (x, y); it breaks where a value is not finite. `band` holds (x, low, high), drawn pale in the background.
    Line { points: Vec<[f64; 2]>, band: Vec<[f64; 3]>, stroke: Stroke },
    /// Points, each with a label of its own or none. `linked` joins them, in order, by a thin line.
    Points { points: Vec<ChartPoint>, linked: bool },
}

/// How a line is drawn. With eight colours and three patterns 24 lines stay apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    Solid,
    Dashed,
    Dotted,
    /// For the range of a few values.
    Thin,
    /// Thin, pale, short dashes: for lines in the background.
    Pale,
}

impl Stroke {
    /// Presentation attributes: width, pattern, opacity.
    fn attributes(self) -> &'static str {
        match self {
            Stroke::Solid => "stroke-width=\"2.4\"",
            Stroke::Dashed => "stroke-width=\"2.4\" stroke-dasharray=\"9 5\"",
            Stroke::Dotted => "stroke-width=\"2.6\" stroke-dasharray=\"1 5\"",
            Stroke::Thin => "stroke-width=\"1.8\" stroke-opacity=\"0.7\"",
            Stroke::Pale => "stroke-width=\"1.8\" stroke-dasharray=\"4 4\" stroke-opacity=\"0.6\"",
        }
    }
}

/// One mark of a scatter.
#[derive(Clone, Debug)]
pub struct ChartPoint {
    pub x: f64,
    pub y: f64,
    /// In the units of [`Areas`]; 0 for a dot of the usual size.
    pub area: f64,
    /// May be empty.
    pub label: String,
    /// Shown where a reader points at the mark; may be empty.
    pub hint: String,
}

impl ChartPoint {
    /// A dot of the usual size without a label.
    pub fn dot(x: f64, y: f64, hint: &str) -> ChartPoint {
        ChartPoint { x, y, area: 0.0, label: String::new(), hint: hint.to_owned() }
    }
}

/// The key to the area of points.
#[derive(Clone, Debug)]
pub struct Areas {
    /// What is proportional to the area: "parameters".
    pub label: String,
    /// Areas that the legend shows, each with its text.
    pub shown: Vec<(f64, String)>,
}

impl Chart {
    /// A chart without series.
    pub fn new(title: &str, x: Axis, y: Axis) -> Chart {
        Chart { title: title.to_owned(), subtitle: String::new(), x, y, series: Vec::new(), areas: None }
    }

    /// The whole picture, a file of its own.
    pub fn svg(&self) -> String {
        draw::chart(self)
    }

    /// Radius of a mark whose area represents a quantity; that of a plain dot without one.
    fn radius(&self, area: f64) -> f64 {
        /// Radius of the mark with the largest area.
        const LARGEST: f64 = 36.0;
        /// Radius of a mark that represents no quantity.
        const DOT: f64 = 5.0;
        let drawn = self.series.iter().flat_map(|series| match &series.marks {
            Marks::Points { points, .. } => points.as_slice(),
            Marks::Line { .. } => &[],
        });
        let shown = self.areas.iter().flat_map(|areas| areas.shown.iter().map(|(area, _)| *area));
        let most = drawn.map(|point| point.area).chain(shown).fold(0.0, f64::max);
        if area > 0.0 && most > 0.0 { (LARGEST * (area / most).sqrt()).max(2.0) } else { DOT }
    }

    /// Whether a line has more than one point, so that there is a line to be seen.
    fn has_lines(&self) -> bool {
        self.series.iter().any(|series| match &series.marks {
            Marks::Line { points, .. } => points.iter().filter(|[_, y]| y.is_finite()).count() > 1,
            Marks::Points { .. } => false,
        })
    }

    /// Every (x, y) that must be inside the axes, bands included.
    fn extent(&self) -> impl Iterator<Item = [f64; 2]> + '_ {
        self.series.iter().flat_map(|series| match &series.marks {
            Marks::Line { points, band, .. } => {
                let band = band.iter().flat_map(|&[x, low, high]| [[x, low], [x, high]]);
                points.iter().copied().chain(band).collect::<Vec<_>>()
            }
            Marks::Points { points, .. } => points.iter().map(|point| [point.x, point.y]).collect(),
        })
    }
}
