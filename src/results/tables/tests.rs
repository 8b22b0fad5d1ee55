//! The tables' own tests: figures that the paper and the deck are held against.

use super::*;
use crate::config::Machine;

fn column<'t>(table: &'t Table, name: &str) -> Vec<&'t str> {
    let index = table.header.iter().position(|header| *header == name).unwrap();
    table.lines.iter().map(|line| line[index].as_str()).collect()
}

fn experiment(name: &str) -> Experiment {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/imagenet").join(format!("{name}.toml"));
    Experiment::load(&path, &[], Machine::default()).unwrap()
}

#[test]
fn googlenet_line_by_line() {
    let table = googlenet_layers().unwrap();
    let weights = [
        "9408", "114688", "163328", "388096", "375552", "448512", "509440", "604672", "867328", "1042432", "1442816",
        "1024000", "6990272",
    ];
    assert_eq!(column(&table, "weights"), weights);
    let ops = ["118.0", "359.7", "128.0", "304.3", "73.6", "87.9", "99.9", "118.5", "170.0", "51.1", "70.7", "1.0"];
    assert_eq!(column(&table, "ops_m")[..12], ops);
    assert_eq!((column(&table, "paper_params_k")[12], column(&table, "paper_ops_m")[12]), ("6797.7", "1502"));
    let slips: Vec<&str> =
        table.lines.iter().filter(|line| line[9].starts_with("slip")).map(|line| line[0].as_str()).collect();
    assert_eq!(slips, ["conv1", "inception 4c", "inception 5a"]);
}

#[test]
fn the_slips_explained() {
    // conv1: a separable 7x7 with depth multiplier 8; 5a: 48 channels in the 5x5 reduction
    assert_eq!(7 * 7 * 3 * 8 + 24 * 64, 2712);
    let five_a = 832 * 256 + 832 * 160 + 9 * 160 * 320 + 832 * 48 + 25 * 48 * 128 + 832 * 128;
    assert_eq!((f64::from(five_a) / 1024.0).round(), 1081.0);
}

/// The deck's 358M is its 3x3 term counted twice.
#[test]
fn the_decks_inception_example() {
    let table = inception_cost().unwrap();
    let sums: Vec<&Vec<String>> = table.lines.iter().filter(|line| line[1] == "sum").collect();
    assert_eq!([sums[0][2].as_str(), &sums[1][2]], ["854196224", "271351808"]);
    assert!(sums[0][5].is_empty() && sums[1][5].contains("358055936"), "{sums:?}");
    let terms: Vec<&Vec<String>> = table.lines.iter().filter(|line| line[1] != "sum").collect();
    assert_eq!(terms.len(), 3 + 6);
    assert!(terms.iter().all(|line| line[2] == line[4]), "the terms are right, only one total is not");
}

#[test]
fn architectures_hold_cost_and_source() {
    let table = architectures(&[experiment("resnet50"), experiment("googlenet_paper")]);
    assert_eq!(column(&table, "macs"), ["4089184256", "1582671872"]);
    assert_eq!(column(&table, "test_top1"), ["0.761300", ""], "the paper gives GoogLeNet's Top-5 alone");
    assert!(column(&table, "source").iter().all(|source| source.contains("1-crop")));
}

#[test]
fn the_chart_has_single_crops_alone() {
    let svg = accuracy_against_operations(&[experiment("resnet50"), experiment("resnet34_a")]).svg();
    assert!(svg.contains("ResNet-50") && !svg.contains("ResNet-34"));
}

#[test]
fn all_files_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let files = write(&[experiment("alexnet")], &folder.path().join("new")).unwrap();
    assert_eq!(files.len(), 4);
    assert!(files.iter().all(|file| file.metadata().unwrap().len() > 100));
}
