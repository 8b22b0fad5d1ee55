//! A confusion matrix as a picture: a row a true class, a column a predicted class, and the accuracy of each class.

use super::svg::{Anchor, EDGE, FAINT, Font, INK, card, fit, line, rectangle, text, width};
use crate::analysis::Confusion;
use crate::runs::grouped;

const RIGHT: &str = "#0072b2";
const WRONG: &str = "#d55e00";
/// The colour of the numbers in strongly coloured cells of mistakes, on light and dark pages.
const DARK: &str = "#1b1b1b";
const SIDE: f64 = 820.0;
const MARGIN: f64 = 30.0;
const TOP: f64 = 96.0;
/// Room for the title of an axis.
const AXIS: f64 = 34.0;
/// Room for the accuracies on the right.
const ACCURACY: f64 = 150.0;
const LABEL: f64 = 15.0;
/// Longest label, in the picture's units.
const LONGEST: f64 = 170.0;
/// Cells below this size have no number, and below the other no label.
const NUMBERED: f64 = 34.0;
const LABELLED: f64 = 16.0;

/// Draws a matrix; `split` says which images were evaluated, such as `test`. Cells show percent of the images of their true
/// class; those of errors are coloured by the square root, so that rare ones are seen.
pub fn confusion(confusion: &Confusion, title: &str, split: &str) -> String {
    let count = confusion.classes.len().max(1);
    let cell = (SIDE / count as f64).min(58.0);
    let labelled = cell >= LABELLED;
    let longest = confusion.classes.iter().map(|class| width(class, LABEL, false)).fold(0.0, f64::max).min(LONGEST);
    let labels = if labelled { longest + 12.0 } else { 0.0 };
    let matrix = Matrix { confusion, cell, left: MARGIN + AXIS + labels, top: TOP + AXIS + labels };
    let side = matrix.side();
    let size = [(matrix.left + side + ACCURACY + MARGIN).max(560.0), matrix.top + side + MARGIN];

    let mut svg = card(title, size);
    let room = size[0] - 2.0 * MARGIN;
    text(&mut svg, [MARGIN, 38.0], &fit(title, 23.0, true, room), Font::new(23.0).bold(), false);
    text(&mut svg, [MARGIN, 68.0], &subtitle(confusion, split), Font::new(LABEL).colour(FAINT), false);
    let heading = Font::new(LABEL).bold();
    let middle = [matrix.left + side / 2.0, matrix.top + side / 2.0];
    text(&mut svg, [middle[0], TOP + 8.0], "predicted class", heading.anchor(Anchor::Middle), false);
    text(&mut svg, [MARGIN + 8.0, middle[1]], "true class", heading.anchor(Anchor::Middle), true);
    text(&mut svg, [matrix.left + side + 14.0, matrix.top - 14.0], "Top-1", heading, false);
    for class in 0..confusion.classes.len() {
        matrix.row(&mut svg, class, labelled);
    }
    matrix.frame(&mut svg);
    svg.push_str("</svg>\n");
    svg
}

fn subtitle(confusion: &Confusion, split: &str) -> String {
    let (correct, images) = confusion.total();
    let top1 = 100.0 * correct as f64 / images.max(1) as f64;
    let images = grouped(&images.to_string(), ' ');
    format!("Top-1 {top1:.2} % of {images} {split} images; cells are percent of the true class")
}

struct Matrix<'a> {
    confusion: &'a Confusion,
    cell: f64,
    left: f64,
    top: f64,
}

