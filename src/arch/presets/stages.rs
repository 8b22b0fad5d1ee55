//! What the residual families share: stems, stage widths, repeats by depth.

use super::KeyError;
use crate::arch::activations::Act;
use crate::arch::name::Name;
use crate::arch::rows::{ActRow, ClassifierRow, ConvRow, GlobalAvgPoolRow, NormRow, Order, PoolRow, Row};
use crate::arch::style::Norm;
use crate::arch::window::{Padding, Pair};
use serde::{Deserialize, Serialize};

/// The layers before the first stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// 7x7 with stride 2 and a 3x3 max-pool with stride 2.
    #[default]
    Imagenet,
    /// One 3x3 with stride 1, for small images.
    Small,
}

impl Stem {
    /// Rows of the stem, with normalisation and non-linearity after the convolution.
    pub fn rows(self, width: usize) -> Vec<Row> {
        match self {
            Stem::Imagenet => vec![
                ConvRow::new(7, width).stride(2).names(&["conv1", "bn1"]).into(),
                PoolRow::max(3, 2).padding(Padding::Fixed(Pair::square(1))).into(),
            ],
            Stem::Small => vec![small(width).into()],
        }
    }

    /// Rows of a small stem whose first activation, for blocks of this order, is left to the first block.
    pub(crate) fn without_activation(width: usize, order: Order) -> Vec<Row> {
        let conv = small(width).act(Act::None);
        // ReLU-only pre-activation has its normalisations after convolutions, also after this one.
        vec![if order == Order::Preact { conv.norm(Norm::None).unbiased() } else { conv }.into()]
    }
}

fn small(width: usize) -> ConvRow {
    ConvRow::new(3, width).names(&["conv1", "bn1"])
}

/// Rows after the last stage; a pre-activation network activates its last sum first.
pub(super) fn head(order: Order) -> Vec<Row> {
    let mut rows: Vec<Row> = match order {
        Order::Preact => vec![NormRow { act: None, name: Name::new("bn_last") }.into()],
        Order::ReluOnlyPreact => vec![ActRow::default().into()],
        Order::Original | Order::BnAfterAdd | Order::ReluBeforeAdd => Vec::new(),
    };
    rows.push(GlobalAvgPoolRow::default().into());
    rows.push(ClassifierRow::named("fc").into());
    rows
}

/// Blocks of the four ImageNet stages and whether they are bottlenecks (He et al. 2015, table 1; 200: identity mappings).
pub(super) fn imagenet(depth: usize) -> Result<([usize; 4], bool), KeyError> {
    Ok(match depth {
        18 => ([2, 2, 2, 2], false),
        34 => ([3, 4, 6, 3], false),
        50 => ([3, 4, 6, 3], true),
        101 => ([3, 4, 23, 3], true),
        152 => ([3, 8, 36, 3], true),
        200 => ([3, 24, 36, 3], true),
        _ => {
            let allowed = "18, 34, 50, 101, 152 or 200";
            return Err(KeyError::new("depth", format!("an ImageNet layout has depth {allowed}, not {depth}")));
        }
    })
}

/// Blocks of each of the three CIFAR stages: depth = 2 + stages · layers of a block · n.
pub(super) fn cifar(depth: usize, layers: usize) -> Result<usize, KeyError> {
    let step = 3 * layers;
    match depth.checked_sub(2) {
        Some(rest) if rest > 0 && rest.is_multiple_of(step) => Ok(rest / step),
        _ => {
            let near = [depth.saturating_sub(2) / step, depth.saturating_sub(2) / step + 1]
                .iter()
                .filter(|&&n| n > 0)
                .map(|n| (n * step + 2).to_string())
                .collect::<Vec<_>>()
                .join(" or ");
            Err(KeyError::new(
                "depth",
                format!(
                    "a CIFAR layout with {layers} layers per block has depth {step}n+2, for example {near}, not {depth}"
                ),
            ))
        }
    }
}
