//! What the parts of a network are built of, and records of what passes through its gates.

use super::block;
use crate::arch::node::{Node, walk};
use std::sync::{Arc, Mutex, PoisonError};
use tch::Tensor;
use tch::nn::{ModuleT, SequentialT};

/// The module of a part. Studies can remove blocks and convolutions; other layers stay.
#[derive(Debug)]
pub(super) enum Module {
    Block(Box<block::Residual>),
    Conv(SequentialT),
    Other(SequentialT),
}

/// Values of gates of the last forward passes, each with the label of its gate.
#[derive(Clone, Debug, Default)]
pub struct Taps(Arc<Mutex<Vec<(String, Tensor)>>>);

impl Taps {
    /// What was recorded since the last call.
    pub fn take(&self) -> Vec<(String, Tensor)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Passes its input on, and records it.
#[derive(Debug)]
pub(super) struct Tap {
    pub label: String,
    pub taps: Taps,
}

impl ModuleT for Tap {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let value = (self.label.clone(), x.detach());
        self.taps.0.lock().unwrap_or_else(PoisonError::into_inner).push(value);
        x.shallow_clone()
    }
}

/// What the names of the layers have in common; without names, what the first one does.
pub(super) fn label(nodes: &[Node]) -> String {
    let mut names: Vec<Vec<&str>> = Vec::new();
    let mut first = None;
    walk(nodes, false, &mut |layer, _| {
        first.get_or_insert_with(|| layer.op.describe());
        if !layer.name.is_empty() {
            names.push(layer.name.split('.').collect());
        }
    });
    let Some(shared) = names.first() else { return first.unwrap_or_default() };
    let same = |depth: &usize| names.iter().all(|name| name.get(*depth) == shared.get(*depth));
    let depth = (0..shared.len()).take_while(same).count();
    if depth == 0 { shared.join(".") } else { shared[..depth].join(".") }
}
