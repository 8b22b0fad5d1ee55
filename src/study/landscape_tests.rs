use super::picture::{basin, convexity};
use super::*;
use crate::arch::golden::network;
use crate::study::rows::Unseen;
use tch::Kind;

fn subject() -> Subject {
    let keys = "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\nshortcut = 'none'";
    Subject::example(network(keys, [3, 32, 32], 4), 6)
}

fn table(landscape: &Landscape, subjects: &[Subject]) -> Table {
    let (folder, mut unseen) = (tempfile::tempdir().unwrap(), Unseen);
    let mut rows = Rows::open(&folder.path().join("rows"), &mut unseen).unwrap();
    landscape.run(subjects, &mut rows).unwrap();
    rows.table()
}

/// A model whose weights were moved by hand, in float64.
#[test]
fn a_point_is_the_loss_of_the_moved_network() {
    use crate::model::Model;
    use crate::study::Split;
    use crate::train::cross_entropy;
    let mut subject = subject();
    subject.weights.iter_mut().for_each(|(_, tensor)| *tensor = tensor.to_kind(Kind::Double));
    let objective = Objective::new(&subject, 6, 4).unwrap();
    let ways = [0, 1].map(|key| filter_normalised(objective.origin(), key));
    let loss = objective.score(&[(0.3, &ways[0]), (-0.2, &ways[1])]).mean_loss();
    let mut model = Model::build(&subject.network, tch::Device::Cpu, 1, false).unwrap();
    model.to_kind(Kind::Double);
    model.copy_weights(&subject.weights).unwrap();
    let _no_grad = tch::no_grad_guard();
    for (index, (_, tensor)) in model.trainable().into_iter().enumerate() {
        let moved = &tensor + &ways[0][index] * 0.3 - &ways[1][index] * 0.2;
        tensor.shallow_clone().copy_(&moved);
    }
    let (x, labels) = subject.batches(Split::Train, 6, 6).unwrap().remove(0);
    let logits = model.forward(&x.to_kind(Kind::Double), false).logits;
    let expected = cross_entropy(&logits, &labels).double_value(&[]);
    assert!((loss - expected).abs() < 1e-12, "{loss} against {expected}");
    let whole = objective.score(&[]).mean_loss();
    assert_eq!(whole, objective.score(&[]).mean_loss(), "the weights are put back");
}

#[test]
fn planes_lines_and_ways_between_runs_have_their_points() {
    let plane = Landscape { points: 5, images: 6, ..Landscape::default() };
    let subjects = [subject()];
    let rows = table(&plane, &subjects);
    assert_eq!(rows.rows.len(), 25);
    assert_eq!(rows.rows[12][1..3], ["0", "0"], "the centre is in the middle of the table");
    assert!(plane.picture(&subjects, &rows).unwrap().contains("Training loss around example"));
    let line = Landscape { form: LandscapeForm::Line, ..plane.clone() };
    assert_eq!(table(&line, &subjects).rows.len(), 5);
    let between = Landscape { form: LandscapeForm::Between, ..plane };
    let subjects = [subject(), subject()];
    let rows = table(&between, &subjects);
    assert!(rows.rows.iter().all(|row| row[3] == rows.rows[0][3]), "equal runs: {rows:?}");
    assert!(
        between
            .run(&subjects[..1], &mut Rows::open(std::path::Path::new("/nonexistent"), &mut Unseen).unwrap())
            .is_err()
    );
}

#[test]
fn a_bowl_is_convex_and_a_hill_is_not() {
    let bowl = |sign: f64| -> Vec<Vec<f64>> {
        let row = |y: i32| (-2..=2).map(|x: i32| 10.0 + sign * f64::from(x * x + y * y)).collect();
        (-2..=2).map(row).collect()
    };
    assert_eq!((convexity(&bowl(1.0)), convexity(&bowl(-1.0))), (1.0, 0.0));
    assert_eq!(basin(&bowl(1.0)), 1.0 / 25.0);
}
