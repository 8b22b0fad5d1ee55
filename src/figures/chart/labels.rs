//! Places labels next to their marks, so that neither they nor the lines that lead to them cross a mark, another label or a line.

/// A circle on the card that labels should keep off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circle {
    pub x: f64,
    pub y: f64,
    pub r: f64,
}

/// A straight line between two points on the card.
pub(super) type Segment = [[f64; 2]; 2];

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

/// What labels and their leading lines keep off besides one another, and the area that labels stay inside.
pub(super) struct Surroundings<'a> {
    /// Marks without a label.
    pub circles: &'a [Circle],
    pub lines: &'a [Segment],
    /// Left, top, right, bottom.
    pub area: [f64; 4],
}

/// One place a label, in order: `marks[i]` is that of `sizes[i]` (width, height). The same input gives the same places.
pub(super) fn place(marks: &[Circle], sizes: &[[f64; 2]], around: &Surroundings) -> Vec<Label> {
    let candidates: Vec<Vec<(Label, f64)>> = marks
        .iter()
        .enumerate()
        .zip(sizes)
        .map(|((index, mark), &size)| {
            let rest: Vec<&Circle> =
                marks.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, circle)| circle).collect();
            let fixed = |label: &Label| {
                let covered: f64 = marks.iter().chain(around.circles).map(|circle| covers(label, circle)).sum();
                let struck = around.lines.iter().filter(|line| strikes(line, label)).count();
                let leader = leader(mark, label).filter(|_| label.led);
                let crossed = leader.map_or(0.0, |leader| {
                    let circles = rest.iter().copied().chain(around.circles);
                    let circles = circles.filter(|circle| distance(&leader, circle) < circle.r);
                    // A mark under another has no line that leaves the other out.
                    let under = |circle: &Circle| (circle.x - mark.x).hypot(circle.y - mark.y) < circle.r;
                    let circles = circles.map(|circle| if under(circle) { 40.0 } else { 120.0 });
                    circles.sum::<f64>()
                        + 120.0 * around.lines.iter().filter(|line| cross(line, &leader)).count() as f64
                });
                let own = gap(label, mark);
                let astray = rest.iter().filter(|circle| gap(label, circle) < own - 0.5).count();
                covered + 150.0 * struck as f64 + crossed + 6.0 * astray as f64 + outside(label, around.area)
            };
            let mut places: Vec<(Label, f64)> =
                places(mark, size).into_iter().map(|(label, cost)| (label, cost + fixed(&label))).collect();
            places.sort_by(|a, b| a.1.total_cmp(&b.1));
            places
        })
        .collect();
    let crowd = Crowd { candidates, marks };
    let each = |key: fn(&Circle) -> f64| {
        let mut order: Vec<usize> = (0..marks.len()).collect();
        order.sort_by(|&a, &b| key(&marks[a]).total_cmp(&key(&marks[b])));
        order
    };
    // Each order ends in a place of its own where none can be bettered by moving one label.
    let orders = [each(|_| 0.0), each(|mark| mark.x), each(|mark| -mark.x), each(|mark| mark.y), each(|mark| -mark.y)];
    let first: Vec<(Label, f64)> = crowd.candidates.iter().filter_map(|list| list.first().copied()).collect();
    let ends = orders.iter().map(|order| crowd.settled(first.clone(), order));
    let best = ends.min_by(|a, b| crowd.cost(a).total_cmp(&crowd.cost(b))).unwrap_or_default();
    crowd.made_room(best).into_iter().map(|(label, _)| label).collect()
}

/// A label of this cost covers something, or has a line that crosses something.
const FAULTY: f64 = 100.0;
/// Places of such a label for which the others make room.
const TRIED: usize = 60;

/// Places of all labels with their costs, the cheapest first, and the marks that they belong to.
struct Crowd<'a> {
    candidates: Vec<Vec<(Label, f64)>>,
    marks: &'a [Circle],
}

