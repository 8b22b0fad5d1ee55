use super::page;
use super::scene::{Area, Item, Scene, chip_width};
use super::{block_diagram, diagram, example, row_name};
use crate::arch::golden::network;
use crate::arch::network::StochasticDepth;
use crate::arch::rows::Row;
use crate::arch::{Network, Plan, Style};
use crate::figures::svg as text;

const IMAGENET: [usize; 3] = [3, 224, 224];
const CIFAR: [usize; 3] = [3, 32, 32];

/// A network of every family, and the forms that look different.
fn gallery() -> Vec<(&'static str, Network)> {
    let large = [
        "preset = 'alexnet'",
        "preset = 'vgg'; column = 'E'",
        "preset = 'googlenet'; aux = true",
        "preset = 'googlenet'; aux = true; form = 'torchvision'",
        "preset = 'resnet'; depth = 34",
        "preset = 'resnet'; depth = 34; shortcut = 'none'",
        "preset = 'resnet'; se = 16",
        "preset = 'resnext'",
        "preset = 'inception_resnet'; form = 'facenet'",
        "preset = 'mobilenet_v1'",
        "preset = 'mobilenet_v2'",
        "preset = 'efficientnet'",
    ];
    let small = [
        "preset = 'nin'",
        "preset = 'highway'",
        "preset = 'wide_resnet'",
        "preset = 'resnet'; depth = 1202; layout = 'cifar'; shortcut = 'A'",
        "preset = 'resnet'; depth = 164; layout = 'cifar'; bottleneck = true; order = 'preact'",
        "preset = 'resnet'; depth = 110; layout = 'cifar'; order = 'preact'; gate = 'shortcut_only'",
        "preset = 'resnet'; depth = 110; layout = 'cifar'; gate = 'exclusive'; shortcut_scale = 0.5",
        "preset = 'resnet'; depth = 20; layout = 'cifar'; shortcut = 'A_pool'; scale = 0.5",
    ];
    let read = |keys: &'static str, input| (keys, network(&keys.replace("; ", "\n"), input, 10));
    let mut all: Vec<_> = large.into_iter().map(|keys| read(keys, IMAGENET)).collect();
    all.extend(small.into_iter().map(|keys| read(keys, CIFAR)));
    all.push(("rows", nested()));
    all
}

fn nested() -> Network {
    #[derive(serde::Deserialize)]
    struct Table {
        rows: Vec<Row>,
    }
    let table: Table = toml::from_str(
        r#"rows = [
            { op = "conv", kernel = 3, width = 32 },
            { op = "branches", branches = [
                [{ op = "conv", kernel = 1, width = 16 }],
                [{ op = "conv", kernel = [1, 3], width = 16 }, { op = "residual", body = [
                    { op = "branches", branches = [
                        [{ op = "conv", kernel = 1, width = 8 }],
                        [{ op = "conv", kernel = 3, width = 8 }],
                    ] },
                ] }],
                [],
            ] },
            { op = "residual", scale = 0.2, shortcut = [{ op = "conv", kernel = 1, width = 64, act = "none" }], body = [
                { op = "branches", join = "sum", branches = [
                    [{ op = "conv", kernel = 3, width = 64 }],
                    [{ op = "conv", kernel = 5, width = 64 }],
                ] },
            ] },
            { op = "basic", width = 64, repeat = 2, name = "long_long_long_long_long_long_long_long_name" },
            { op = "global_avg_pool", name = "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm" },
            { op = "classifier", name = "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW" },
        ]"#,
    )
    .unwrap();
    let stochastic_depth = StochasticDepth { survival: 0.5, ..StochasticDepth::default() };
    let plan = Plan { rows: table.rows, style: Style::default(), stochastic_depth, input: CIFAR, classes: 10 };
    Network::new(plan).unwrap()
}

/// Tags are balanced, attributes quoted, and no bare ampersand is left: what a reader of XML insists on.
fn check_xml(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        check_text(&rest[..start]);
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap();
        assert!(tag.matches('"').count().is_multiple_of(2) && !tag.contains('<'), "{tag}");
        check_text(tag);
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
}

fn check_text(text: &str) {
    for (index, _) in text.match_indices('&') {
        let known = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
        assert!(known.iter().any(|entity| text[index..].starts_with(entity)), "{text}");
    }
}

#[test]
fn diagrams_are_xml_with_every_row_in_them() {
    for (keys, network) in gallery() {
        let svg = diagram(&network, keys);
        check_xml(&svg);
        for row in &network.rows {
            assert!(svg.contains(&row_name(row)), "{keys}: {} is missing", row.label);
        }
        assert!(!svg.contains("{}"), "{keys}: a counter is written out");
        assert_eq!(svg, diagram(&network, keys), "the same picture every time");
    }
}

#[test]
fn titles_cannot_be_markup() {
    let network = network("preset = 'nin'", CIFAR, 10);
    for title in ["<script>alert(1)</script>", "\"><svg onload='x'", "a & b", "\u{0}\u{1b}[1m", &"long ".repeat(1000)] {
        let svg = diagram(&network, title);
        check_xml(&svg);
        assert!(!svg.contains("<script") && svg.matches("<svg").count() == 1);
        assert!(svg.chars().all(|c| c == '\n' || !c.is_control()));
        check_scene(title, &page::scene(&network, title));
    }
}

#[test]
fn nothing_overlaps_or_leaves_the_page() {
    for (keys, network) in gallery() {
        let scene = page::scene(&network, keys);
        check_scene(keys, &scene);
        let slide = (scene.width / scene.height - 16.0 / 9.0).abs() < 1e-6;
        let higher = scene.width * 9.0 / 16.0 < scene.height && (scene.width - page::WIDEST).abs() < 1e-6;
        assert!(slide || higher, "{keys}: {} x {}", scene.width, scene.height);
        assert!(super::scene::NOTE * 1920.0 / scene.width >= 14.0 - 1e-6, "{keys}: print of less than 14 pixels");
        for row in 0..network.rows.len() {
            check_scene(keys, &page::row_scene(&network, row, Some(keys)));
        }
    }
}

