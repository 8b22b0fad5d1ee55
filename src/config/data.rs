//! The `[data]` table.

use super::problem::{Place, Problem, from_serde};
use crate::data::{Augment, DATASETS, Info, Normalise, info};
use crate::named::keys_of;
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};

/// What is trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub dataset: String,
    /// Number of training images, the first ones, that are set aside for validation. By default a tenth of the images that
    /// are used, at most 5,000.
    #[serde(default)]
    pub validation: usize,
    /// Number of training images to use of the rest, the first ones; 0 for all.
    #[serde(default)]
    pub limit: usize,
    #[serde(default)]
    pub normalise: Scale,
    #[serde(default)]
    pub augment: Augment,
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

/// The largest default of `validation`.
const MAX_DEFAULT_VALIDATION: usize = 5000;

impl Data {
    /// Reads and checks `[data]`.
    pub(super) fn read(value: &Spanned<DeValue>) -> Result<Data, Problem> {
        let mut data =
            Data::deserialize(ValueDeserializer::from(value.clone())).map_err(|error| from_serde(&error, "", &[]))?;
        if value.get_ref().get("validation").is_none() {
            data.validation = data.default_validation(data.info()?.train);
        }
        data.check()?;
        Ok(data)
    }

    /// Whether nothing but the name of the dataset is missing.
    pub(super) fn lacks_dataset(value: &Spanned<DeValue>) -> bool {
        let DeValue::Table(table) = value.get_ref() else { return false };
        let known = |key: &str| keys_of::<Data>().contains(&key);
        !table.contains_key("dataset") && table.keys().all(|key| known(key.get_ref()))
    }

    /// Follows `limit`, so that a run on few images does not spend its time on validation.
    fn default_validation(&self, images: usize) -> usize {
        let (used, left) = match self.limit {
            0 => (images, images),
            limit => (limit, images.saturating_sub(limit)),
        };
        (used / 10).min(MAX_DEFAULT_VALIDATION).min(left).max(1)
    }

    /// # Errors
    /// When there is no such dataset.
    pub fn info(&self) -> Result<&'static Info, Problem> {
        let names: Vec<&str> = DATASETS.iter().map(|info| info.name).collect();
        let place = Place::Key("data.dataset".to_owned());
        info(&self.dataset).ok_or_else(|| Problem::unknown(place, "dataset", &self.dataset, &names))
    }

    /// The normalisation for images with `channels` channels.
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
            let message =
                format!("`validation` is between 1 and {}: there are {} training images", info.train - 1, info.train);
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
                "a random crop after padding by {crop} can miss a {height}x{width} image entirely: `crop` is at most {most}"
            );
            return Err(Problem::at("data.augment.crop", message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::de::DeTable;

    #[test]
    fn validation_is_a_tenth_of_what_is_used() {
        let validation = |dataset: &str, limit: usize| {
            let text = format!("dataset = '{dataset}'\nlimit = {limit}");
            let table = DeTable::parse(&text).unwrap();
            Data::read(&Spanned::new(table.span(), DeValue::Table(table.into_inner()))).unwrap().validation
        };
        let all = ["fashion-mnist", "cifar10", "imagenet", "synthetic"].map(|dataset| validation(dataset, 0));
        assert_eq!(all, [5000, 5000, 5000, 200]);
        assert_eq!([1, 1000, 20_000, 55_000].map(|limit| validation("fashion-mnist", limit)), [1, 100, 2000, 5000]);
        assert_eq!(validation("synthetic", 1900), 100, "no more than the limit leaves");
    }
}
