//! Residual blocks: basic and bottleneck, with every shortcut, gate and order of the papers.

use super::columns::{Se, default_true, finite, is_one, is_one_f64, is_true, one, one_f64, repeats};
use super::residual_options::{Gating, Order, Shortcut, StrideIn};
use super::{Context, Expand};
use crate::arch::multipliers::Multipliers;
use crate::arch::name::Name;
use crate::arch::node::{Chain, Merge, Node, Residual};
use crate::arch::ops::{Act, Conv, Dropout, PadShortcut, Scale};
use crate::arch::shape::{Shape, ShapeError};
use crate::arch::style::Norm;
use crate::named::is_default;
use serde::{Deserialize, Serialize};

type Built = Result<(), ShapeError>;

/// Two 3x3 convolutions around a shortcut.
pub type BasicRow = BlockRow<false>;
/// 1x1, 3x3, 1x1 around a shortcut; with groups in the 3x3, a ResNeXt block.
pub type BottleneckRow = BlockRow<true>;

/// Columns of `basic` and `bottleneck` rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockRow<const BOTTLENECK: bool> {
    /// Output channels of a block.
    pub width: usize,
    /// Channels of a bottleneck's 3x3; a quarter of the width where this column is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner: Option<usize>,
    /// Groups of the 3x3: ResNeXt's cardinality.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: usize,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub repeat: usize,
    /// Stride of the first block.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub stride: usize,
    #[serde(default, skip_serializing_if = "is_default")]
    pub stride_in: StrideIn,
    #[serde(default)]
    pub shortcut: Shortcut,
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: Order,
    /// `false`: the first block has no pre-activation of its own (it follows one already).
    #[serde(default = "default_true", skip_serializing_if = "is_true")]
    pub preact_first: bool,
    /// Squeeze-and-excitation with this reduction; 0 for none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub se: usize,
    /// Biases in the two layers of squeeze-and-excitation, as in the authors' Caffe models.
    #[serde(default, skip_serializing_if = "is_default")]
    pub se_bias: bool,
    /// Dropout between the convolutions (Wide ResNet).
    #[serde(default, skip_serializing_if = "is_default")]
    pub dropout: f64,
    /// Constant on the residual branch.
    #[serde(default = "one_f64", skip_serializing_if = "is_one_f64")]
    pub scale: f64,
    /// Constant on the shortcut.
    #[serde(default = "one_f64", skip_serializing_if = "is_one_f64")]
    pub shortcut_scale: f64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub shortcut_dropout: f64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub gate: Gating,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub gate_kernel: usize,
    /// Initial value of the gate's bias; negative favours the shortcut.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gate_bias: f64,
    /// Initialise the last γ of each block to 0, so that the block starts as its shortcut.
    #[serde(default, skip_serializing_if = "is_default")]
    pub zero_init: bool,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

impl<const BOTTLENECK: bool> BlockRow<BOTTLENECK> {
    pub fn new(width: usize, repeat: usize, stride: usize, name: &str) -> Self {
        BlockRow {
            width,
            inner: None,
            groups: 1,
            repeat,
            stride,
            stride_in: StrideIn::default(),
            shortcut: Shortcut::default(),
            order: Order::default(),
            preact_first: true,
            se: 0,
            se_bias: false,
            dropout: 0.0,
            scale: 1.0,
            shortcut_scale: 1.0,
            shortcut_dropout: 0.0,
            gate: Gating::default(),
            gate_kernel: 1,
            gate_bias: 0.0,
            zero_init: false,
            name: Name::new(name),
        }
    }

    fn inner_width(&self) -> usize {
        self.inner.unwrap_or((self.width / 4).max(1).next_multiple_of(self.groups.max(1)))
    }

    fn convolutions(&self, stride: usize) -> Vec<Conv> {
        if !BOTTLENECK {
            return vec![Conv::new(self.width, 3).stride(stride).groups(self.groups), Conv::new(self.width, 3)];
        }
        let inner = self.inner_width();
        let (first, middle) = if self.stride_in == StrideIn::First { (stride, 1) } else { (1, stride) };
        vec![
            Conv::new(inner, 1).stride(first),
            Conv::new(inner, 3).stride(middle).groups(self.groups),
            Conv::new(self.width, 1),
        ]
    }