impl Matrix<'_> {
    fn side(&self) -> f64 {
        self.cell * self.confusion.classes.len() as f64
    }

    /// The row of a true class, its labels, and its accuracy.
    fn row(&self, svg: &mut String, class: usize, labelled: bool) {
        let Matrix { confusion, cell, left, top } = *self;
        let middle = top + (class as f64 + 0.5) * cell;
        if labelled {
            let label = fit(&confusion.classes[class], LABEL, false, LONGEST);
            let font = Font::new(LABEL);
            text(svg, [left - 8.0, middle], &label, font.anchor(Anchor::End), false);
            text(svg, [left + (class as f64 + 0.5) * cell, top - 8.0], &label, font, true);
        }
        let images = confusion.images(class);
        for (predicted, &count) in confusion.counts[class].iter().enumerate().filter(|(_, count)| **count > 0) {
            self.count(svg, [class, predicted], count as f64 / images as f64);
        }
        if let Some(top1) = confusion.top1(class) {
            let x = left + self.side() + 14.0;
            let bar = [x, middle - 0.32 * cell, top1 * (ACCURACY - 14.0), 0.64 * cell];
            if top1 > 0.0 {
                filled(svg, bar, RIGHT, 0.22);
            }
            if labelled {
                text(svg, [x + 8.0, middle], &format!("{:.1} %", 100.0 * top1), Font::new(LABEL), false);
            }
        }
    }

    fn count(&self, svg: &mut String, [class, predicted]: [usize; 2], share: f64) {
        let Matrix { cell, left, top, .. } = *self;
        let [x, y] = [left + predicted as f64 * cell, top + class as f64 * cell];
        let (colour, strength) = if class == predicted { (RIGHT, share) } else { (WRONG, share.sqrt()) };
        filled(svg, [x, y, cell, cell], colour, strength);
        if cell >= NUMBERED {
            let percent = 100.0 * share;
            let number = if percent < 0.95 { format!("{percent:.1}") } else { format!("{percent:.0}") };
            let colour = match class == predicted {
                _ if strength <= 0.6 => INK,
                true => "#ffffff",
                // White is hard to read on orange.
                false => DARK,
            };
            let font = Font::new(LABEL).colour(colour).anchor(Anchor::Middle);
            text(svg, [x + cell / 2.0, y + cell / 2.0], &number, font, false);
        }
    }

    fn frame(&self, svg: &mut String) {
        let (side, count) = (self.side(), self.confusion.classes.len());
        let [right, bottom] = [self.left + side, self.top + side];
        // Lines between cells smaller than this would hide the cells.
        let every = if self.cell >= 8.0 { 1 } else { count.max(1) };
        for index in (0..=count).step_by(every) {
            let at = index as f64 * self.cell;
            line(svg, [self.left, self.top + at], [right, self.top + at], EDGE, 1.0);
            line(svg, [self.left + at, self.top], [self.left + at, bottom], EDGE, 1.0);
        }
    }
}

fn filled(svg: &mut String, [x, y, w, h]: [f64; 4], colour: &str, opacity: f64) {
    rectangle(svg, [x, y], [w, h], &format!("fill=\"{colour}\" fill-opacity=\"{opacity:.3}\""));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_row_and_only_cells_with_images_are_drawn() {
        let names = ["cat", "<dog>"].map(str::to_owned);
        let mut matrix = Confusion::new(&names, 2);
        matrix.add(&[0, 0, 0, 1], &[0, 0, 1, 1]);
        let svg = confusion(&matrix, "net & co", "test");
        assert!(svg.contains("net &amp; co") && svg.contains("&lt;dog&gt;"));
        assert!(svg.contains("Top-1 75.00 % of 4 test images") && svg.contains("66.7 %") && svg.contains("100.0 %"));
        // The card, three cells, and the bars of two classes.
        assert_eq!(svg.matches("<rect").count(), 6);
    }

    #[test]
    fn a_thousand_classes_are_drawn_without_labels() {
        let mut matrix = Confusion::new(&[], 1000);
        let labels: Vec<i64> = (0..1000).collect();
        matrix.add(&labels, &labels);
        let svg = confusion(&matrix, "ImageNet", "validation");
        assert!(!svg.contains("class 7") && svg.len() < 400_000, "{}", svg.len());
    }
}
