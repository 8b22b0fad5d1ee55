//! The values of the page's template: tables, figures, pictures.

use crate::figures::chart::Figure;
use crate::runs::Table;
use crate::runs::format;

/// A table, which readers can sort by every column.
pub(super) struct TableView {
    pub caption: String,
    pub columns: Vec<Heading>,
    pub rows: Vec<Vec<Cell>>,
    /// Whether it has a search field.
    pub searched: bool,
    /// Says what is hidden; may be empty.
    pub note: String,
}

pub(super) struct Heading {
    pub name: String,
    pub class: &'static str,
}

pub(super) struct Cell {
    pub text: String,
    pub class: &'static str,
}

/// Charts with their legend, as SVG that this program wrote.
pub(super) struct FigureView {
    pub title: String,
    pub note: String,
    pub panels: Vec<String>,
    /// Whether each of the panels is as wide as the page.
    pub wide: bool,
    pub legend: Vec<(String, String)>,
}

/// A picture from a file. It is shown as an image, so that scripts in it do not run.
pub(super) struct PictureView {
    pub title: String,
    /// `data:` address.
    pub source: String,
}

impl FigureView {
    pub(super) fn of(figure: &Figure) -> FigureView {
        FigureView {
            title: figure.title.clone(),
            note: figure.note.clone(),
            panels: figure.pieces(),
            wide: figure.parts > 0,
            legend: figure.legend(),
        }
    }
}

/// More rows of a table are hidden.
const MOST_ROWS: usize = 500;

impl TableView {
    /// A table of texts. Columns of numbers are aligned as such.
    pub(super) fn new(caption: &str, columns: Vec<String>, rows: Vec<Vec<String>>) -> TableView {
        let cells = |index: usize| rows.iter().filter_map(move |row| row.get(index));
        let class = |index: usize| match cells(index).map(|text| text.chars().count()).max() {
            _ if cells(index).all(|text| is_number(text)) => "n",
            Some(longest) if longest > TIGHT => "long",
            _ => "tight",
        };
        let classes: Vec<&'static str> = (0..columns.len()).map(class).collect();
        let class = |index: usize| classes.get(index).copied().unwrap_or_default();
        TableView {
            caption: caption.to_owned(),
            columns: columns.into_iter().enumerate().map(|(i, name)| Heading { name, class: class(i) }).collect(),
            rows: rows
                .into_iter()
                .map(|row| row.into_iter().enumerate().map(|(i, text)| Cell { text, class: class(i) }).collect())
                .collect(),
            searched: false,
            note: String::new(),
        }
    }

    /// The content of a CSV file.
    pub(super) fn of(table: &Table, caption: &str) -> TableView {
        let rows: Vec<Vec<String>> = table.rows.iter().take(MOST_ROWS).cloned().collect();
        let mut view = TableView::new(caption, table.columns.clone(), rows);
        if table.rows.len() > MOST_ROWS {
            view.note = format!("The first {MOST_ROWS} of {} rows.", table.rows.len());
        }
        view
    }
}

/// Texts up to this length are not wrapped.
const TIGHT: usize = 28;

/// Whether a cell is empty or a number, such as `90.1 ± 0.2`.
fn is_number(text: &str) -> bool {
    let first = text.split(" ± ").next().unwrap_or_default();
    text.is_empty() || first.replace(GROUP, "").parse::<f64>().is_ok()
}

/// Separates groups of three digits without allowing a line break.
const GROUP: char = '\u{202f}';

/// A count in groups of three digits.
pub(super) fn grouped(digits: &str) -> String {
    format::grouped(digits, GROUP)
}

/// A fraction in per cent, with two digits.
pub(super) fn percent(fraction: Option<f64>) -> String {
    fraction.map_or_else(String::new, |value| format!("{:.2}", 100.0 * value))
}

#[cfg(test)]
#[test]
fn numbers_are_recognised() {
    assert!(["1", "", "0.5", "-1e-3", "90.10 ± 0.20", &grouped("5978042")].iter().all(|text| is_number(text)));
    assert!(["resnet20", "1, 2", "2026-11-24 04:34"].iter().all(|text| !is_number(text)));
    assert_eq!(grouped("5978042"), "5\u{202f}978\u{202f}042");
}
