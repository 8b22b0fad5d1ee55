//! The slide: heading, main path, panels, legend, in the arrangement that lets everything be largest.

use super::bands::{Band, bands};
use super::flow::{GAP, flow, wrap};
use super::palette::{BOX_STYLES, BoxStyle};
use super::panel::{Panel, panels, row_panel};
use super::scene::{Anchor, Block, Item, NOTE, Piece, Scene};
use super::structure::{kinds, kinds_in_row};
use crate::arch::describe::{count, shape};
use crate::arch::{Network, Shape};
use crate::figures::svg as text;

/// A slide's shape. What does not fit makes the page higher, so that the print stays legible at a slide's width.
const RATIO: f64 = 16.0 / 9.0;
/// A page of this width, shown on 1920 pixels, has its smallest print at 14.
pub(super) const WIDEST: f64 = NOTE * 1920.0 / 14.0;
const MARGIN: f64 = 26.0;
const HEADING: f64 = 62.0;
/// Between the main path and the panels.
const ASIDE: f64 = 30.0;
/// Between panels.
const SPACE: f64 = 12.0;
/// Bands are not pulled further apart than this to fill the page.
const WIDEST_GAP: f64 = 34.0;
/// Panels grow by no more than this to fill it.
const GROWTH: f64 = 1.6;
/// Space above the legend.
const FOOT: f64 = 26.0;
/// Font sizes of the title and of the totals, and the height of a line of these.
const NAME: f64 = 22.0;
const FACTS: f64 = 12.0;
const LINE: f64 = 17.0;

/// Lays a network out.
pub(super) fn scene(network: &Network, title: &str) -> Scene {
    let found = kinds(network);
    let bands = bands(network, &found);
    let panels = panels(&found);
    let input = format!("input {}", shape(Shape::map(network.plan.input)));
    let (columns, shelves) = arrange(&bands, &panels, &input);
    let least = grid(&panels, &shelves, (0.0, 0.0));
    let mut path = flow(&bands, columns, GAP, &input);
    if least.height > path.height {
        let longest =
            wrap(&bands, columns).iter().scan(0, |start, &end| Some(end - std::mem::replace(start, end))).max();
        let gap = GAP + (least.height - path.height) / longest.unwrap_or(1).max(1) as f64;
        path = flow(&bands, columns, gap.min(WIDEST_GAP), &input);
    }
    compose(network, title, path, |room| grid(&panels, &shelves, room))
}

/// Lays out the blocks of one row, side by side, as large as they are.
pub(super) fn row_scene(network: &Network, row: usize, title: Option<&str>) -> Scene {
    let found = kinds_in_row(network, row);
    let mut panels = panels(&found);
    if panels.is_empty() {
        panels.extend(row_panel(network, row));
    }
    if let [panel] = panels.as_mut_slice() {
        panel.numeral.clear();
    }
    let grid = grid(&panels, &[panels.len()], (0.0, 0.0));
    let styles = used(grid.items.iter());
    let heading = if title.is_some() { 44.0 } else { 0.0 };
    let title = title.unwrap_or_default();
    let width = grid.right.max(text::width(title, NAME, true).min(900.0)) + 2.0 * MARGIN;
    let legend = legend(&styles, width - 2.0 * MARGIN);
    let top = MARGIN + heading;
    let foot = top + grid.height + FOOT / 2.0;
    let height = foot + legend.height + MARGIN;
    let mut whole = Piece::default();
    whole.items.push(heading_text(title, width));
    let left = (width - grid.right) / 2.0;
    whole.place(grid, left, top);
    whole.place(legend, MARGIN, foot);
    whole.items.sort_by_key(|item| !matches!(item, Item::Frame(_)));
    Scene { width, height, items: whole.items }
}

fn heading_text(title: &str, width: f64) -> Item {
    let text = text::fit(title, NAME, true, width - 2.0 * MARGIN);
    let (x, y, anchor) = (MARGIN, MARGIN + 11.0, Anchor::Start);
    Item::Text { x, y, text, size: NAME, bold: true, faint: false, anchor }
}

/// How many columns of bands, and where each shelf of panels ends, so that a slide can show it largest.
fn arrange(bands: &[Band], panels: &[Panel], input: &str) -> (usize, Vec<usize>) {
    let most = bands.len().clamp(1, 12);
    let paths: Vec<(f64, f64)> = (1..=most)
        .map(|columns| {
            let path = flow(bands, columns, GAP, input);
            (path.right, path.height)
        })
        .collect();
    let mut best = (0.0, 1, Vec::new());
    for per_shelf in 1..=panels.len().max(1) {
        let shelves: Vec<usize> =
            (1..=panels.len().div_ceil(per_shelf)).map(|n| (n * per_shelf).min(panels.len())).collect();
        let (mut width, mut height, mut start) = (0.0_f64, 0.0, 0);
        for &end in &shelves {
            let shelf = panels.get(start..end).unwrap_or_default();
            width = width.max(shelf.iter().map(|panel| panel.width + SPACE).sum());
            height += shelf.iter().map(|panel| panel.height + SPACE).fold(0.0, f64::max);
            start = end;
        }
        for (index, &(path_width, path_height)) in paths.iter().enumerate() {
            let whole_width = path_width + width + if panels.is_empty() { 0.0 } else { ASIDE } + 2.0 * MARGIN;
            let whole_height = path_height.max(height) + HEADING + 40.0 + 2.0 * MARGIN;
            let legible = if whole_width <= WIDEST { 1.0 } else { 0.1 };
            let scale = (RATIO / whole_width).min(1.0 / whole_height) * legible;
            if scale > best.0 {
                best = (scale, index + 1, shelves.clone());
            }
        }
    }
    (best.1, best.2)
}

