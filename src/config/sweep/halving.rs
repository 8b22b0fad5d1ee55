//! `[sweep.halving]`: stops settings that are worse than others after a few epochs.

use crate::config::problem::{Problem, from_serde};
use serde::{Deserialize, Deserializer};
use toml::de::{DeTable, ValueDeserializer};

/// Columns of `epochs.csv` that settings can be ranked by.
const RANKED_BY: [&str; 6] = ["val_top1", "val_top5", "val_loss", "train_top1", "train_top5", "train_loss"];

/// Successive halving (Jamieson and Talwalkar, arXiv 1502.07943) or, asynchronously, ASHA (Li et al., arXiv 1810.05934).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Halving {
    /// Epochs after which settings are compared, in ascending order.
    pub rungs: Vec<usize>,
    /// The fraction of settings that goes on after each rung.
    #[serde(deserialize_with = "fraction")]
    pub keep: f64,
    /// The column of `epochs.csv` that settings are ranked by: its best value so far, and the median over seeds.
    #[serde(default = "default_by")]
    pub by: String,
    /// Asynchronous: a setting continues if it is among the best that have reached the rung so far, without waiting for the
    /// others.
    #[serde(default)]
    pub asynchronous: bool,
}

fn default_by() -> String {
    RANKED_BY[0].to_owned()
}

/// Reads `0.5` or `"1/3"`.
fn fraction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Text(String),
    }
    let value = match Written::deserialize(deserializer)? {
        Written::Number(number) => Some(number),
        Written::Text(text) => text
            .split_once('/')
            .and_then(|(above, below)| Some(above.trim().parse::<f64>().ok()? / below.trim().parse::<f64>().ok()?)),
    };
    value.ok_or_else(|| serde::de::Error::custom("keep is a fraction such as 0.5 or \"1/3\""))
}

impl Halving {
    /// Takes `[sweep.halving]` out of a `[sweep]` table.
    pub(super) fn take(sweep: &mut DeTable) -> Result<Option<Halving>, Problem> {
        let Some(value) = sweep.remove("halving") else { return Ok(None) };
        let span = value.span();
        let halving = Halving::deserialize(ValueDeserializer::from(value)).map_err(|error| {
            from_serde(&error, "sweep.halving", &["rungs", "keep", "by", "asynchronous"])
                .help("[sweep.halving] rungs = [2, 6], keep = \"1/3\", by = \"val_top1\"")
        })?;
        let Halving { rungs, keep, by, .. } = &halving;
        let message = if rungs.first().is_none_or(|&first| first == 0) || !rungs.is_sorted_by(|one, next| one < next) {
            "`rungs` lists epochs in ascending order, such as [2, 6]".to_owned()
        } else if !(*keep > 0.0 && *keep < 1.0) {
            format!("`keep` is a fraction between 0 and 1, not {keep}")
        } else if !RANKED_BY.contains(&by.as_str()) {
            format!("`by` is one of {}, not `{by}`", RANKED_BY.join(", "))
        } else {
            return Ok(Some(halving));
        };
        Err(Problem::span(span, message))
    }

    /// Rejects rungs that no point reaches.
    pub(super) fn check(&self, epochs: impl Iterator<Item = usize>) -> Result<(), Problem> {
        match (self.rungs.last(), epochs.max()) {
            (Some(&last), Some(epochs)) if last >= epochs => Err(Problem::at(
                "sweep.halving.rungs",
                format!("runs have {epochs} epochs, so a rung is at most {}", epochs - 1),
            )),
            _ => Ok(()),
        }
    }

    /// Whether lower values are better.
    pub fn is_loss(&self) -> bool {
        self.by.ends_with("loss")
    }

    /// The number of settings out of `count` that continue; may be 0.
    pub fn kept(&self, count: usize) -> usize {
        // A third of nine is three, whatever the rounding.
        (count as f64 * self.keep + 1e-9) as usize
    }
}
