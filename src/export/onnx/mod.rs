//! Networks as ONNX models, for evaluation: opset 17, float32, a batch of any size.
//!
//! The graph is a fold over the network's value. Batch normalisation stays a node of its own, weights keep their names, and
//! auxiliary heads, dropout and stochastic depth are as in evaluation.

mod graph;
mod layers;
mod pools;
mod proto;
#[cfg(test)]
mod tests;

use crate::arch::Network;
use crate::input_error::IsInputError;
use crate::model::float_bytes;
use graph::GraphBuilder;
use prost::Message;
use proto::{Dimension, Entry, Graph, Model, Opset, Tensor, TensorShape, TensorType, Type, ValueInfo};

const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;
const FLOAT: i32 = 1;
const INT64: i32 = 7;
/// What protobuf can encode as one message.
const MAX_BYTES: u64 = 1 << 31;

/// A network that cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    #[error("there is no tensor `{0}` for the network")]
    Missing(String),
    #[error("the weights take {} MB, and an ONNX file holds at most 2,147", .0 / 1_000_000)]
    TooLarge(u64),
}

impl IsInputError for OnnxError {}

/// Encodes a network with its tensors, by parameter name, as an ONNX model: `input` `[N, C, H, W]` to `logits` `[N, classes]`.
/// `metadata` is stored beside the graph.
///
/// # Errors
/// When a tensor is missing, or the model is larger than a protobuf message can be.
pub fn encode(
    network: &Network,
    tensors: &[(String, tch::Tensor)],
    name: &str,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, OnnxError> {
    let bytes = 4 * network.cost().params;
    if bytes >= MAX_BYTES {
        return Err(OnnxError::TooLarge(bytes));
    }
    let mut builder = GraphBuilder::new(tensors);
    let mut x = "input".to_owned();
    for row in &network.rows {
        x = builder.chain(&row.nodes, x)?;
    }
    let [c, h, w] = network.plan.input.map(|side| side as i64);
    let GraphBuilder { mut nodes, initializers, .. } = builder;
    if let Some(last) = nodes.iter_mut().rev().flat_map(|node| &mut node.output).find(|output| **output == x) {
        *last = "logits".to_owned();
    }
    let graph = Graph {
        node: nodes,
        name: name.to_owned(),
        initializer: initializers,
        input: vec![value("input", &[c, h, w])],
        output: vec![value("logits", &[network.plan.classes as i64])],
    };
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: "strata".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        opset_import: vec![Opset { domain: String::new(), version: OPSET }],
        metadata_props: metadata
            .iter()
            .map(|(key, value)| Entry { key: (*key).to_owned(), value: value.clone() })
            .collect(),
    };
    Ok(model.encode_to_vec())
}

/// A float tensor of the graph's input or output; the batch size varies.
fn value(name: &str, sides: &[i64]) -> ValueInfo {
    let batch = Dimension { dim_value: None, dim_param: Some("N".to_owned()) };
    let fixed = sides.iter().map(|&side| Dimension { dim_value: Some(side), dim_param: None });
    let shape = TensorShape { dim: std::iter::once(batch).chain(fixed).collect() };
    let tensor_type = TensorType { elem_type: FLOAT, shape: Some(shape) };
    ValueInfo { name: name.to_owned(), kind: Some(Type { tensor_type: Some(tensor_type) }) }
}

/// A tensor of floats as an initializer.
fn initializer(name: &str, tensor: &tch::Tensor) -> Tensor {
    Tensor { dims: tensor.size(), data_type: FLOAT, name: name.to_owned(), raw_data: float_bytes(tensor) }
}