fn overlap(a: Area, b: Area) -> bool {
    let slack = 0.01;
    a.left + slack < b.right && b.left + slack < a.right && a.top + slack < b.bottom && b.top + slack < a.bottom
}

fn check_scene(keys: &str, scene: &Scene) {
    let solid: Vec<&Item> =
        scene.items.iter().filter(|item| !matches!(item, Item::Frame(_) | Item::Line { .. })).collect();
    for (index, item) in solid.iter().enumerate() {
        let other = solid.iter().skip(index + 1).find(|other| overlap(item.area(), other.area()));
        assert!(other.is_none(), "{keys}: {item:?} lies on {other:?}");
        if let Item::Block(block) = item {
            let size = super::scene::size(block.h);
            let bold = !block.centred();
            let chips: f64 = block.chips.iter().map(|chip| chip_width(chip) + 4.0).sum();
            let note = text::width(&block.note, super::scene::NOTE, false) + chips;
            let title = text::width(&block.title, size, bold);
            assert!(title.max(note) <= block.w, "{keys}: text leaves {block:?}");
        }
    }
    let frames: Vec<Area> =
        scene.items.iter().filter_map(|item| if let Item::Frame(area) = item { Some(*area) } else { None }).collect();
    for item in &scene.items {
        let area = item.area();
        let inside = area.left >= 0.0 && area.top >= 0.0 && area.right <= scene.width && area.bottom <= scene.height;
        assert!(inside, "{keys}: {item:?} leaves the page");
        for &frame in &frames {
            let within = area.left >= frame.left
                && area.right <= frame.right
                && area.top >= frame.top
                && area.bottom <= frame.bottom;
            assert!(within || !overlap(area, frame), "{keys}: {item:?} crosses the edge of a panel");
        }
        if let Item::Line { points, .. } = item {
            for pair in points.windows(2) {
                check_segment(keys, pair[0], pair[1], &solid);
            }
        }
    }
}

/// Arrows end at boxes and signs; they do not run through them.
fn check_segment(keys: &str, a: (f64, f64), b: (f64, f64), solid: &[&Item]) {
    assert!((a.0 - b.0).abs() < 1e-6 || (a.1 - b.1).abs() < 1e-6, "{keys}: {a:?} to {b:?} is slanted");
    let line = Area { left: a.0.min(b.0), right: a.0.max(b.0), top: a.1.min(b.1), bottom: a.1.max(b.1) };
    let wide = Area { left: line.left - 0.1, right: line.right + 0.1, top: line.top - 0.1, bottom: line.bottom + 0.1 };
    for item in solid {
        let area = item.area();
        let core =
            Area { left: area.left + 0.3, right: area.right - 0.3, top: area.top + 0.3, bottom: area.bottom - 0.3 };
        assert!(!overlap(wide, core), "{keys}: the line {a:?} to {b:?} runs through {item:?}");
    }
}

#[test]
fn rows_that_repeat_become_one_band() {
    let svg = diagram(&network("preset = 'mobilenet_v2'", IMAGENET, 1000), "MobileNet v2");
    assert!(svg.contains(">inverted residual ×4, 64, first /2<"));
    assert!(svg.contains(">features.7 – features.10 · expand 6<"));
    let svg = diagram(&network("preset = 'vgg'\ncolumn = 'E'", IMAGENET, 1000), "VGG-19");
    assert!(svg.contains(">conv 3×3 ×4, 512<"));
}

#[test]
fn every_kind_of_block_is_drawn() {
    let rows: Vec<String> = (0..8)
        .map(|kind| {
            let branches: Vec<String> =
                (0..=kind).map(|_| "[{ op = \"conv\", kernel = 3, width = 8 }]".to_owned()).collect();
            format!("{{ op = \"branches\", branches = [{}] }}", branches.join(", "))
        })
        .collect();
    #[derive(serde::Deserialize)]
    struct Table {
        rows: Vec<Row>,
    }
    let end = "{ op = \"global_avg_pool\" }, { op = \"classifier\" }";
    let table: Table = toml::from_str(&format!("rows = [{}, {end}]", rows.join(", "))).unwrap();
    let stochastic_depth = StochasticDepth::default();
    let plan = Plan { rows: table.rows, style: Style::default(), stochastic_depth, input: CIFAR, classes: 10 };
    let scene = page::scene(&Network::new(plan).unwrap(), "eight");
    let frames = scene.items.iter().filter(|item| matches!(item, Item::Frame(_))).count();
    assert_eq!(frames, 8);
    check_scene("eight", &scene);
}

#[test]
fn a_block_stands_alone() {
    for op in ["basic", "bottleneck", "inception", "inception_resnet", "reduction", "highway", "separable", "mbconv"] {
        let svg = block_diagram(&example(op).unwrap(), 0, None);
        check_xml(&svg);
        assert!(!svg.contains(">linear") && svg.matches(">conv ").count() > 0, "{op}");
    }
    let error = example("conv").unwrap_err().to_string();
    assert!(error.contains("no kind of block `conv`; the kinds are basic, "), "{error}");
    let network = network("preset = 'resnet'\ndepth = 18", IMAGENET, 1000);
    let svg = block_diagram(&network, 3, Some("the second stage"));
    assert!(svg.contains(">the second stage<") && svg.contains(">projection shortcut<") && svg.contains("identity"));
    assert!(block_diagram(&network, 0, None).contains("conv 7×7/2, 64"));
}
