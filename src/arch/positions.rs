//! The position of each parameter in a network: its row, its depth, and whether its layer is a hidden one.

use super::Network;
use super::layer::Layer;
use super::node::{Node, walk};
use std::collections::HashMap;

/// The position of a parameter in a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Index in [`Network::rows`].
    pub row: usize,
    /// Depth, counted from 0: a level is a row with parameters, or one residual block of a row of blocks.
    pub level: usize,
    /// Whether its layer is neither the first one with weights nor the last one, of the network or of an auxiliary head.
    pub hidden: bool,
}

impl Network {
    /// The position of each parameter by name.
    pub fn positions(&self) -> HashMap<String, Position> {
        let mut positions = HashMap::new();
        let mut levels = 0;
        for (row, nodes) in self.rows.iter().map(|row| &row.nodes).enumerate() {
            let mut begun = false;
            for node in nodes {
                let names = names(layers(std::slice::from_ref(node)).into_iter().map(|(layer, _)| layer));
                if names.is_empty() {
                    continue;
                }
                if !begun || matches!(node, Node::Residual(_)) {
                    (begun, levels) = (true, levels + 1);
                }
                let position = Position { row, level: levels - 1, hidden: true };
                positions.extend(names.into_iter().map(|name| (name, position)));
            }
        }
        for name in names(self.outer_layers()) {
            positions.entry(name).and_modify(|position| position.hidden = false);
        }
        positions
    }

    /// The first layer with weights, and the last one of the network and of each auxiliary head.
    fn outer_layers(&self) -> impl Iterator<Item = &Layer> {
        let rows: Vec<Vec<(&Layer, bool)>> = self.rows.iter().map(|row| layers(&row.nodes)).collect();
        let trunk = || rows.iter().flatten().filter(|(layer, aux)| !aux && has_weight(layer));
        let heads = rows.iter().filter_map(|row| row.iter().rfind(|(layer, aux)| *aux && has_weight(layer)));
        let outer: Vec<&Layer> =
            trunk().take(1).chain(trunk().next_back()).chain(heads).map(|(layer, _)| *layer).collect();
        outer.into_iter()
    }
}

/// The layers of nodes, with whether each belongs to an auxiliary head.
fn layers(nodes: &[Node]) -> Vec<(&Layer, bool)> {
    let mut layers = Vec::new();
    walk(nodes, false, &mut |layer, aux| layers.push((layer, aux)));
    layers
}

fn names<'a>(layers: impl Iterator<Item = &'a Layer>) -> Vec<String> {
    layers.flat_map(Layer::params).map(|param| param.name).collect()
}

fn has_weight(layer: &Layer) -> bool {
    layer.params().iter().any(|param| param.role.is_weight())
}

#[cfg(test)]
mod tests {
    use crate::arch::golden::network;

    fn position(keys: &str, name: &str) -> (usize, usize, bool) {
        let position = network(&keys.replace("; ", "\n"), [3, 224, 224], 1000).positions()[name];
        (position.row, position.level, position.hidden)
    }

    #[test]
    fn blocks_are_levels_and_the_ends_are_not_hidden() {
        let resnet = |name| position("preset = 'resnet'; depth = 18", name);
        assert_eq!(resnet("conv1.weight"), (0, 0, false));
        assert_eq!(resnet("bn1.bias"), (0, 0, true));
        assert_eq!(resnet("layer1.0.conv2.weight"), (2, 1, true));
        assert_eq!(resnet("layer4.0.downsample.0.weight"), (5, 7, true));
        assert_eq!(resnet("layer4.1.bn2.running_mean"), (5, 8, true));
        assert_eq!(resnet("fc.bias"), (7, 9, false));
        let googlenet = |name| position("preset = 'googlenet'; form = 'torchvision'; aux = true", name).2;
        assert!(googlenet("aux1.fc1.weight") && !googlenet("aux1.fc2.weight") && !googlenet("aux2.fc2.bias"));
        assert!(googlenet("inception5b.branch1.conv.weight") && !googlenet("fc.weight"));
    }
}
