//! Places labels next to their marks without overlaps.

/// A circle on the card that labels should keep off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circle {
    pub x: f64,
    pub y: f64,
    pub r: f64,
}

/// The box of a label, from its middle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Label {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
    /// The label is so far from its mark that a line must connect them.
    pub led: bool,
}

/// Distances from a mark's edge that are tried, and from which on a line leads to the label.
const DISTANCES: [f64; 10] = [3.0, 8.0, 15.0, 24.0, 36.0, 52.0, 72.0, 96.0, 124.0, 156.0];
const LED: f64 = 14.0;
const DIRECTIONS: usize = 36;
const SWEEPS: usize = 12;

/// One place a label, in order: `marks[i]` is that of `sizes[i]` (width, height). `others` are further things to keep off,
/// `area` is left, top, right, bottom of what labels stay inside. The same input gives the same places.
pub(super) fn place(marks: &[Circle], sizes: &[[f64; 2]], others: &[Circle], area: [f64; 4]) -> Vec<Label> {
    let candidates: Vec<Vec<(Label, f64)>> = marks
        .iter()
        .enumerate()
        .zip(sizes)
        .map(|((index, mark), &size)| {
            let rest = || marks.iter().enumerate().filter(move |(other, _)| *other != index).map(|(_, circle)| circle);
            let fixed = |label: &Label| {
                let covered: f64 = marks.iter().chain(others).map(|circle| covers(label, circle)).sum();
                let crossed = rest().filter(|circle| label.led && crosses(mark, label, circle)).count();
                let own = gap(label, mark);
                let astray = rest().filter(|circle| gap(label, circle) < own - 0.5).count();
                covered + 40.0 * crossed as f64 + 6.0 * astray as f64 + outside(label, area)
            };
            around(mark, size).into_iter().map(|(label, cost)| (label, cost + fixed(&label))).collect()
        })
        .collect();
    let each = |key: fn(&Circle) -> f64| {
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by(|&a, &b| key(&marks[a]).total_cmp(&key(&marks[b])));
        order
    };
    // Each order ends in a place of its own where none can be bettered by moving one label.
    let orders = [each(|_| 0.0), each(|mark| mark.x), each(|mark| -mark.x), each(|mark| mark.y), each(|mark| -mark.y)];
    let ends = orders.iter().map(|order| settle(&candidates, marks, order));
    ends.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, labels)| labels).unwrap_or_default()
}

/// Gives each label in turn, in an order, its best place among the others until none moves; with what all places cost.
fn settle(candidates: &[Vec<(Label, f64)>], marks: &[Circle], order: &[usize]) -> (f64, Vec<Label>) {
    let mut chosen: Vec<(Label, f64)> = candidates.iter().filter_map(|list| list.first().copied()).collect();
    let clashes = |index: usize, label: &Label, chosen: &[(Label, f64)]| -> f64 {
        let rest = chosen.iter().zip(marks).enumerate().filter(|(other, _)| *other != index);
        rest.map(|(_, ((other, _), mark))| clash(label, &marks[index], other, mark)).sum()
    };
    for _ in 0..SWEEPS {
        let before = chosen.clone();
        for &index in order {
            let best = candidates[index].iter().map(|place| (place.1 + clashes(index, &place.0, &chosen), place));
            if let Some((_, &place)) = best.min_by(|a, b| a.0.total_cmp(&b.0)) {
                chosen[index] = place;
            }
        }
        if chosen == before {
            break;
        }
    }
    let cost = chosen.iter().enumerate().map(|(index, (label, own))| own + clashes(index, label, &chosen) / 2.0).sum();
    (cost, chosen.into_iter().map(|(label, _)| label).collect())
}

/// Places around a mark with what each costs by itself: near ones first, to the right and left before the rest.
fn around(mark: &Circle, [w, h]: [f64; 2]) -> Vec<(Label, f64)> {
    let mut places = Vec::new();
    for distance in DISTANCES {
        for step in 0..DIRECTIONS {
            let angle = step as f64 / DIRECTIONS as f64 * std::f64::consts::TAU;
            let (dx, dy) = (angle.cos(), angle.sin());
            let reach = mark.r + distance;
            let label = Label {
                x: mark.x + dx * (reach + w / 2.0),
                y: mark.y + dy * (reach + h / 2.0),
                w,
                h,
                led: distance > LED,
            };
            let preference = if dx > 0.9 {
                0.0
            } else if dx.abs() < 0.3 {
                1.0
            } else {
                2.0
            };
            places.push((label, preference + distance * 0.6 + if label.led { 6.0 } else { 0.0 }));
        }
    }
    places
}

/// Whether the line from a mark to its label crosses another mark, except one that overlaps the mark itself.
fn crosses(mark: &Circle, label: &Label, circle: &Circle) -> bool {
    let inside = |part: f64| {
        let (x, y) = (mark.x + (label.x - mark.x) * part, mark.y + (label.y - mark.y) * part);
        (x - circle.x).hypot(y - circle.y) < circle.r
    };
    !inside(0.0) && (1..20).any(|step| inside(f64::from(step) / 20.0))
}

/// The cost of a label that covers a mark: more than that of a distant position, and highest for a small mark.
fn covers(label: &Label, circle: &Circle) -> f64 {
    let depth = 1.0 - gap(label, circle);
    if depth <= 0.0 {
        return 0.0;
    }
    150.0 + depth + if swallows(label, circle) { 20.0 } else { 0.0 }
}

/// From a label to the edge of a mark; below 0 where they overlap. The nearest mark is the one that readers take it for.
fn gap(label: &Label, circle: &Circle) -> f64 {
    let x = ((label.x - circle.x).abs() - label.w / 2.0).max(0.0);
    let y = ((label.y - circle.y).abs() - label.h / 2.0).max(0.0);
    x.hypot(y) - circle.r
}

/// The centre of the circle is under the label.
fn swallows(label: &Label, circle: &Circle) -> bool {
    circle.r < 20.0 && (label.x - circle.x).abs() < label.w / 2.0 && (label.y - circle.y).abs() < label.h / 2.0
}

fn outside(label: &Label, [left, top, right, bottom]: [f64; 4]) -> f64 {
    let over = [
        left - (label.x - label.w / 2.0),
        label.x + label.w / 2.0 - right,
        top - (label.y - label.h / 2.0),
        label.y + label.h / 2.0 - bottom,
    ];
    over.iter().map(|over| over.max(0.0) * 50.0).sum()
}

/// What two labels cost one another: overlap most, a leading line through a label next.
fn clash(a: &Label, mark_a: &Circle, b: &Label, mark_b: &Circle) -> f64 {
    let x = (a.w + b.w) / 2.0 + 4.0 - (a.x - b.x).abs();
    let y = (a.h + b.h) / 2.0 + 1.0 - (a.y - b.y).abs();
    let overlap = if x > 0.0 && y > 0.0 { 100.0 + x * y } else { 0.0 };
    let through = |label: &Label, mark: &Circle, other: &Label| {
        let hit = label.led
            && (1..20).any(|step| {
                let part = f64::from(step) / 20.0;
                let (x, y) = (mark.x + (label.x - mark.x) * part, mark.y + (label.y - mark.y) * part);
                (x - other.x).abs() < other.w / 2.0 && (y - other.y).abs() < other.h / 2.0
            });
        if hit { 40.0 } else { 0.0 }
    };
    overlap + through(a, mark_a, b) + through(b, mark_b, a)
}
