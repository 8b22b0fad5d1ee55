//! Branches, squeeze-and-excitation and residual blocks as tch modules.

use super::activations;
use super::conv_norm_act::ConvNormAct;
use super::tensors::or_panic;
use crate::arch::node::{Join, Survival, SurvivalGate};
use crate::torch::{ProcessGroup, TorchError, fused, throw};
use std::sync::Arc;
use tch::nn::{ModuleT, SequentialT};
use tch::{Device, Kind, Tensor};

/// Chains on the same input, joined.
#[derive(Debug)]
pub(super) struct Branches {
    pub join: Join,
    pub branches: Vec<SequentialT>,
    /// Concatenate by [`fused::concat`] where it supports the maps.
    pub fused: bool,
}

impl ModuleT for Branches {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        let outputs = self.branches.iter().map(|branch| branch.forward_t(x, train));
        match self.join {
            Join::Concat => {
                let outputs: Vec<Tensor> = outputs.collect();
                let alike = outputs.iter().all(|output| fused::supports(output) && output.kind() == outputs[0].kind());
                if self.fused && alike { or_panic(fused::concat(&outputs)) } else { Tensor::cat(&outputs, 1) }
            }
            Join::Sum => {
                let sum = outputs.reduce(|sum, output| sum + output);
                or_panic(sum.ok_or_else(|| TorchError("a sum of no branches".to_owned())))
            }
        }
    }
}

/// x · gate(x)
#[derive(Debug)]
pub(super) struct Excite {
    pub gate: SequentialT,
    /// The mean over the map with which the gate begins is left out of `gate`: [`fused::squeeze`] computes it.
    pub squeeze: bool,
}

impl ModuleT for Excite {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        if !self.squeeze {
            return x * self.gate.forward_t(x, train);
        }
        if !fused::supports(x) {
            return x * self.gate.forward_t(&x.adaptive_avg_pool2d([1, 1]), train);
        }
        let (x, mean) = or_panic(fused::squeeze(x));
        or_panic(fused::gate(&x, &self.gate.forward_t(&mean, train)))
    }
}

/// How the two paths of a block meet; see [`crate::arch::node::Merge`].
#[derive(Debug)]
pub(super) enum Merge {
    Sum(f64),
    /// The last module of the body, left out of `body`, scales its output by this factor, adds the shortcut and applies what follows the
    /// sum.
    Joined(Box<ConvNormAct>, f64),
    Body,
    Gate(Gate),
}

/// A gate T between body F and shortcut S.
#[derive(Debug)]
pub(super) struct Gate {
    pub chain: SequentialT,
    /// `chain` computes what T is the sigmoid of.
    pub logits: bool,
    /// F + (1 − T) · S in the place of T · F + (1 − T) · S.
    pub shortcut_only: bool,
}

impl Gate {
    /// The sum, from what `chain` computed.
    fn merge(&self, computed: Tensor, body: Tensor, shortcut: &Tensor, factor: &Factor, fused: bool) -> Tensor {
        let alike = |map: &Tensor| map.size() == computed.size() && map.kind() == computed.kind();
        if self.logits && matches!(factor, Factor::One) && fused::supports(&computed) && alike(&body) && alike(shortcut)
        {
            return or_panic(fused::gated_sum(&computed, &body, shortcut, self.shortcut_only));
        }
        let transform = if self.logits { computed.sigmoid() } else { computed };
        let branch = match self.shortcut_only {
            true => body - transform * shortcut,
            false => transform * (body - shortcut),
        };
        // A block that is left out leaves S.
        shortcut + factor.times(branch, fused)
    }
}

#[derive(Debug)]
pub(super) struct Residual {
    pub pre: SequentialT,
    pub body: SequentialT,
    pub shortcut: SequentialT,
    pub merge: Merge,
    pub after: SequentialT,
    pub survival: Survival,
    /// The ranks that skip the blocks that the first of them skips.
    pub sync: Option<Arc<ProcessGroup>>,
    /// Add the gradients of the two paths by [`fused::fork`] where it supports the map.
    pub fused: bool,
}

