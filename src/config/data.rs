//! The `[data]` table.

use super::problem::{Place, Problem};
use crate::data::{Augment, DATASETS, Info, Normalise, info};
use serde::{Deserialize, Serialize};

/// What is trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub dataset: String,
    /// So many training images, the first ones, are set aside for validation.
    #[serde(default = "five_thousand")]
    pub validation: usize,
    /// Train on the first so many of the rest only; 0 for all of them.
    #[serde(default)]
    pub limit: usize,
    #[serde(default)]
    pub normalise: Scale,
    #[serde(default)]
    pub augment: Augment,
}

fn five_thousand() -> usize {
    5000
}

/// How pixels become numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Minus the dataset's mean, divided by its standard deviation, channel by channel.
    #[default]
    Standard,
    /// 0 to 1
    Unit,
    /// -1 to 1
    Centred,
}

impl Data {
    /// # Errors
    /// When there is no such dataset.
    pub fn info(&self) -> Result<&'static Info, Problem> {
        let names: Vec<&str> = DATASETS.iter().map(|info| info.name).collect();
        let place = Place::Key("data.dataset".to_owned());
        info(&self.dataset).ok_or_else(|| Problem::unknown(place, "dataset", &self.dataset, &names))
    }

    /// The normalisation for images of so many channels.
    pub fn normalisation(&self, info: &Info, channels: usize) -> Normalise {
        let all = |mean, std| Normalise { mean: vec![mean; channels], std: vec![std; channels] };
        match self.normalise {
            Scale::Standard => info.normalise(channels),
            Scale::Unit => all(0.0, 1.0),
            Scale::Centred => all(0.5, 0.5),
        }
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        let info = self.info()?;
        if self.validation == 0 || self.validation >= info.train {
            let message = format!("validation takes 1 to {} of the {} training images", info.train - 1, info.train);
            return Err(Problem::at("data.validation", message));
        }
        let left = info.train - self.validation;
        if self.limit > left {
            let message = format!("there are {left} training images besides validation, fewer than {}", self.limit);
            return Err(Problem::at("data.limit", message));
        }
        Ok(())
    }

    /// Every crop of images of this height and width shows something of them. A batch of nothing but padding has no variance,
    /// and a deep network's gradients then overflow in its normalisations.
    pub(super) fn check_crop(&self, [height, width]: [usize; 2]) -> Result<(), Problem> {
        let (crop, most) = (self.augment.crop, height.min(width).saturating_sub(1));
        if crop > most {
            let message = format!(
                "a crop of an image of {height}x{width} that is padded by {crop} can miss all of it: crop takes 0 to {most}"
            );
            return Err(Problem::at("data.augment.crop", message));
        }
        Ok(())
    }
}
