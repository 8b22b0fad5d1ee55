//! Diagrams and charts as files, and what of the options each command's help names.

use crate::place::Place;
use std::fs;

#[test]
fn the_ending_is_the_format() {
    let place = Place::with_tiny();
    for (name, begins) in [("a.svg", &b"<svg"[..]), ("a.png", b"\x89PNG"), ("a.pdf", b"%PDF")] {
        place.strata(&["show", "tiny.toml", "--diagram", name]).good();
        assert!(fs::read(place.path(name)).unwrap().starts_with(begins), "{name}");
    }
    place.strata(&["show", "tiny.toml", "--diagram", "both.svg", "--diagram", "both.png"]).good();
    assert!(place.path("both.svg").is_file() && place.path("both.png").is_file());
    let out = place.strata(&["show", "tiny.toml", "--diagram", "-", "--title", "Slide <1>"]).good();
    assert!(out.starts_with("<svg") && out.contains(">Slide &lt;1&gt;</text>") && out.contains("class=\"card\""));
    let out = place.strata(&["show", "tiny.toml", "--diagram", "-", "--transparent"]).good();
    assert!(out.starts_with("<svg") && !out.contains("class=\"card\""));
    for name in ["a.gif", "a", "a.svg.bak"] {
        place.strata(&["show", "tiny.toml", "--diagram", name]).refused(&[name, ".svg, .png or .pdf"]);
        place.strata(&["compare", "--plot", name]).refused(&[name, ".svg, .png or .pdf"]);
        assert!(!place.path(name).exists());
    }
}

#[test]
fn augmented_images_are_drawn() {
    let place = Place::with_tiny();
    let show = |more: &[&str]| place.strata(&[&["show", "tiny.toml", "--augment"], more].concat());
    show(&["a.png"]).good();
    let plain = fs::read(place.path("a.png")).unwrap();
    assert!(plain.starts_with(b"\x89PNG"));
    show(&["b.png", "--set", "data.augment.rand_augment={}", "--set", "data.augment.cutmix={}"]).good();
    assert_ne!(fs::read(place.path("b.png")).unwrap(), plain);
    let svg = show(&["-", "--title", "Slide <1>", "--set", "data.augment.cutout={ length = 4 }"]).good();
    assert!(svg.contains(">Slide &lt;1&gt;</text>") && svg.contains("cutout = { length = 4, holes = 1 }"), "{svg}");
    assert!(svg.contains("data:image/png;base64,iVBOR") && svg.contains(">epoch 8</text>"));
    show(&["a.pdf"]).refused(&[".svg or .png"]);
}

#[test]
fn a_block_is_drawn_by_itself() {
    let place = Place::with_tiny();
    let block = place.strata(&["show", "--block", "mbconv", "--diagram", "-"]).good();
    assert!(block.contains(">MBConv<") && block.contains("depthwise 3×3, 144"), "{block}");
    place.strata(&["show", "--block", "mbcon", "--diagram", "b.svg"]).refused(&["the kinds are basic, ", "mbconv"]);
    let row = place.strata(&["show", "tiny.toml", "--block", "1", "--diagram", "-"]).good();
    assert!(row.contains("conv 3×3"), "{row}");
    place.strata(&["show", "tiny.toml", "--block", "row99", "--diagram", "b.svg"]).refused(&["has no row `row99`"]);
    place.strata(&["show", "--block", "mbconv"]).refused(&["--diagram"]);
    place.strata(&["show"]).refused(&["FILE"]);
}

#[test]
fn help_names_the_options_that_a_command_uses() {
    let place = Place::new();
    let uses = |command: &str| {
        let help = place.strata(&[command, "--help"]).good();
        ["--set", "--device", "--results", "--threads", "--quiet"].map(|option| help.contains(option))
    };
    assert_eq!(uses("train"), [true; 5]);
    assert_eq!(uses("eval"), [true; 5]);
    assert_eq!(uses("fetch"), [false, false, false, false, true]);
    assert_eq!(uses("show"), [true, false, false, false, true]);
    assert_eq!(uses("cost"), [true, false, false, false, true]);
    assert_eq!(uses("compare"), [false, false, true, false, true]);
    assert_eq!(uses("report"), [false, false, true, false, true]);
    assert_eq!(uses("doctor"), [false, true, false, true, true]);
    // They are accepted all the same, before the command and behind it.
    let place = Place::with_tiny();
    place.strata(&["--device", "cpu", "show", "tiny.toml", "--results", "x"]).good();
}

#[test]
fn tables_are_written_below_the_results_folder() {
    let place = Place::new();
    place.file("nets/a.toml", crate::place::TINY);
    place.strata(&["tables", "--experiments", "nets", "--results", "elsewhere"]).good();
    assert!(place.path("elsewhere/tables/architectures.csv").is_file() && !place.path("results").exists());
}

#[test]
fn messages_fit_a_pipe_and_quiet_prints_errors_only() {
    let place = Place::with_tiny();
    let ran = place.strata(&["-v", "show", "tiny.toml", "--diagram", "a.svg"]);
    assert!(ran.err.contains("wrote a.svg") && !ran.err.contains('\u{1b}'), "{:?}", ran.err);
    let ran = place.strata(&["-q", "show", "tiny.toml", "--diagram", "a.svg"]);
    assert_eq!((ran.err.as_str(), ran.out.as_str()), ("", ""));
    let ran = place.strata(&["-q", "show", "nothing"]);
    assert!(ran.err.starts_with("error: "), "{}", ran.err);
}