    fn check(&self) -> Built {
        if !BOTTLENECK && (self.inner.is_some() || self.stride_in != StrideIn::default()) {
            return Err(ShapeError::new("`inner` and `stride_in` are columns of bottleneck rows, not of basic ones"));
        }
        finite(&[("scale", self.scale), ("shortcut_scale", self.shortcut_scale), ("gate_bias", self.gate_bias)])?;
        for (column, rate) in [("dropout", self.dropout), ("shortcut_dropout", self.shortcut_dropout)] {
            if !(0.0..1.0).contains(&rate) {
                return Err(ShapeError::new(format!("`{column}` is a rate in 0..1, not {rate}")));
            }
        }
        if self.zero_init && matches!(self.order, Order::Preact | Order::BnAfterAdd) {
            return Err(ShapeError::new(
                "zero_init starts the block's last normalisation at 0, and with this `order` no block ends in one",
            ));
        }
        if self.se_bias && self.se == 0 {
            return Err(ShapeError::new("`se_bias` is for squeeze-and-excitation, but `se` is 0"));
        }
        self.check_sum()?;
        repeats(self.repeat).map(|_| ())
    }

    /// Refuses columns that the merge of the two paths would ignore.
    fn check_sum(&self) -> Built {
        let gated = self.gate != Gating::None;
        if self.shortcut == Shortcut::None {
            let unused = [
                (gated, "a gate mixes the block with its shortcut"),
                (self.scale != 1.0, "`scale` weighs the block against its shortcut"),
                (self.shortcut_scale != 1.0, "`shortcut_scale` multiplies the shortcut"),
                (self.shortcut_dropout != 0.0, "`shortcut_dropout` acts on the shortcut"),
            ];
            if let Some((_, what)) = unused.into_iter().find(|(written, _)| *written) {
                return Err(ShapeError::new(format!("{what}, but shortcut = \"none\"")));
            }
        }
        if gated && self.scale != 1.0 {
            return Err(ShapeError::new("`scale` multiplies the block in a plain sum, but here a `gate` weighs it"));
        }
        Ok(())
    }

    /// Whether the shortcut is a 1x1 convolution.
    fn projects(&self, changes: bool) -> bool {
        match self.shortcut {
            Shortcut::B => changes,
            Shortcut::C => true,
            Shortcut::A | Shortcut::APool | Shortcut::None => false,
        }
    }

    fn block(&self, name: &str, first: bool, chain: &mut Chain) -> Built {
        let style = chain.style();
        let stride = if first { self.stride } else { 1 };
        let changes = stride != 1 || chain.shape.channels() != self.width;
        if self.zero_init && !style.bn_scale {
            return Err(ShapeError::new("zero_init starts the last normalisation's γ at 0, but bn_scale = false"));
        }

        let own_preact = self.preact_first || !first;
        let shared = own_preact && self.shares_preactivation(changes);
        let mut pre = chain.fork();
        if shared {
            self.preactivate(&mut pre, name, 1)?;
        }
        let body = self.body(name, stride, own_preact && !shared, &pre)?;
        let shortcut = self.shortcut_chain(name, stride, changes, &pre)?;
        if self.shortcut != Shortcut::None && shortcut.shape != body.shape {
            return Err(ShapeError::new(format!("the block gives {} but its shortcut {}", body.shape, shortcut.shape)));
        }
        let merge = self.merge(name, stride, &pre)?;
        let after = self.after(name, &body)?;
        let output = body.shape;
        let (pre, shortcut, after) = (pre.nodes, shortcut.nodes, after.nodes);
        let residual = Residual { pre, shortcut, after, ..Residual::new(body.nodes, merge) };
        chain.push(Node::Residual(residual), output);
        Ok(())
    }

    /// Whether both paths start from the activated input: where sizes change (He et al. 2016, appendix).
    fn shares_preactivation(&self, changes: bool) -> bool {
        match self.order {
            Order::Preact => changes,
            Order::ReluOnlyPreact => self.projects(changes),
            Order::Original | Order::BnAfterAdd | Order::ReluBeforeAdd => false,
        }
    }

