//! Costs and published results of the architectures.

use super::*;
use crate::config::Machine;
use crate::results::Table;

fn column<'t>(table: &'t Table, name: &str) -> Vec<&'t str> {
    let index = table.column(name).unwrap();
    table.rows.iter().map(|row| row[index].as_str()).collect()
}

fn experiment(name: &str) -> Experiment {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/imagenet").join(format!("{name}.toml"));
    Experiment::load(&path, &[], Machine::default()).unwrap()
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
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|file| file.metadata().unwrap().len() > 100));
}
