//! Small images in rows, each with lines of text below it. Pixels are rectangles, so that a picture needs no image decoder.

use super::svg::{FAINT, Font, INK, fit, headed, n, text, width as width_of};
use std::fmt::Write;

const CELL: f64 = 140.0;
const GAP: f64 = 18.0;
const MARGIN: f64 = 30.0;
const LINE: f64 = 18.0;
/// The smallest size of the text below an image.
const SMALLEST: f64 = 11.5;

/// An image and what is said of it.
#[derive(Clone, Debug)]
pub struct Thumbnail {
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// Planes of bytes, one or three.
    pub pixels: Vec<u8>,
    pub lines: Vec<String>,
}

/// Thumbnails in rows of `across`.
pub fn thumbnails(title: &str, note: &str, images: &[Thumbnail], across: usize) -> String {
    let across = across.max(1);
    let lines = images.iter().map(|image| image.lines.len()).max().unwrap_or(0);
    let step = [CELL + GAP, CELL + LINE * lines as f64 + GAP];
    let width = 2.0 * MARGIN + across as f64 * step[0] - GAP;
    let height = images.len().div_ceil(across) as f64 * step[1] + 10.0;
    let (mut svg, heading) = headed(title, note, 14.0, [width, height]);
    let top = heading - 2.0;
    for (index, image) in images.iter().enumerate() {
        let corner = [MARGIN + (index % across) as f64 * step[0], top + (index / across) as f64 * step[1]];
        pixels(&mut svg, corner, image);
        for (number, line) in image.lines.iter().enumerate() {
            let colour = if number == 0 { INK } else { FAINT };
            let at = [corner[0], corner[1] + CELL + 12.0 + LINE * number as f64];
            // A long class is written smaller before the number after it is cut.
            let size = 13.5 * (CELL / width_of(line, 13.5, false)).clamp(SMALLEST / 13.5, 1.0);
            text(&mut svg, at, &fit(line, size, false, CELL), Font::new(size).colour(colour), false);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn pixels(svg: &mut String, [left, top]: [f64; 2], image: &Thumbnail) {
    let [channels, height, width] = image.shape;
    let side = CELL / height.max(width).max(1) as f64;
    let plane = height * width;
    // Without smooth edges there are no seams between pixels.
    svg.push_str("<g shape-rendering=\"crispEdges\">\n");
    // Sixteen levels a channel: equal neighbours become one rectangle, and nobody sees it at this size.
    let colour = |pixel: usize| {
        let level =
            |channel: usize| image.pixels.get((channel % channels.max(1)) * plane + pixel).copied().unwrap_or(0) >> 4;
        format!("{:x}{:x}{:x}", level(0), level(1), level(2))
    };
    for y in 0..height {
        let mut x = 0;
        let fills: Vec<String> = (y * width..(y + 1) * width).map(colour).collect();
        for same in fills.chunk_by(PartialEq::eq) {
            let (fill, length) = (&same[0], same.len() as f64 * side + 0.2);
            let [at_x, at_y] = [left + x as f64 * side, top + y as f64 * side];
            let _ = writeln!(
                svg,
                "<path d=\"M{} {}h{}v{}h-{}z\" fill=\"#{fill}\"/>",
                n(at_x),
                n(at_y),
                n(length),
                n(side + 0.2),
                n(length)
            );
            x += same.len();
        }
    }
    svg.push_str("</g>\n");
}

#[cfg(test)]
#[test]
fn equal_neighbours_are_one_rectangle() {
    let image =
        |pixels: &[u8]| Thumbnail { shape: [1, 2, 2], pixels: pixels.to_vec(), lines: vec!["a < b".to_owned()] };
    let svg = thumbnails("t", "", &[image(&[0, 0, 255, 0]), image(&[9; 4])], 4);
    assert_eq!(svg.matches("<path").count(), 3 + 2);
    assert!(svg.contains("a &lt; b") && svg.contains("#fff"));
}