    /// What follows the sum.
    fn after<'a>(&self, name: &str, body: &Chain<'a>) -> Result<Chain<'a>, ShapeError> {
        let style = body.style();
        let mut after = body.fork();
        if self.order == Order::BnAfterAdd && style.norm == Norm::Batch {
            after.norm(format!("{name}.bn{}", if BOTTLENECK { 3 } else { 2 }))?;
        }
        if matches!(self.order, Order::Original | Order::BnAfterAdd) {
            after.act(style.act)?;
        }
        Ok(after)
    }

    /// The residual branch; `preact` says whether its first convolution has an activation in front.
    fn body<'a>(&self, name: &str, stride: usize, preact: bool, pre: &Chain<'a>) -> Result<Chain<'a>, ShapeError> {
        let (norm, act) = (pre.style().norm, pre.style().act);
        let mut body = pre.fork();
        let convolutions = self.convolutions(stride);
        let last = convolutions.len();
        for (number, conv) in (1..).zip(convolutions) {
            if matches!(self.order, Order::Preact | Order::ReluOnlyPreact) && (number > 1 || preact) {
                self.preactivate(&mut body, name, number)?;
            }
            if self.dropout > 0.0 && number == last {
                body.op("", Dropout { rate: self.dropout })?;
            }
            body.conv(format!("{name}.conv{number}"), conv.bias(norm == Norm::None))?;
            let norm_here = match self.order {
                Order::Preact => false,
                Order::BnAfterAdd => number < last,
                _ => true,
            };
            if norm_here && norm == Norm::Batch {
                let gamma = if self.zero_init && number == last { 0.0 } else { 1.0 };
                body.norm_from(format!("{name}.bn{number}"), gamma)?;
            }
            let act_here = match self.order {
                Order::Original | Order::BnAfterAdd => number < last,
                Order::ReluBeforeAdd => true,
                Order::ReluOnlyPreact | Order::Preact => false,
            };
            if act_here {
                body.act(act)?;
            }
        }
        if let Some(hidden) = self.width.checked_div(self.se) {
            let hidden = hidden.max(1);
            Se { hidden, bias: self.se_bias, act: Act::Relu }.append(&format!("{name}.se"), &mut body)?;
        }
        Ok(body)
    }

    /// Appends the pre-activation of convolution `number`.
    fn preactivate(&self, chain: &mut Chain, name: &str, number: usize) -> Built {
        if self.order == Order::Preact && chain.style().norm == Norm::Batch {
            chain.norm(format!("{name}.bn{number}"))?;
        }
        chain.act(chain.style().act)
    }

    fn shortcut_chain<'a>(
        &self,
        name: &str,
        stride: usize,
        changes: bool,
        from: &Chain<'a>,
    ) -> Result<Chain<'a>, ShapeError> {
        let mut shortcut = from.fork();
        match self.shortcut {
            Shortcut::None => return Ok(shortcut),
            Shortcut::A | Shortcut::APool if changes => {
                let average = self.shortcut == Shortcut::APool;
                shortcut.op("", PadShortcut { width: self.width, stride, average })?;
            }
            _ => {}
        }
        if self.projects(changes) {
            // A pre-activation network has no normalisation on its shortcuts.
            let norm = shortcut.style().norm == Norm::Batch && self.order != Order::Preact;
            let bias = shortcut.style().norm == Norm::None;
            shortcut.conv(format!("{name}.downsample.0"), Conv::new(self.width, 1).stride(stride).bias(bias))?;
            if norm {
                shortcut.norm(format!("{name}.downsample.1"))?;
            }
        }
        if self.shortcut_scale != 1.0 {
            shortcut.op("", Scale { factor: self.shortcut_scale })?;
        }
        if self.shortcut_dropout > 0.0 {
            shortcut.op("", Dropout { rate: self.shortcut_dropout })?;
        }
        Ok(shortcut)
    }

    fn merge(&self, name: &str, stride: usize, from: &Chain) -> Result<Merge, ShapeError> {
        if self.shortcut == Shortcut::None {
            return Ok(Merge::Body);
        }
        if self.gate == Gating::None {
            return Ok(Merge::Sum { scale: self.scale });
        }
        let mut gate = from.fork();
        let conv = Conv::new(self.width, self.gate_kernel).stride(stride).bias_init(self.gate_bias);
        gate.conv(format!("{name}.gate"), conv)?;
        gate.act(Act::Sigmoid)?;
        Ok(match self.gate {
            Gating::ShortcutOnly => Merge::ShortcutGate(gate.nodes),
            _ => Merge::Gate(gate.nodes),
        })
    }
}

impl<const BOTTLENECK: bool> Expand for BlockRow<BOTTLENECK> {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Built {
        self.check()?;
        if let Shape::Vector { .. } = chain.shape {
            return Err(ShapeError::new("a residual block needs a map, but the rows before give a vector"));
        }
        for index in context.repeats(self.repeat)? {
            let name = context.namer.block(&self.name, index);
            self.block(&name, index == 0, chain)?;
        }
        Ok(())
    }

    fn scale(&mut self, by: &Multipliers) {
        if let Some(inner) = self.inner {
            self.inner = Some(by.width_in_groups(inner, self.groups));
        }
        self.width = if BOTTLENECK { by.width(self.width) } else { by.width_in_groups(self.width, self.groups) };
        self.repeat = by.repeat(self.repeat);
    }

    fn name(&self) -> &Name {
        &self.name
    }
}
