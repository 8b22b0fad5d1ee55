//! Rows that are not trained.

use super::Model;
use crate::arch::golden::network;
use std::collections::BTreeSet;
use tch::{Device, Kind, Tensor};

/// Rows: conv1, layer1, layer2, layer3, the pooling, the classifier.
fn model(frozen: &[usize]) -> Model {
    let network = network("preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\n", [1, 16, 16], 10);
    let frozen: BTreeSet<usize> = frozen.iter().copied().collect();
    let mut model = Model::build_frozen(&network, Device::Cpu, 3, true, &frozen).unwrap();
    model.use_channels_last().unwrap();
    model
}

#[test]
fn frozen_rows_compute_what_they_do_in_evaluation_and_learn_nothing() {
    let images = Tensor::rand([4, 1, 16, 16], (Kind::Float, Device::Cpu));
    for frozen in [&[0, 1][..], &[2], &[0, 1, 2, 3, 4]] {
        let model = model(frozen);
        let is_frozen = |name: &str| {
            let rows = ["conv1", "layer1", "layer2", "layer3", "pool", "fc"];
            rows.iter()
                .position(|row| name.starts_with(row) || *row == "conv1" && name.starts_with("bn1"))
                .is_some_and(|row| frozen.contains(&row))
        };
        let before: Vec<Tensor> = model.params().iter().map(|(_, tensor)| tensor.copy()).collect();
        model.forward(&images, true).logits.square().sum(Kind::Float).backward();
        for ((param, tensor), before) in model.params().iter().zip(before) {
            let (name, learns) = (&param.name, param.role.trainable());
            assert_eq!(tensor.grad().defined(), learns && !is_frozen(name), "{name}, {frozen:?}");
            assert_eq!(*tensor == before, learns || is_frozen(name), "{name}, {frozen:?}");
        }
        let learned = model.trainable().len();
        assert_eq!(learned, model.params().iter().filter(|(_, tensor)| tensor.requires_grad()).count());
    }
    // All rows with batch normalisation are frozen: training computes what evaluation does.
    let probe = model(&[0, 1, 2, 3, 4]);
    let [train, eval] = [true, false].map(|train| probe.forward(&images, train).logits);
    assert!((train - eval).abs().max().double_value(&[]) < 1e-5);
}