/// Panels on shelves; those of a shelf are made equally high, and shelves equally wide. They grow into the room given,
/// within measure.
fn grid(panels: &[Panel], shelves: &[usize], room: (f64, f64)) -> Piece {
    let mut piece = Piece::default();
    let bounds = || shelves.iter().scan(0, |start, &end| Some((std::mem::replace(start, end), end)));
    let shelf = |(start, end): (usize, usize)| panels.get(start..end).unwrap_or_default();
    let across = |shelf: &[Panel]| shelf.iter().map(|panel| panel.width + SPACE).sum::<f64>() - SPACE;
    let high = |shelf: &[Panel]| shelf.iter().map(|panel| panel.height).fold(0.0, f64::max);
    let width = bounds().map(|bound| across(shelf(bound))).fold(0.0, f64::max);
    let height = bounds().map(|bound| high(shelf(bound)) + SPACE).sum::<f64>() - SPACE;
    let width = room.0.clamp(width, (width * GROWTH).max(width));
    let lift = (room.1.min(height * GROWTH) - height).max(0.0) / shelves.len().max(1) as f64;
    let mut y = 0.0;
    for bound in bounds() {
        let shelf = shelf(bound);
        let height = high(shelf) + lift;
        let extra = (width - across(shelf)) / shelf.len().max(1) as f64;
        let mut x = 0.0;
        for panel in shelf {
            let w = panel.width + extra;
            for mut item in panel.draw(w, height) {
                item.shift(x, y);
                piece.push(item);
            }
            x += w + SPACE;
        }
        y += height + SPACE;
    }
    piece.height = (y - SPACE).max(0.0);
    piece
}

fn compose(network: &Network, title: &str, path: Piece, grid: impl Fn((f64, f64)) -> Piece) -> Scene {
    let facts = facts(network);
    let least = grid((0.0, 0.0));
    let aside = if least.items.is_empty() { 0.0 } else { ASIDE };
    let longest = facts.iter().map(|line| text::width(line, FACTS, false)).fold(0.0, f64::max);
    let body = path.right + aside + least.right;
    let wanted = body.max(longest).max(text::width(title, NAME, true).min(900.0)) + 2.0 * MARGIN;
    let top = MARGIN + HEADING + LINE * facts.len().saturating_sub(1) as f64;
    let styles = used(path.items.iter().chain(&least.items));
    let legend_height = legend(&styles, wanted - 2.0 * MARGIN).height;
    let wanted_height = top + path.height.max(least.height) + FOOT + legend_height + MARGIN;
    let width = wanted.max((wanted_height * RATIO).min(WIDEST));
    let height = wanted_height.max(width / RATIO);
    let legend = legend(&styles, width - 2.0 * MARGIN);
    let foot = height - MARGIN - legend.height;
    let room = foot - FOOT - top;
    let grid = grid((width - 2.0 * MARGIN - path.right - aside, path.height.max(least.height).min(room)));

    let mut whole = Piece::default();
    whole.items.push(heading_text(title, width));
    let (x, anchor) = (MARGIN, Anchor::Start);
    for (index, text) in facts.into_iter().enumerate() {
        let y = MARGIN + 37.0 + LINE * index as f64;
        whole.items.push(Item::Text { x, y, text, size: FACTS, bold: false, faint: true, anchor });
    }
    let left = (width - path.right - aside - grid.right) / 2.0;
    let down = |height: f64| top + (room - height) / 2.0;
    let (path_height, grid_left) = (path.height, left + path.right + aside);
    whole.place(path, left, down(path_height));
    let grid_top = down(grid.height);
    whole.place(grid, grid_left, grid_top);
    whole.place(legend, MARGIN, foot);
    // Frames are below everything else.
    whole.items.sort_by_key(|item| !matches!(item, Item::Frame(_)));
    Scene { width, height, items: whole.items }
}

/// The totals under the title.
fn facts(network: &Network) -> Vec<String> {
    let cost = network.cost();
    let mut lines = vec![format!(
        "{} parameters · {} multiply-adds · {} activations · {} layers deep · input {} · {} classes",
        count(cost.params),
        count(cost.macs),
        count(cost.activations),
        network.depth(),
        shape(Shape::map(network.plan.input)),
        network.plan.classes
    )];
    let aux = network.aux_cost();
    if aux.params > 0 {
        lines.push(format!(
            "in training also {} parameters and {} multiply-adds of auxiliary heads",
            count(aux.params),
            count(aux.macs)
        ));
    }
    lines
}

fn used<'i>(items: impl Iterator<Item = &'i Item>) -> Vec<BoxStyle> {
    let present: Vec<BoxStyle> =
        items.filter_map(|item| if let Item::Block(block) = item { Some(block.style) } else { None }).collect();
    BOX_STYLES.into_iter().filter(|style| present.contains(style)).collect()
}

/// Swatches in a line, in more lines where the page is narrow.
fn legend(styles: &[BoxStyle], room: f64) -> Piece {
    let mut piece = Piece::default();
    let (mut x, mut y) = (0.0, 7.0);
    for &style in styles {
        let Some(text) = style.legend() else { continue };
        let w = 18.0 + text::width(text, NOTE, false) + 18.0;
        if x > 0.0 && x + w > room {
            x = 0.0;
            y += 19.0;
        }
        let block = Block::plain(style, String::new(), 12.0);
        piece.push(Item::Block(Block { x, y: y - 6.0, w: 12.0, ..block }));
        piece.push(Item::note(x + 18.0, y, text, Anchor::Start));
        x += w;
    }
    piece.height = y + 7.0;
    piece
}
