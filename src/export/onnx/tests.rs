//! Exported graphs are closed and hold every tensor; tests/cli/onnx.rs runs them.

use super::encode;
use super::proto::Model;
use crate::arch::golden::network;
use prost::Message;
use std::collections::BTreeSet;
use tch::{Device, Kind, Tensor};

#[test]
fn every_value_is_given_once_before_it_is_used() {
    for keys in [
        "preset = 'alexnet'\nform = 'paper'",
        "preset = 'googlenet'\nform = 'torchvision'\naux = true",
        "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\nshortcut = 'A'",
        "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8\ngate = 'shortcut_only'",
        "preset = 'highway'",
        "preset = 'efficientnet'",
        "preset = 'inception_resnet'\nbn_scale = false",
    ] {
        let network = network(keys, [3, 224, 224], 10);
        let tensor =
            |param: crate::arch::params::Param| (param.name, Tensor::zeros(param.shape, (Kind::Float, Device::Cpu)));
        let tensors: Vec<(String, Tensor)> = network.params().into_iter().map(tensor).collect();
        let graph = Model::decode(&encode(&network, &tensors, "x", &[]).unwrap()[..]).unwrap().graph.unwrap();
        let mut known: BTreeSet<&str> = BTreeSet::from(["input"]);
        for tensor in &graph.initializer {
            assert!(known.insert(&tensor.name), "{keys}: {} twice", tensor.name);
            assert_eq!(
                tensor.raw_data.len() as i64,
                tensor.dims.iter().product::<i64>() * if tensor.data_type == 1 { 4 } else { 8 }
            );
        }
        for node in &graph.node {
            assert!(node.input.iter().all(|input| known.contains(input.as_str())), "{keys}: {node:?}");
            assert!(known.insert(&node.output[0]), "{keys}: {node:?}");
        }
        assert!(known.contains("logits"));
        let of_head = |name: &str| name.starts_with("aux");
        let missing: Vec<&String> = tensors
            .iter()
            .map(|(name, _)| name)
            .filter(|name| !of_head(name) && !known.contains(name.as_str()))
            .collect();
        assert!(missing.is_empty(), "{keys}: {missing:?}");
        assert!(encode(&network, &tensors[1..], "x", &[]).unwrap_err().to_string().contains(&tensors[0].0));
    }
}
