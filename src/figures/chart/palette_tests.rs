//! The colours of series are distinguishable on light and dark pages, for colour-blind readers as well.

use super::COLOURS;
use crate::figures::svg::{CARD, DARK_MODE};

type Rgb = [f64; 3];

/// Least distances in OKLab (times 100; about 2 is just noticeable) for full colour vision and for dichromats, and the least contrast
/// with the ground. Okabe and Ito's green and pink set the second one, their orange the third.
const APART: f64 = 13.0;
const APART_FOR_DICHROMATS: f64 = 7.5;
const CONTRAST: f64 = 2.2;

/// Protanopia, deuteranopia and tritanopia in linear RGB: Machado, Oliveira and Fernandes 2009, severity 1.
const DICHROMATS: [[Rgb; 3]; 3] = [
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
];

fn times(matrix: &[Rgb; 3], colour: Rgb) -> Rgb {
    matrix.map(|row| row.iter().zip(colour).map(|(a, b)| a * b).sum())
}

/// Linear RGB of `#rrggbb`.
fn linear(hex: &str) -> Rgb {
    [1, 3, 5].map(|at| {
        let c = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    })
}

/// Ottosson 2020.
fn oklab(rgb: Rgb) -> Rgb {
    let lms = times(
        &[
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ],
        rgb,
    );
    times(
        &[
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ],
        lms.map(f64::cbrt),
    )
}

/// The least distance of two of these colours for full colour vision, and for the dichromats.
fn least_distances(colours: &[String]) -> [f64; 2] {
    let least = |see: &dyn Fn(Rgb) -> Rgb| {
        let seen: Vec<Rgb> = colours.iter().map(|hex| oklab(see(linear(hex)).map(|c| c.clamp(0.0, 1.0)))).collect();
        let pairs = seen.iter().enumerate().flat_map(|(i, a)| seen[..i].iter().map(move |b| (a, b)));
        let distance = |(a, b): (&Rgb, &Rgb)| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        pairs.map(distance).fold(f64::INFINITY, f64::min) * 100.0
    };
    let dichromats = DICHROMATS.map(|matrix| least(&|rgb| times(&matrix, rgb)));
    [least(&|rgb| rgb), dichromats.into_iter().fold(f64::INFINITY, f64::min)]
}

/// Contrast as in WCAG 2.
fn contrast(a: &str, b: &str) -> f64 {
    let [a, b] = [a, b].map(|hex| linear(hex).iter().zip([0.2126, 0.7152, 0.0722]).map(|(a, b)| a * b).sum::<f64>());
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn can_be_told_apart(colours: &[String], ground: &str) -> bool {
    let [all, dichromats] = least_distances(colours);
    let contrasts = colours.iter().all(|colour| contrast(colour, ground) >= CONTRAST);
    all >= APART && dichromats >= APART_FOR_DICHROMATS && contrasts
}

/// What the style sheet makes of a fill where the page is dark.
fn dark(light: &str, element: &str) -> String {
    let rule = format!("svg {element}[fill=\"{light}\"] {{ fill: ");
    DARK_MODE.split_once(&rule).and_then(|(_, rest)| rest.get(..7)).unwrap_or(light).to_owned()
}

#[test]
fn series_can_be_told_apart_on_light_and_dark_pages() {
    let light = COLOURS.map(str::to_owned);
    let dark_ones = COLOURS.map(|colour| dark(colour, ":not(rect)"));
    let ground = dark(CARD, "");
    assert!(can_be_told_apart(&light, CARD), "{:?}", least_distances(&light));
    assert!(can_be_told_apart(&dark_ones, &ground), "{dark_ones:?}: {:?}", least_distances(&dark_ones));
    for (light, dark) in COLOURS.iter().zip(&dark_ones) {
        let stroke = format!("svg :not(rect)[stroke=\"{light}\"] {{ stroke: {dark} }}");
        assert!(DARK_MODE.contains(&stroke), "lines and fills of one series have one colour: {stroke}");
    }
}

/// The palette of before: orange and yellow were one colour without green cones, and two blues nearly one in dark mode.
#[test]
fn the_former_palette_would_not_pass() {
    let former = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a7a7a", "#c9b800"];
    let mut former = former.map(str::to_owned);
    assert!(!can_be_told_apart(&former, CARD));
    former[0] = "#2e95d3".to_owned();
    assert!(!can_be_told_apart(&former, "#171f27"));
    assert!(least_distances(&former[..1].iter().chain(&former[5..6]).cloned().collect::<Vec<_>>())[0] < APART);
}