impl Residual {
    /// What the residual branch is multiplied by in this pass; `None` where stochastic depth skips it.
    ///
    /// Draws come from the generator that the training loop seeds at every step, always on the CPU, so that they are the
    /// same on every device and do not wait for a GPU.
    fn branch_factor(&self, x: &Tensor, train: bool) -> Option<Factor> {
        let Survival { probability, gate } = self.survival;
        if probability >= 1.0 {
            return Some(Factor::One);
        }
        match (gate, train) {
            (SurvivalGate::Batch, false) => Some(Factor::Constant(probability)),
            (SurvivalGate::Batch, true) => {
                let draw = Tensor::rand([1], (Kind::Float, Device::Cpu));
                // A rank that skipped a block would not take part in its operations.
                self.sync.as_ref().map_or(Ok(()), |group| group.broadcast(&draw)).unwrap_or_else(|error| throw(error));
                (draw.double_value(&[0]) < probability).then_some(Factor::One)
            }
            (SurvivalGate::Sample, false) => Some(Factor::One),
            (SurvivalGate::Sample, true) => {
                // `[N, 1, …]`: one draw an image.
                let mut shape = vec![1; x.dim()];
                shape[0] = x.size()[0];
                let draws = Tensor::rand(shape, (Kind::Float, Device::Cpu));
                let kept = draws.lt(probability).to_device(x.device()).to_kind(x.kind()) / probability;
                Some(Factor::PerSample(kept))
            }
        }
    }
}

enum Factor {
    One,
    Constant(f64),
    PerSample(Tensor),
}

impl Factor {
    fn times(&self, branch: Tensor, fused: bool) -> Tensor {
        match self {
            Factor::One => branch,
            Factor::Constant(factor) => branch * *factor,
            Factor::PerSample(kept) if fused && fused::supports(&branch) => {
                let channels = branch.size()[1];
                or_panic(fused::gate(&branch, &kept.expand([-1, channels, 1, 1], false)))
            }
            Factor::PerSample(kept) => branch * kept,
        }
    }
}

impl Residual {
    /// The output where body and gate see `x` and the shortcut `aside`, both after `pre`; a `factor` of `None` leaves the
    /// shortcut alone.
    fn merged(&self, x: &Tensor, aside: &Tensor, factor: Option<Factor>, train: bool) -> Tensor {
        let merged = match (&self.merge, factor) {
            (Merge::Body, _) => self.body.forward_t(x, train),
            (Merge::Joined(end, scale), Some(factor)) => {
                let body = self.body.forward_t(x, train);
                let shortcut = self.shortcut.forward_t(aside, train);
                let factor = match factor {
                    Factor::One => *scale,
                    Factor::Constant(factor) => scale * factor,
                    Factor::PerSample(_) => unreachable!("joins_sum excludes blocks that skip single images"),
                };
                end.forward_sum(&body, factor, &shortcut, train)
            }
            (Merge::Joined(end, _), None) => activations::apply(end.act, &self.shortcut.forward_t(aside, train)),
            (_, None) => self.shortcut.forward_t(aside, train),
            (Merge::Sum(scale), Some(factor)) => {
                let body = factor.times(self.body.forward_t(x, train), self.fused);
                let body = if *scale == 1.0 { body } else { body * *scale };
                body + self.shortcut.forward_t(aside, train)
            }
            (Merge::Gate(gate), Some(factor)) => {
                let [transform, body] = [&gate.chain, &self.body].map(|chain| chain.forward_t(x, train));
                let shortcut = self.shortcut.forward_t(aside, train);
                gate.merge(transform, body, &shortcut, &factor, self.fused)
            }
        };
        self.after.forward_t(&merged, train)
    }

    /// The block without its body: the shortcut, and what follows the sum. A block without a shortcut keeps its body.
    pub(super) fn shortcut_alone(&self, x: &Tensor, train: bool) -> Tensor {
        let x = self.pre.forward_t(x, train);
        self.merged(&x, &x, None, train)
    }

    /// The block whose body and gate see one input and whose shortcut sees another, without stochastic depth.
    pub(super) fn on_two_inputs(&self, x: &Tensor, aside: &Tensor, train: bool) -> Tensor {
        let [x, aside] = [x, aside].map(|input| self.pre.forward_t(input, train));
        self.merged(&x, &aside, Some(Factor::One), train)
    }
}

impl ModuleT for Residual {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        let x = self.pre.forward_t(x, train);
        let factor = self.branch_factor(&x, train);
        let two_paths = !matches!(self.merge, Merge::Body) && factor.is_some();
        let (x, aside) = match self.fused && two_paths && x.requires_grad() && fused::supports(&x) {
            true => or_panic(fused::fork(&x)),
            false => (x.shallow_clone(), x),
        };
        self.merged(&x, &aside, factor, train)
    }
}
