//! Parameter names of other libraries. Strata's are torchvision's; where a library calls the layers of the same network
//! differently, its names follow from the network's rows.

use crate::arch::Network;
use crate::arch::layer::Layer;
use crate::arch::network::RowNodes;
use crate::arch::node::walk;
use crate::arch::ops::{Conv, Op};
use crate::arch::shape::Shape;
use crate::input_error::IsInputError;
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// A library that has names of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// Hugging Face's timm.
    Timm,
    /// `efficientnet_pytorch` (lukemelas).
    EfficientNetPytorch,
    /// `facenet_pytorch`'s `InceptionResnetV1`.
    Facenet,
}

/// Weights that have no counterpart in the names of a library.
#[derive(Debug, thiserror::Error)]
pub enum NamesError {
    #[error("{0}")]
    Unknown(&'static str),
    #[error("there is no tensor `{0}`; the file is not one of this network in these names")]
    Missing(String),
    #[error("there is a tensor `{0}` that the network does not have")]
    Surplus(String),
    #[error("`{name}` has shape {found:?}, the network needs {wanted:?}")]
    Shape { name: String, found: Vec<i64>, wanted: Vec<i64> },
}

impl IsInputError for NamesError {}

type Tensors = BTreeMap<String, Tensor>;

/// A layer under both names.
struct Pair {
    ours: String,
    theirs: String,
    /// The shape of their weight, where the values are those of ours but the shape is not.
    shape: Option<Vec<i64>>,
}

impl Library {
    /// Renames a library's tensors to those of the network. Counters of batch normalisation are left out.
    ///
    /// # Errors
    /// When the library does not have this network, or a tensor is missing, has another shape or is not the network's.
    pub fn read(self, network: &Network, mut tensors: Tensors) -> Result<Tensors, NamesError> {
        tensors.retain(|name, _| !name.ends_with("num_batches_tracked"));
        if self == Library::Facenet {
            fold_embedding(&mut tensors)?;
        }
        let pairs = self.pairs(network)?;
        let mut renamed = Tensors::new();
        for param in network.params() {
            let their = theirs(&pairs, &param.name).map(|(name, _)| name);
            let name = their.ok_or_else(|| NamesError::Missing(param.name.clone()))?;
            let found = tensors.remove(&name).ok_or_else(|| NamesError::Missing(name.clone()))?;
            if found.numel() as u64 != param.count() {
                return Err(NamesError::Shape { name, found: found.size(), wanted: param.shape });
            }
            renamed.insert(param.name, found.reshape(param.shape));
        }
        match tensors.into_keys().next() {
            Some(name) => Err(NamesError::Surplus(name)),
            None => Ok(renamed),
        }
    }

    /// Renames the network's tensors to those of the library. Auxiliary heads, which it lacks, are left out.
    ///
    /// # Errors
    /// When the library does not have this network, or a tensor is missing.
    pub fn write(self, network: &Network, mut tensors: Tensors) -> Result<Tensors, NamesError> {
        if self == Library::Facenet {
            return Err(NamesError::Unknown(
                "facenet's classifier works on an embedding, which this network does not have: weights of facenet can only be read",
            ));
        }
        let pairs = self.pairs(network)?;
        let mut renamed = Tensors::new();
        for param in network.params() {
            let tensor = tensors.remove(&param.name).ok_or_else(|| NamesError::Missing(param.name.clone()))?;
            let (name, shape) = theirs(&pairs, &param.name).ok_or_else(|| NamesError::Missing(param.name.clone()))?;
            renamed.insert(name, shape.map_or_else(|| tensor.shallow_clone(), |shape| tensor.reshape(shape)));
        }
        Ok(renamed)
    }