impl Crowd<'_> {
    /// What a place of a label costs because of the others.
    fn clashes(&self, index: usize, label: &Label, chosen: &[(Label, f64)]) -> f64 {
        let rest = chosen.iter().zip(self.marks).enumerate().filter(|(other, _)| *other != index);
        rest.map(|(_, ((other, _), mark))| clash(label, &self.marks[index], other, mark)).sum()
    }

    /// What all places cost.
    fn cost(&self, chosen: &[(Label, f64)]) -> f64 {
        let all = chosen.iter().enumerate();
        all.map(|(index, (label, own))| own + self.clashes(index, label, chosen) / 2.0).sum()
    }

    /// Gives each label in turn, in an order, its best place among the others until none moves.
    fn settled(&self, mut chosen: Vec<(Label, f64)>, order: &[usize]) -> Vec<(Label, f64)> {
        for _ in 0..SWEEPS {
            let before = chosen.clone();
            for &index in order {
                let mut best = (f64::INFINITY, chosen[index]);
                for place in &self.candidates[index] {
                    // The others cost as much by themselves.
                    if place.1 >= best.0 {
                        break;
                    }
                    let cost = place.1 + self.clashes(index, &place.0, &chosen);
                    if cost < best.0 {
                        best = (cost, *place);
                    }
                }
                chosen[index] = best.1;
            }
            if chosen == before {
                break;
            }
        }
        chosen
    }

    /// Puts labels at fault elsewhere, where the labels that they push away find places too.
    fn made_room(&self, mut chosen: Vec<(Label, f64)>) -> Vec<(Label, f64)> {
        let mut cost = self.cost(&chosen);
        for index in 0..chosen.len() {
            let (label, own) = chosen[index];
            if own + self.clashes(index, &label, &chosen) < FAULTY {
                continue;
            }
            for place in self.candidates[index].iter().take(TRIED) {
                let mut moved = chosen.clone();
                moved[index] = *place;
                let pushed: Vec<usize> = (0..moved.len())
                    .filter(|&other| other != index)
                    .filter(|&other| clash(&place.0, &self.marks[index], &moved[other].0, &self.marks[other]) > 0.0)
                    .collect();
                let moved = self.settled(moved, &pushed);
                let moved_cost = self.cost(&moved);
                if moved_cost < cost {
                    (chosen, cost) = (moved, moved_cost);
                }
            }
        }
        chosen
    }
}

/// Places around a mark with what each costs by itself: near ones first, to the right and left before the rest.
fn places(mark: &Circle, [w, h]: [f64; 2]) -> Vec<(Label, f64)> {
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

/// The line that leads to a label: from the edge of its mark to the nearest side of the label, just inside its corners. `None`
/// where they touch.
pub(super) fn leader(mark: &Circle, label: &Label) -> Option<Segment> {
    const CORNER: f64 = 2.0;
    let x = mark.x.clamp(label.x - label.w / 2.0, label.x + label.w / 2.0);
    let inset = (label.h / 2.0 - CORNER).max(0.0);
    let y = mark.y.clamp(label.y - inset, label.y + inset);
    let length = (x - mark.x).hypot(y - mark.y);
    let part = mark.r / length;
    (length > mark.r).then_some([[mark.x + (x - mark.x) * part, mark.y + (y - mark.y) * part], [x, y]])
}

/// From a line to the centre of a circle.
fn distance([[x1, y1], [x2, y2]]: &Segment, circle: &Circle) -> f64 {
    let (dx, dy) = (x2 - x1, y2 - y1);
    let square = dx * dx + dy * dy;
    let part = if square > 0.0 { ((circle.x - x1) * dx + (circle.y - y1) * dy) / square } else { 0.0 };
    let part = part.clamp(0.0, 1.0);
    (x1 + dx * part - circle.x).hypot(y1 + dy * part - circle.y)
}

/// Whether two lines cross.
fn cross(a: &Segment, b: &Segment) -> bool {
    let side = |[[x1, y1], [x2, y2]]: &Segment, [x, y]: [f64; 2]| (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1);
    let parted = |line: &Segment, other: &Segment| side(line, other[0]) * side(line, other[1]) <= 0.0;
    parted(a, b) && parted(b, a)
}

/// Whether a line goes through a label or ends in it.
fn strikes(line: &Segment, label: &Label) -> bool {
    let [left, top, right, bottom] =
        [label.x - label.w / 2.0, label.y - label.h / 2.0, label.x + label.w / 2.0, label.y + label.h / 2.0];
    let inside = |[x, y]: [f64; 2]| (left..=right).contains(&x) && (top..=bottom).contains(&y);
    // A line through a box crosses one of its diagonals.
    inside(line[0]) || cross(line, &[[left, top], [right, bottom]]) || cross(line, &[[left, bottom], [right, top]])
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
    let leaders = [(a, mark_a), (b, mark_b)].map(|(label, mark)| leader(mark, label).filter(|_| label.led));
    let through = |leader: Option<Segment>, other: &Label| match leader {
        Some(leader) if strikes(&leader, other) => 100.0,
        _ => 0.0,
    };
    let crossed = matches!(leaders, [Some(one), Some(other)] if cross(&one, &other));
    overlap + through(leaders[0], b) + through(leaders[1], a) + if crossed { 120.0 } else { 0.0 }
}
