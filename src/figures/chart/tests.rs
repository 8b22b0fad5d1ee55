//! What charts must hold whatever the data.

use super::labels::{Circle, Label, Segment, Surroundings, leader, place};
use super::*;

fn labels(axis: &Axis, values: &[f64]) -> Vec<String> {
    let ticks = axis.span(values.iter().copied()).ticks;
    ticks.into_iter().map(|tick| tick.label).filter(|label| !label.is_empty()).collect()
}

#[test]
fn ticks_are_round() {
    assert_eq!(labels(&Axis::new("y"), &[0.03, 0.97]), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    assert_eq!(labels(&Axis::new("y").percent(), &[0.56, 0.84])[..2], ["55 %", "60 %"]);
    assert_eq!(labels(&Axis::new("epoch"), &[1.0, 5.0])[..2], ["1", "2"]);
    assert_eq!(labels(&Axis::new("x").log(), &[0.3, 38.0]), ["0.5", "1", "2", "5", "10", "20"]);
    assert_eq!(labels(&Axis::new("lr").log(), &[1e-5, 0.9]), ["1e-5", "1e-4", "0.001", "0.01", "0.1", "1"]);
    assert_eq!(labels(&Axis::new("epoch").count(), &[1.0, 2.0]), ["1", "2"]);
    assert_eq!(labels(&Axis::new("epoch").count(), &[1.0, 18.0])[..2], ["5", "10"]);
    assert_eq!(labels(&Axis::new("depth").at(vec![8.0, 14.0]), &[8.0, 14.0]), ["8", "14"]);
    assert_eq!(labels(&Axis::of_names("", vec!["a".to_owned(), "b".to_owned()]), &[]), ["a", "b"]);
    assert_eq!(labels(&Axis::new("x").range(0.0, 10.0), &[]), ["0", "2", "4", "6", "8", "10"]);
}

#[test]
fn an_axis_bears_anything() {
    for axis in [Axis::new("y"), Axis::new("y").log()] {
        for values in [
            &[][..],
            &[7.0],
            &[0.0, 0.0],
            &[f64::NAN, f64::INFINITY],
            &[-1.0, 1e-300],
            &[1e300, 1.0],
            &[9e6, 9e-317],
            &[0.0, 5e-324],
            &[-f64::MAX, f64::MAX],
            &[1e-150, 1e150],
            &[1e150, -1e150],
        ] {
            for axis in [axis.clone(), axis.clone().padding(0.1), axis.clone().count(), axis.clone().percent()] {
                let span = axis.span(values.iter().copied());
                assert!(span.low < span.high && span.ticks.len() < 4000, "{values:?}: {span:?}");
                let far = |value: &f64| span.place(*value).is_some_and(|part| !(-1.0..=2.0).contains(&part));
                assert!(!values.iter().any(far), "{values:?}: {span:?}");
            }
        }
    }
}

fn line(points: Vec<[f64; 2]>, band: Vec<[f64; 3]>) -> Chart {
    let mut chart = Chart::new("loss <&>", Axis::new("epoch"), Axis::new("loss").log());
    let marks = Marks::Line { points, band, stroke: Stroke::Solid };
    chart.series.push(Series { name: "resnet20".to_owned(), colour: COLOURS[0], marks });
    chart
}

#[test]
fn a_line_breaks_where_there_is_no_number() {
    let svg = line(vec![[1.0, 2.0], [2.0, f64::NAN], [3.0, 1.0], [4.0, 0.5]], vec![]).svg();
    let path = svg.lines().find(|line| line.contains("stroke-linejoin")).unwrap();
    assert_eq!((path.matches('M').count(), path.matches('L').count()), (1, 1));
    assert_eq!(svg.matches("<circle").count(), 1, "the point before the gap is a dot");
    assert!(!svg.contains("NaN") && svg.contains("loss &lt;&amp;&gt;"));
}

#[test]
fn a_band_lies_behind_its_line() {
    let svg = line(vec![[1.0, 2.0], [2.0, 1.0]], vec![[1.0, 1.8, 2.2], [2.0, 0.9, 1.1]]).svg();
    assert!(svg.find("<polygon").unwrap() < svg.find("stroke-linejoin").unwrap());
}

/// Marks in a crowd: every label finds a place of its own.
#[test]
fn labels_lie_neither_on_one_another_nor_on_marks() {
    let marks: Vec<Circle> = (0..12)
        .map(|i| Circle { x: 300.0 + f64::from(i % 4) * 22.0, y: 300.0 + f64::from(i / 4) * 14.0, r: 6.0 })
        .collect();
    let sizes = vec![[80.0, 15.0]; marks.len()];
    let around = Surroundings { circles: &[], lines: &[], area: [0.0, 0.0, 700.0, 600.0] };
    let places = place(&marks, &sizes, &around);
    let apart = |a: &Label, b: &Label| (a.x - b.x).abs() >= (a.w + b.w) / 2.0 || (a.y - b.y).abs() >= (a.h + b.h) / 2.0;
    for (index, a) in places.iter().enumerate() {
        assert!(places[..index].iter().all(|b| apart(a, b)), "{places:?}");
        let off = |mark: &Circle| {
            let x = ((a.x - mark.x).abs() - a.w / 2.0).max(0.0);
            let y = ((a.y - mark.y).abs() - a.h / 2.0).max(0.0);
            x.hypot(y) >= mark.r
        };
        assert!(marks.iter().all(off), "{a:?} lies on a mark");
    }
}

/// The line to VGG-13 BN used to go through the label VGG-13: places were tried with another line than the one drawn. The marks
/// are the large ones of the chart of accuracy against operations, with labels that are longer and two lines besides.
#[test]
fn leaders_cross_neither_labels_nor_marks_nor_lines() {
    let marks = [
        [859.0, 302.6, 35.2],
        [859.0, 334.5, 35.2],
        [817.8, 317.5, 34.6],
        [817.8, 348.0, 34.6],
        [763.6, 348.2, 33.9],
        [763.6, 376.8, 33.9],
        [695.0, 369.2, 33.9],
        [695.0, 392.5, 33.9],
        [884.5, 222.6, 33.1],
        [828.0, 214.6, 27.7],
        [817.7, 209.6, 26.9],
        [764.9, 229.2, 24.4],
        [766.7, 231.9, 22.8],
        [699.4, 248.1, 19.6],
    ]
    .map(|[x, y, r]| Circle { x, y, r });
    let sizes: Vec<[f64; 2]> = (0..marks.len()).map(|index| [[100.0, 75.0][index % 2], 15.5]).collect();
    let lines: [Segment; 2] = [[[560.0, 440.0], [900.0, 410.0]], [[720.0, 430.0], [720.0, 500.0]]];
    let around = Surroundings { circles: &[], lines: &lines, area: [94.0, 98.0, 1014.0, 642.0] };
    let places = place(&marks, &sizes, &around);
    // Every point of a line, a tenth of a pixel or so apart.
    let along = |[from, to]: Segment| {
        let at = move |axis: usize, step: i32| from[axis] + (to[axis] - from[axis]) * f64::from(step) / 2000.0;
        (0..=2000).map(move |step| [at(0, step), at(1, step)])
    };
    let within =
        |label: &Label, [x, y]: [f64; 2]| (x - label.x).abs() < label.w / 2.0 && (y - label.y).abs() < label.h / 2.0;
    let mut led = 0;
    for (index, (label, mark)) in places.iter().zip(&marks).enumerate() {
        assert!(lines.iter().all(|&line| !along(line).any(|point| within(label, point))), "{label:?} lies on a line");
        let Some(leader) = leader(mark, label).filter(|_| label.led) else { continue };
        led += 1;
        let others = || (0..marks.len()).filter(|&other| other != index);
        for [x, y] in along(leader) {
            assert!(!others().any(|other| within(&places[other], [x, y])), "{leader:?} crosses a label of {places:?}");
            assert!(
                !others().any(|other| (x - marks[other].x).hypot(y - marks[other].y) < marks[other].r - 0.01),
                "{leader:?}"
            );
        }
    }
    assert!(led > 0, "no label is far from its mark: {places:?}");
}

#[test]
fn rates_and_batches_are_logarithmic() {
    for even in
        [&[0.01, 0.1][..], &[0.1, 0.03, 0.3, 1.0], &[32.0, 128.0, 512.0], &[1.0, 2.0, 5.0, 10.0], &[1.0, 3.0, 70.0]]
    {
        assert!(suits_log(even), "{even:?}");
    }
    for odd in
        [&[][..], &[20.0, 32.0, 44.0, 56.0], &[2.0, 12.0, 22.0], &[0.0, 0.1, 1.0], &[-1.0, 10.0], &[5.0, f64::NAN]]
    {
        assert!(!suits_log(odd), "{odd:?}");
    }
}

/// Panels of validation and test accuracy side by side used to have a scale each.
#[test]
fn like_panels_share_a_scale() {
    let panel = |high: f64| {
        let mut chart = Chart::new("p", Axis::new("epoch").count(), Axis::new("Top-1").percent());
        let marks = Marks::Line { points: vec![[1.0, 0.5], [2.0, high]], band: vec![], stroke: Stroke::Solid };
        chart.series.push(Series { name: "a".to_owned(), colour: COLOURS[0], marks });
        chart
    };
    let mut panels = vec![panel(0.6), panel(0.9)];
    let spans = |panels: &[Chart]| {
        [0, 1].map(|index| frame::Frame::beside(&panels[index], panels, [0.0, 0.0, 600.0, 400.0]).y.high)
    };
    assert_eq!(spans(&panels), [0.9, 0.9]);
    panels[1].y = Axis::new("loss");
    let apart = spans(&panels);
    assert!(apart[0] < 0.65 && apart[1] > 0.85, "{apart:?}");
}

/// The dot of a run of one epoch used to be cut in halves by the frame, and training was hardly seen.
#[test]
fn a_line_of_one_point_is_a_whole_dot() {
    let mut chart = line(vec![[1.0, 2.0]], vec![]);
    let marks = Marks::Line { points: vec![[1.0, 2.2]], band: vec![], stroke: Stroke::Pale };
    chart.series.push(Series { name: String::new(), colour: COLOURS[0], marks });
    let svg = chart.svg();
    let clipped = svg.find("overflow").unwrap()..svg.rfind("</svg>\n<").unwrap();
    assert!(!svg[clipped.clone()].contains("<circle"));
    assert_eq!(svg[clipped.end..].matches("<circle").count(), 2);
    assert!(svg.contains("r=\"6.5\" fill=\"#ffffff\"") && svg.contains("r=\"4.5\" fill=\"#0072b2\""));
    let figure = Figure::new("", "", vec![chart]);
    assert!(figure.legend()[0].0.contains("<circle"), "its sign is a dot, too");
}