    fn pairs(self, network: &Network) -> Result<Vec<Pair>, NamesError> {
        let layers: Vec<&Layer> = network.rows.iter().flat_map(layers_of).collect();
        let has = |name: &str| layers.iter().any(|layer| layer.name == name);
        let same = || layers.iter().map(|layer| pair(&layer.name, layer.name.clone())).collect();
        let mobile = Mobile::of(network);
        match (self, mobile) {
            (Library::Timm, Some(mobile)) => Ok(mobile.timm()),
            (Library::EfficientNetPytorch, Some(mobile)) if mobile.blocks.iter().any(|block| block.gate.is_some()) => {
                Ok(mobile.efficientnet_pytorch())
            }
            (Library::EfficientNetPytorch, _) => {
                Err(NamesError::Unknown("efficientnet_pytorch has EfficientNets only"))
            }
            (Library::Timm, None) if has("classifier.0") && has("classifier.6") => Ok(vgg(&layers)),
            (Library::Timm, None) if has("layer1.0.conv1") && has("fc") => Ok(same()),
            (Library::Timm, None) => Err(NamesError::Unknown(
                "timm has ResNets, ResNeXts, Wide and SE-ResNets, VGGs, MobileNets and EfficientNets in the form of this program's",
            )),
            // Its last block is not one of a list.
            (Library::Facenet, _) if has("block8.0.conv2d") => {
                let name = |ours: &str| ours.replacen("block8.0.", "block8.", 1);
                Ok(layers.iter().map(|layer| pair(&layer.name, name(&layer.name))).collect())
            }
            (Library::Facenet, _) => Err(NamesError::Unknown(
                "facenet has the Inception-ResNet v1 in its own form only: preset = \"inception_resnet\", form = \"facenet\"",
            )),
        }
    }
}

fn pair(ours: &str, theirs: impl Into<String>) -> Pair {
    Pair { ours: ours.to_owned(), theirs: theirs.into(), shape: None }
}

/// The library's name of a parameter, and the shape that it has there if it is another.
fn theirs(pairs: &[Pair], param: &str) -> Option<(String, Option<Vec<i64>>)> {
    let (layer, what) = param.rsplit_once('.')?;
    let pair = pairs.iter().find(|pair| pair.ours == layer)?;
    Some((format!("{}.{what}", pair.theirs), pair.shape.clone().filter(|_| what == "weight")))
}

/// The layers of a row that have parameters.
fn layers_of(row: &RowNodes) -> Vec<&Layer> {
    let mut layers = Vec::new();
    walk(&row.nodes, false, &mut |layer, _| layers.push(layer));
    layers.retain(|layer| !layer.params().is_empty());
    layers
}

/// timm computes VGG's hidden layers as convolutions, so that they work on larger maps.
fn vgg(layers: &[&Layer]) -> Vec<Pair> {
    layers
        .iter()
        .map(|layer| {
            let theirs = match layer.name.as_str() {
                "classifier.0" => "pre_logits.fc1",
                "classifier.3" => "pre_logits.fc2",
                "classifier.6" => "head.fc",
                name => name,
            };
            let last_map = layers.iter().rev().find_map(|layer| match layer.output {
                Shape::Map { c, .. } => Some(c as i64),
                Shape::Vector { .. } => None,
            });
            let shape = match (&layer.op, theirs) {
                (Op::Linear(linear), "pre_logits.fc1" | "pre_logits.fc2") => {
                    let (width, inputs) = (linear.width as i64, layer.input.channels() as i64);
                    let channels = if theirs.ends_with("fc1") { last_map.unwrap_or(inputs) } else { inputs };
                    let side = ((inputs / channels) as f64).sqrt() as i64;
                    Some(vec![width, channels, side, side])
                }
                _ => None,
            };
            Pair { shape, ..pair(&layer.name, theirs) }
        })
        .collect()
}

/// A convolution and its normalisation.
type ConvNorm = [String; 2];

/// A block of a MobileNet or EfficientNet.
struct Block {
    /// Counted from 0 over the rows of blocks.
    stage: usize,
    /// Within its row.
    index: usize,
    expand: Option<ConvNorm>,
    depthwise: ConvNorm,
    /// The two convolutions of squeeze-and-excitation.
    gate: Option<[String; 2]>,
    project: ConvNorm,
}

/// The layers of a MobileNet or EfficientNet by what they are.
struct Mobile {
    stem: ConvNorm,
    blocks: Vec<Block>,
    head: Option<ConvNorm>,
    classifier: String,
}

impl Mobile {
    /// `None` for other networks.
    fn of(network: &Network) -> Option<Mobile> {
        let is_block = |row: &&RowNodes| ["mbconv", "inverted_residual", "separable"].contains(&row.op);
        let mut blocks = Vec::new();
        for (stage, row) in network.rows.iter().filter(is_block).enumerate() {
            let layers = layers_of(row);
            let mut rest = layers.as_slice();
            for index in 0.. {
                match block(&mut rest, stage, index) {
                    Some(block) => blocks.push(block),
                    None if rest.is_empty() => break,
                    None => return None,
                }
            }
        }
        let conv_norm = |row: &RowNodes| match layers_of(row).as_slice() {
            [conv, norm] => Some([conv.name.clone(), norm.name.clone()]),
            _ => None,
        };
        let others = |op: &'static str| network.rows.iter().filter(move |row| row.op == op);
        let mut convs = others("conv");
        let stem = conv_norm(convs.next()?)?;
        let head = convs.next().and_then(conv_norm);
        let classifier = layers_of(others("classifier").next()?).first()?.name.clone();
        (!blocks.is_empty() && convs.next().is_none()).then_some(Mobile { stem, blocks, head, classifier })
    }

