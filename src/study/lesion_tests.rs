use super::*;
use crate::arch::golden::network;
use crate::arch::node::{Merge, Node};
use crate::model::Model;
use crate::study::rows::Unseen;
use crate::train::cross_entropy;
use tch::{Device, Kind};

const PREACT: &str = "preset = 'resnet'\nlayout = 'cifar'\ndepth = 14\nshortcut = 'A'\norder = 'preact'";

fn double(subject: &mut Subject) {
    for (_, tensor) in &mut subject.weights {
        *tensor = tensor.to_kind(Kind::Double);
    }
}

fn subject(keys: &str) -> Subject {
    Subject::example(network(keys, [3, 32, 32], 4), 20)
}

fn table(lesion: &Lesion, subjects: &[Subject]) -> Table {
    let folder = tempfile::tempdir().unwrap();
    let mut unseen = Unseen;
    let mut rows = Rows::open(&folder.path().join("rows"), &mut unseen).unwrap();
    lesion.run(subjects, &mut rows).unwrap();
    rows.table()
}

/// The brute-force form: a network that was built without the body of the block.
#[test]
fn a_deleted_block_is_a_network_without_its_body() {
    let mut subject = subject(PREACT);
    double(&mut subject);
    let parts = subject.parts().unwrap();
    let blocks: Vec<usize> = (0..parts.list.len()).filter(|&index| parts.list[index].has_shortcut()).collect();
    let images = subject.batches(Split::Test, 0, 20).unwrap().remove(0);
    let (x, labels) = (images.0.to_kind(Kind::Double), images.1);
    for (number, &part) in blocks.iter().enumerate() {
        let mut cut = (*subject.network).clone();
        let mut seen = 0;
        for row in &mut cut.rows {
            crate::arch::node::walk_residuals(&mut row.nodes, &mut |residual| {
                if seen == number {
                    residual.merge = Merge::Body;
                    residual.body = std::mem::take(&mut residual.shortcut);
                }
                seen += 1;
            });
            // An empty chain is the identity.
            assert!(row.nodes.iter().all(|node| !matches!(node, Node::Aux { .. })));
        }
        let mut model = Model::new(&cut, Device::Cpu, 1).unwrap();
        model.to_kind(Kind::Double);
        for (param, tensor) in model.params() {
            let (_, value) = subject.weights.iter().find(|(name, _)| *name == param.name).unwrap();
            tch::no_grad(|| tensor.shallow_clone().copy_(value));
        }
        let expected = model.forward(&x, false).logits;
        let mut frontier = Frontier::new(&subject, &parts, vec![(x.shallow_clone(), labels.shallow_clone())]);
        let mut order = Order::whole(parts.list.len());
        order.0[part].1 = false;
        frontier.advance(order.first_change());
        let sums = frontier.score(&order);
        let loss = cross_entropy(&expected, &labels).double_value(&[]);
        assert!((sums.mean_loss() - loss).abs() < 1e-12, "block {number}: {} against {loss}", sums.mean_loss());
    }
}

#[test]
fn every_block_is_deleted_once_and_random_ones_have_their_draws() {
    let subjects = [subject(PREACT)];
    let lesion = Lesion { deleted: vec![2, 5, 6], swapped: vec![1], draws: 3, ..Lesion::default() };
    let table = table(&lesion, &subjects);
    let kinds = |kind: &str| table.rows.iter().filter(|row| row[1] == kind).count();
    assert_eq!(["whole", "single", "deleted", "swapped"].map(kinds), [1, 6, 6, 3]);
    assert_eq!(table.rows[1][4], "layer1.0");
    assert_eq!(table.rows[3][6], "yes", "layer2.0 changes the size");
    let svg = lesion.picture(&subjects, &table).unwrap();
    assert!(svg.contains("Kendall") && svg.contains("deleted blocks"));
    assert_eq!(table.to_csv(), super::tests::table(&lesion, &subjects).to_csv(), "the same numbers every time");
}

/// With statistics of the images themselves nothing changes, but for a part that is removed.
#[test]
fn layers_of_a_plain_network_are_removed_with_both_statistics() {
    let subjects = [subject("preset = 'vgg'\ncolumn = 'A'\nwidth = 4\nhidden = 8\ngrid = 1\nnorm = 'batch'")];
    let table = table(&Lesion::default(), &subjects);
    let single: Vec<&Vec<String>> = table.rows.iter().filter(|row| row[1] == "single").collect();
    assert_eq!(single.len(), 16, "eight convolutions, twice");
    assert!(
        single[..8].iter().all(|row| row[8] == "as trained") && single[8..].iter().all(|row| row[8] == "estimated")
    );
    assert!(single[0][9] != single[8][9], "the statistics matter");
}