    fn timm(&self) -> Vec<Pair> {
        let mut pairs = conv_norm(&self.stem, "conv_stem", "bn1");
        for block in &self.blocks {
            let name = |part: &str| format!("blocks.{}.{}.{part}", block.stage, block.index);
            let mut norms = ["bn1", "bn2", "bn3"].into_iter();
            let mut next =
                |both: &ConvNorm, conv: &str| conv_norm(both, &name(conv), &name(norms.next().unwrap_or_default()));
            pairs.extend(block.expand.iter().flat_map(|expand| next(expand, "conv_pw")).collect::<Vec<_>>());
            pairs.extend(next(&block.depthwise, "conv_dw"));
            let project = if block.expand.is_some() { "conv_pwl" } else { "conv_pw" };
            pairs.extend(next(&block.project, project));
            if let Some([reduce, expand]) = &block.gate {
                pairs.extend([pair(reduce, name("se.conv_reduce")), pair(expand, name("se.conv_expand"))]);
            }
        }
        pairs.extend(self.head.iter().flat_map(|head| conv_norm(head, "conv_head", "bn2")));
        pairs.push(pair(&self.classifier, "classifier"));
        pairs
    }

    fn efficientnet_pytorch(&self) -> Vec<Pair> {
        let mut pairs = conv_norm(&self.stem, "_conv_stem", "_bn0");
        for (index, block) in self.blocks.iter().enumerate() {
            let name = |part: &str| format!("_blocks.{index}.{part}");
            let parts = [
                (block.expand.as_ref(), "_expand_conv", "_bn0"),
                (Some(&block.depthwise), "_depthwise_conv", "_bn1"),
                (Some(&block.project), "_project_conv", "_bn2"),
            ];
            for (both, conv, norm) in parts {
                pairs.extend(both.iter().flat_map(|both| conv_norm(both, &name(conv), &name(norm))));
            }
            if let Some([reduce, expand]) = &block.gate {
                pairs.extend([pair(reduce, name("_se_reduce")), pair(expand, name("_se_expand"))]);
            }
        }
        pairs.extend(self.head.iter().flat_map(|head| conv_norm(head, "_conv_head", "_bn1")));
        pairs.push(pair(&self.classifier, "_fc"));
        pairs
    }
}

fn conv_norm([conv, norm]: &ConvNorm, their_conv: &str, their_norm: &str) -> Vec<Pair> {
    vec![pair(conv, their_conv), pair(norm, their_norm)]
}

/// Takes one block off the layers of a row: expansion, depthwise convolution, gate, projection.
fn block(layers: &mut &[&Layer], stage: usize, index: usize) -> Option<Block> {
    let is_depthwise = |layer: &Layer| match &layer.op {
        Op::Conv(Conv { groups, .. }) => *groups > 1 && *groups == layer.input.channels(),
        _ => false,
    };
    let mut take = |wanted: fn(&Op) -> bool| {
        let (first, rest) = layers.split_first()?;
        wanted(&first.op).then(|| {
            *layers = rest;
            *first
        })
    };
    let is_conv: fn(&Op) -> bool = |op| matches!(op, Op::Conv(_));
    let is_norm: fn(&Op) -> bool = |op| matches!(op, Op::BatchNorm(_));
    let first = take(is_conv)?;
    let first_norm = take(is_norm)?.name.clone();
    let (expand, depthwise) = match is_depthwise(first) {
        true => (None, [first.name.clone(), first_norm]),
        false => {
            let conv = take(is_conv).filter(|layer| is_depthwise(layer))?;
            (Some([first.name.clone(), first_norm]), [conv.name.clone(), take(is_norm)?.name.clone()])
        }
    };
    let conv = take(is_conv)?.name.clone();
    let (gate, conv) = match take(is_conv) {
        Some(second) => (Some([conv, second.name.clone()]), take(is_conv)?.name.clone()),
        None => (None, conv),
    };
    let project = [conv, take(is_norm)?.name.clone()];
    Some(Block { stage, index, expand, depthwise, gate, project })
}

/// Replaces facenet's embedding, its batch normalisation with running statistics, and the classifier on it by the one linear
/// layer that computes the same.
fn fold_embedding(tensors: &mut Tensors) -> Result<(), NamesError> {
    const EPS: f64 = 0.001;
    let mut take = |name: &str| {
        let tensor = tensors.remove(name).ok_or_else(|| NamesError::Missing(name.to_owned()))?;
        Ok(tensor.to_kind(Kind::Double))
    };
    let (logits, bias) = (take("logits.weight")?, take("logits.bias")?);
    let embedding = take("last_linear.weight")?;
    let [gamma, beta, mean, var] =
        [take("last_bn.weight")?, take("last_bn.bias")?, take("last_bn.running_mean")?, take("last_bn.running_var")?];
    let fits = logits.dim() == 2 && embedding.dim() == 2 && logits.size()[1] == embedding.size()[0];
    if !fits || [&gamma, &beta, &mean, &var].iter().any(|norm| norm.size() != embedding.size()[..1]) {
        let (found, wanted) = (logits.size(), embedding.size());
        return Err(NamesError::Shape { name: "logits.weight".to_owned(), found, wanted });
    }
    let scale = gamma / (var + EPS).sqrt();
    let weight = logits.matmul(&(embedding * scale.unsqueeze(1)));
    let bias = bias + logits.mv(&(beta - mean * scale));
    tensors.insert("logits.weight".to_owned(), weight.to_kind(Kind::Float));
    tensors.insert("logits.bias".to_owned(), bias.to_kind(Kind::Float));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::golden::network;
    use tch::Device;

    fn tensors(network: &Network) -> Tensors {
        network
            .params()
            .into_iter()
            .map(|param| (param.name, Tensor::rand(param.shape, (Kind::Float, Device::Cpu))))
            .collect()
    }

    #[test]
    fn tensors_come_back_from_every_library() {
        for (keys, library, names) in [
            ("preset = 'efficientnet'", Library::Timm, ["blocks.0.0.conv_pw.weight", "blocks.1.1.bn3.running_var"]),
            (
                "preset = 'efficientnet'",
                Library::EfficientNetPytorch,
                ["_blocks.0._bn2.bias", "_blocks.15._se_expand.bias"],
            ),
            ("preset = 'mobilenet_v2'", Library::Timm, ["blocks.6.0.conv_pwl.weight", "conv_head.weight"]),
            ("preset = 'mobilenet_v1'", Library::Timm, ["blocks.0.0.conv_dw.weight", "classifier.bias"]),
            ("preset = 'vgg'\nhidden = 8", Library::Timm, ["pre_logits.fc1.weight", "head.fc.bias"]),
            ("preset = 'resnet'\ndepth = 18", Library::Timm, ["layer1.0.conv1.weight", "fc.bias"]),
        ] {
            let network = network(keys, [3, 224, 224], 10);
            let ours = tensors(&network);
            let written = library.write(&network, tensors_of(&ours)).unwrap();
            assert!(names.iter().all(|name| written.contains_key(*name)), "{keys}: {:?}", written.keys());
            assert_eq!(written.len(), ours.len());
            assert!(library.read(&network, written).unwrap() == ours, "{keys}");
        }
        let alexnet = network("preset = 'alexnet'", [3, 224, 224], 10);
        assert!(Library::Timm.write(&alexnet, Tensors::new()).is_err());
        assert!(Library::EfficientNetPytorch.write(&alexnet, Tensors::new()).is_err());
    }

    fn tensors_of(tensors: &Tensors) -> Tensors {
        tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
    }
}
